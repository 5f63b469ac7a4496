"""How much is tried: a part by default, everything in ``make reliability``."""

from __future__ import annotations

import datetime
import os

__all__ = ["DAY", "EVERYTHING", "EVERY_LOOP", "examples"]

#: Every checkpoint, every restart, every loop, gibibytes.
EVERYTHING = os.environ.get("ANYGQL_EVERYTHING") == "1"

#: Every loop for each test, and for each row of a table.
EVERY_LOOP = EVERYTHING or os.environ.get("ANYGQL_EVERY_LOOP") == "1"

#: What chooses the part that is tried: set it to try the part of another day.
DAY = os.environ.get("ANYGQL_DAY") or datetime.date.today().isoformat()
os.environ["ANYGQL_DAY"] = DAY  # workers that are started at midnight have the same day


def examples(count: int) -> int:
    """Return how many examples hypothesis tries: a quarter of ``count``, or all of them.

    Hypothesis makes others in each run. Tests that use this are marked ``sampled``.
    """
    return count if EVERYTHING else max(count // 4, 15)
