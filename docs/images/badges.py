"""Make the badges of README.md from what pyproject.toml says: ``make pictures``.

They are files of this repository, so that they are true of the checkout that shows them, and
nothing is fetched from another host.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

HERE = Path(__file__).parent

BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {text}">
  <title>{label}: {text}</title>
  <clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>
  <g clip-path="url(#r)">
    <rect width="{left}" height="20" fill="#555"/>
    <rect x="{left}" width="{right}" height="20" fill="{color}"/>
  </g>
  <g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
    <text x="{label_at}" y="14" textLength="{label_length}">{label}</text>
    <text x="{text_at}" y="14" textLength="{text_length}">{text}</text>
  </g>
</svg>
"""  # noqa: E501 - one element a line

#: How wide a letter is, on average, and what is beside a text, in pixels.
LETTER, PADDING = 6.6, 6


def badges() -> dict[str, tuple[str, str, str]]:
    """Return what each badge says: its label, its text and its color."""
    project = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    about = project["project"]
    classifiers = [each.split(" :: ") for each in about["classifiers"]]
    versions = [each[-1] for each in classifiers if each[-1].startswith("3.")]
    loops = [each[-1].lower() for each in classifiers if each[0] == "Framework"]
    is_strict = project["tool"]["mypy"]["strict"] and project["tool"]["pyright"]["strict"]
    return {
        "python": ("python", " | ".join(versions), "#3775a9"),
        "loops": ("runs on", " | ".join(loop for loop in loops if loop != "anyio"), "#4c1"),
        "typing": ("typed", "mypy and pyright, strict" if is_strict else "yes", "#3775a9"),
        "license": ("license", about["license"], "#4c1"),
    }


def drawn(label: str, text: str, color: str) -> str:
    """Return the badge as SVG."""
    label_length, text_length = (round(len(each) * LETTER) for each in (label, text))
    left, right = label_length + 2 * PADDING, text_length + 2 * PADDING
    return BADGE.format(
        label=label,
        text=text,
        color=color,
        left=left,
        right=right,
        width=left + right,
        label_at=left / 2,
        text_at=left + right / 2,
        label_length=label_length,
        text_length=text_length,
    )


if __name__ == "__main__":
    for name, badge in badges().items():
        (HERE / f"badge-{name}.svg").write_text(drawn(*badge), encoding="utf-8")
