"""The version of this package. Reading it from installed metadata would take milliseconds."""

from __future__ import annotations

__all__ = ["VERSION"]

#: The version in ``pyproject.toml``; a test compares them.
VERSION = "0.1.0"
