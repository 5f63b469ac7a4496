"""Progress on a terminal's stderr, by rich; in a pipe there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["counting", "measuring"]


def _options() -> dict[str, Any]:
    from rich.console import Console

    # It would take what is printed on stdout for itself.
    own = {"redirect_stdout": False, "redirect_stderr": False}
    return {"console": Console(stderr=True), "transient": True, **own}


@contextmanager
def counting(what: str, total: int | None = None) -> Generator[Callable[[int], None]]:
    """Give a function that is told how many more are done."""
    if not sys.stderr.isatty():
        yield lambda more: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, **_options()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda more: progress.advance(task, more)


@contextmanager
def measuring(what: str) -> Generator[Callable[[int, int | None], None] | None]:
    """Give a function that is told how many bytes are sent, and of how many."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, **_options()) as progress:
        task = progress.add_task(what, total=None)
        yield lambda sent, size: progress.update(task, completed=sent, total=size)
