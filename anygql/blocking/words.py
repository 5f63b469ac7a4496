"""Docstrings of ``anygql`` in the words of ``anygql.blocking``."""

from __future__ import annotations

import inspect
import re

__all__ = ["without_await"]

#: What docstrings say, as regular expressions, and what they say of blocking calls.
_WORDS = (
    (r"``async with``", "``with``"),
    (r"``async for``", "``for``"),
    (r"\basync (with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bCanceling\b", "Ctrl-C"),
    (r"\bcanceling\b", "Ctrl-C"),
    (r"If canceled\b", "If interrupted"),
    (r"A function or async function that is called", "A function that is called"),
    (r"\bdropping that cancels the\b", "dropping that abandons the"),
    (r"``aclose``", "``close``"),
)


def without_await(text: str) -> str:
    """Return a docstring, with the indentation taken away, as it holds for blocking calls."""
    text = inspect.cleandoc(text)
    for pattern, replacement in _WORDS:
        text = re.sub(pattern, replacement, text)
    return text
