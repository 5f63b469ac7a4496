"""Runs of one row: paired and interleaved, so that what disturbs one disturbs all."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .peers import PEERS
from .processes import ROOT, Worker, run_startup
from .rows import BEFORE, Claim, Row
from .stats import TIMES, summary

__all__ = ["Measured", "measure"]

#: Scales of what a run gives, to microseconds and bytes.
_SCALES = {"p50": 1e6, "p99": 1e6, "bytes": 1.0, "total_bytes": 1.0}


class Measured:
    """What the contenders of one row took, round by round."""

    def __init__(self, row: Row) -> None:
        self.row = row
        #: For each contender, one dictionary a round: metrics for one operation.
        self.samples: dict[str, list[dict[str, float]]] = {name: [] for name in row.contenders}
        self.failed: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    def add(self, contender: str, result: dict[str, Any]) -> bool:
        """Whether there is a sample; otherwise the contender runs no more."""
        for outcome, where in (("failed", self.failed), ("skipped", self.skipped)):
            if outcome in result:
                where[contender] = result[outcome]
                return False
        operations = result["operations"]
        sample = {
            "wall": result["wall"] / operations * 1e6,
            "cpu": result["cpu"] / operations * 1e6,
        }
        sample.update({k: result[k] * scale for k, scale in _SCALES.items() if k in result})
        self.samples[contender].append(sample)
        return True

    def running(self) -> list[str]:
        return [n for n in self.row.contenders if n not in self.failed and n not in self.skipped]

    def ratios(self, claim: Claim, metric: str) -> list[float]:
        """For each round, how many times more the best of the others took."""
        ours = self.samples[claim.ours]
        others = [self.samples[name] for name in claim.against if name in self.running()]
        if not others:
            return []
        return [
            min(sample[metric] for sample in theirs) / mine[metric]
            for mine, *theirs in zip(ours, *others, strict=False)
            if mine.get(metric)
        ]

    def claim(self, claim: Claim) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "ours": claim.ours,
            "against": claim.shown_against,
            "about": claim.about,
            "bar": claim.bar,
            "bar_text": claim.bar_text or ("—" if claim.bar is None else f"{claim.bar:g}{TIMES}"),
            "failed": {n: why for n, why in self.failed.items() if n in claim.against},
        }
        ratios = self.ratios(claim, claim.metric)
        if not ratios:
            known = {**self.skipped, **self.failed}
            names = [n for n in (claim.ours, *claim.against) if n in known]
            why = "; ".join(f"{name}: {known[name]}" for name in names)
            # Whoever can't do it at all is behind; what wasn't measured isn't.
            beaten = claim.ours in self.running() and set(claim.against) <= set(self.failed)
            return {**shown, "ratio": None, "why": why, "ok": True if beaten else None}
        shown["ratio"] = summary(ratios)
        if claim.metric == "wall":
            shown["cpu_ratio"] = summary(self.ratios(claim, "cpu"))
        if claim.most is not None:
            taken = summary([sample[claim.metric] for sample in self.samples[claim.ours]])
            shown["ok"] = taken["median"] <= claim.most
        else:
            shown["ok"] = None if claim.bar is None else shown["ratio"]["median"] >= claim.bar
        return shown

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.row.key,
            "title": self.row.title,
            "unit": self.row.unit,
            "contenders": {
                name: {
                    metric: summary([sample[metric] for sample in samples]) for metric in samples[0]
                }
                for name, samples in self.samples.items()
                if samples
            },
            "failed": self.failed,
            "skipped": self.skipped,
            "claims": [self.claim(claim) for claim in self.row.claims],
        }


def measure(
    row: Row,
    port: int,
    *,
    rounds: int,
    target: float,
    verbose: bool,
    before: Path | None = None,
) -> Measured:
    """``rounds`` rounds, in each of which every contender runs for about ``target`` seconds.

    ``before``: the checkout of the contenders that are named so.
    """
    measured = Measured(row)
    with ExitStack() as stack:
        run = _runner(row, port, stack, verbose, before)
        counts = _calibrate(measured, run, target) if row.warm else {}
        for k in range(rounds):
            running = measured.running()
            start = k % max(1, len(running))
            for contender in running[start:] + running[:start]:  # nobody is always first
                measured.add(contender, run(contender, counts.get(contender)))
    # A round without one of them is no round for the others either.
    for contender in (*measured.failed, *measured.skipped):
        measured.samples[contender] = []
    return measured


def _runner(
    row: Row, port: int, stack: ExitStack, verbose: bool, before: Path | None
) -> Callable[[str, int | None], dict[str, Any]]:
    workers: dict[str, Worker] = {}

    def run(contender: str, count: int | None) -> dict[str, Any]:
        peer = contender.removesuffix(BEFORE)
        root = before if before is not None and peer != contender else ROOT
        if row.task == "startup":
            return run_startup(row, peer, port, root)
        worker = workers.get(contender)
        if worker is None:
            environment = PEERS[peer].environment
            if environment and not (ROOT / environment).exists():
                return {"skipped": f"there is no {environment} (make codegen)"}
            worker = Worker(verbose=verbose, root=root, environment=environment)
            if not row.fresh:
                workers[contender] = worker
                stack.callback(worker.close)
        params = row.params if count is None else {**row.params, "count": count}
        result = worker.run(task=row.task, peer=peer, port=port, **params)
        if row.fresh:
            worker.close()
        return result

    return run


def _calibrate(
    measured: Measured, run: Callable[[str, int | None], dict[str, Any]], target: float
) -> dict[str, int]:
    """How much each has to do to be busy for ``target`` seconds, from a warming-up run."""
    row, counts = measured.row, {}
    for contender in row.contenders:
        warm = math.ceil(row.warm / row.params.get("group", 1))
        result = run(contender, warm)
        if "wall" in result and result["wall"] < target / 20:  # too short to say
            warm = min(warm * 20, max(warm, int(warm * target / 4 / max(result["wall"], 1e-5))))
            result = run(contender, warm)
        if measured.add(contender, result):
            measured.samples[contender].clear()
            counts[contender] = max(row.least, round(warm * target / result["wall"]))
    return counts
