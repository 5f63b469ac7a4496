"""Data as values of the user's types: dataclasses, models, and collections of them.

This package knows Python's types and not GraphQL's.
"""

from __future__ import annotations

from .conversion import ResultTypeError, conversion, converter

__all__ = ["ResultTypeError", "conversion", "converter"]
