"""Write the figures of a run into the docs, and draw its charts.

``python -m benchmarks.report [RESULTS]``. What stands between ``<!-- bench:NAME:start -->`` and
``<!-- bench:NAME:end -->`` in ``docs/performance.md``, and between ``<!-- bench:start -->`` and
``<!-- bench:end -->`` in the pages of ``TELLING``, is replaced; nothing else is touched.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import charts, table
from .peers import PEERS
from .stats import TIMES

__all__ = ["draw", "main", "replace_section", "sections"]

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
IMAGES = ROOT / "docs" / "images"
PAGE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"
_GQL = "best of gql[aiohttp], gql[websockets]"
#: The rows that other pages show, each with the other client. ``PAGE`` has all.
TELLING = {
    README: (
        ("events-140", "gql[aiohttp]"),
        ("concurrent", _GQL),
        ("http-2048-20", "gql[aiohttp]"),
        ("http-2048-20", "gql[httpx]"),
        ("http-2048-20", "ariadne-codegen"),
        ("memory-waiting", _GQL),
        ("first-http", "gql[aiohttp]"),
    ),
    ROOT / "docs" / "from-gql.md": (
        ("events-140", "gql[aiohttp]"),
        ("events-140", "gql[websockets]"),
        ("concurrent", _GQL),
        ("one-at-a-time", _GQL),
        ("http-2048-1", "gql[aiohttp]"),
        ("http-2048-1", "gql[httpx]"),
        ("http-2048-20", "gql[aiohttp]"),
        ("http-2048-20", "gql[httpx]"),
        ("httpx-20", "gql[httpx]"),
        ("sse", "gql[aiohttp]"),
        ("schema", "gql[websockets]"),
        ("parse", "gql[websockets]"),
        ("dsl", "gql[websockets]"),
        ("memory-waiting", _GQL),
        ("first-http", "gql[aiohttp]"),
        ("blocking-http", "gql sync[requests]"),
        ("blocking-http", "gql sync[httpx]"),
        ("blocking-events", "gql sync[websockets]"),
    ),
    ROOT / "docs" / "from-ariadne-codegen.md": (
        ("http-2048-1", "ariadne-codegen"),
        ("http-2048-20", "ariadne-codegen"),
    ),
}


def _environment(results: dict[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{machine['cpus']} CPUs, {machine['system']}, {machine['python']}; {packages}. "
        f"{results['rounds']} rounds of about {results['target']:g} s for each client and row."
    )


def _server(results: dict[str, Any]) -> str:
    shown = []
    for row in results["rows"]:
        times = {name: metrics["wall"]["median"] for name, metrics in row["contenders"].items()}
        raw = times.pop("raw socket", None)
        others = {n: t for n, t in times.items() if not n.startswith("raw ")}
        if raw is None or not others:
            continue
        fastest = min(others, key=lambda name: others[name])
        shown.append((row["title"], fastest, f"{others[fastest] / raw:.1f}{TIMES}"))
    return table.markdown(("work", "fastest client", "the raw reader is faster by"), shown)


def _peers(results: dict[str, Any]) -> str:
    seen = {name for row in results["rows"] for name in row["contenders"]}
    lines = [(peer.label, peer.about) for peer in PEERS.values() if peer.label in seen]
    return table.markdown(("client", "what it does"), lines)


def _curves(results: dict[str, Any]) -> str:
    shown = []
    for curve in results.get("curves", []):
        values = curve["values"]
        heads = (curve["x_label"], *map(str, values))
        cells = []
        for name, points in curve["points"].items():
            known = {x: f"{y:,.1f}" if y < 100 else f"{y:,.0f}" for x, y in points}
            cells.append((name, *(known.get(x, "failed") for x in values)))
        shown.append(
            f"### {curve['title']} ({curve['y_label']})\n\n"
            f"![{curve['title']}](images/{curve['key']}.svg)\n\n{table.markdown(heads, cells)}"
        )
        shown += [f"{name} failed at {why}." for name, why in curve["failed"].items()]
    return "\n\n".join(shown)


def sections(results: dict[str, Any]) -> dict[str, str]:
    """The text of each section of ``docs/performance.md``, by name."""
    rows = results["rows"]
    return {
        "environment": _environment(results),
        "server": _server(results),
        "peers": _peers(results),
        "table": table.markdown(table.CLAIM_HEADS, table.claim_lines(rows)),
        "absolute": table.markdown(table.ABSOLUTE_HEADS, table.absolute_lines(rows)),
        "curves": _curves(results),
    }


def summary(results: dict[str, Any], chosen: Sequence[tuple[str, str]]) -> str:
    """The table of another page: the chosen claims on asyncio, beside trio's."""
    shown: dict[tuple[str, str], dict[str, str]] = {}
    for row in results["rows"]:
        for claim in row["claims"]:
            against = claim["against"].removesuffix(" on trio")
            ours = PEERS[claim["ours"]]
            is_chosen = (row["key"], against) in chosen and ours.engine != "multipart"
            if claim["ratio"] is None or not is_chosen:
                continue
            work = f"{row['title']}{', ' + claim['about'] if claim['about'] else ''}"
            ratio = f"{table.number(claim['ratio']['median'])}{TIMES}"
            shown.setdefault((work, against), {})[ours.loop] = ratio
    loops = ("asyncio", "trio")
    lines = [
        (work, against, *(known.get(loop, "not measured") for loop in loops))
        for (work, against), known in shown.items()
    ]
    return table.markdown(("work", "the other client", *loops), lines)


