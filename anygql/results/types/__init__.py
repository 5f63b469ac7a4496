"""Data as values of the user's own types: dataclasses, models, and what is built of them.

Nothing here knows GraphQL's types, only Python's.
"""

from __future__ import annotations

from .conversion import ResultTypeError, converter

__all__ = ["ResultTypeError", "converter"]
