"""The kinds of JSON values. Unlike ``isinstance``, these narrow no type."""

from __future__ import annotations

from typing import Any

__all__ = ["is_array", "is_object"]


def is_object(value: Any) -> bool:
    """Return whether a value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: Any) -> bool:
    """Return whether a value is a JSON array."""
    return isinstance(value, list)