def draw(results: dict[str, Any], folder: Path = IMAGES) -> None:
    """Write the charts into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    given = [
        charts.Bar(
            label=f"{row['title']}{', ' + claim['about'] if claim['about'] else ''}",
            value=claim["ratio"]["median"],
            low=claim["ratio"]["q1"],
            high=claim["ratio"]["q3"],
            mark=claim["bar"],
        )
        for row in results["rows"]
        for claim in row["claims"]
        if claim["ratio"] is not None
    ]
    for loop in ("asyncio", "trio"):
        chosen = [
            charts.Bar(
                f"{bar.label}, against {_against(claim)}", bar.value, bar.low, bar.high, bar.mark
            )
            for bar, claim in zip(given, _ratio_claims(results), strict=True)
            if PEERS[claim["ours"]].loop == loop
        ]
        if chosen:
            note = "how many times more the other client takes; the thick mark is the goal"
            path = folder / f"ratios-{loop}.svg"
            path.write_text(charts.bars(f"anygql on {loop}", note, chosen), encoding="utf-8")
    for curve in results.get("curves", []):
        drawn = [charts.Line(name, points) for name, points in curve["points"].items() if points]
        if drawn:
            svg = charts.lines(curve["title"], curve["x_label"], curve["y_label"], drawn)
            (folder / f"{curve['key']}.svg").write_text(svg, encoding="utf-8")


def _ratio_claims(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for row in results["rows"] for c in row["claims"] if c["ratio"] is not None]


def _against(claim: dict[str, Any]) -> str:
    text: str = claim["against"]
    return "the best of gql" if text.startswith("best of") else text


def replace_section(path: Path, name: str, text: str) -> bool:
    """Put the text between its markers, if the file has them."""
    start, end = f"<!-- bench:{name}start -->", f"<!-- bench:{name}end -->"
    old = path.read_text(encoding="utf-8")
    new = re.sub(
        f"{re.escape(start)}.*?{re.escape(end)}",
        lambda _: f"{start}\n{text}\n{end}",
        old,
        flags=re.DOTALL,
    )
    if new != old:
        path.write_text(new, encoding="utf-8")
    return start in old and end in old


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    results = json.loads(path.read_text(encoding="utf-8"))
    draw(results)
    for name, text in sections(results).items():
        if not replace_section(PAGE, f"{name}:", text):
            print(f"{PAGE.name} has no place for {name!r}")
    for page, chosen in TELLING.items():
        if not replace_section(page, "", summary(results, chosen)):
            print(f"{page.name} has no place for its table")


if __name__ == "__main__":
    main()
