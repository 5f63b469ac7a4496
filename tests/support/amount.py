"""How much is tried: a part by default, everything in ``make reliability``."""

from __future__ import annotations

import os

__all__ = ["EVERYTHING", "EVERY_LOOP"]

#: Every checkpoint, every restart, every loop, gibibytes.
EVERYTHING = os.environ.get("ANYGQL_EVERYTHING") == "1"

#: Every loop for each test, and for each row of a table.
EVERY_LOOP = EVERYTHING or os.environ.get("ANYGQL_EVERY_LOOP") == "1"
