"""The release this is. Reading it from the installed metadata takes milliseconds at start-up."""

from __future__ import annotations

__all__ = ["VERSION"]

#: As in ``pyproject.toml``, which a test compares.
VERSION = "0.1.0"
