"""How much is tried: a part by default, everything in ``make reliability``."""

from __future__ import annotations

import os

__all__ = ["EVERYTHING"]

#: Every checkpoint, every restart, both loops for each row of a table, gibibytes.
EVERYTHING = os.environ.get("ANYGQL_EVERYTHING") == "1"
