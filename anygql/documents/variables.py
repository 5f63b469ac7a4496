"""The variables that an operation declares, and what is missing among those that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

__all__ = ["DeclaredVariables"]

#: How alike two names must be for one to be taken for a slip of the other: ``nmae`` and ``name``
#: are as alike as this.
_ALIKE = 0.75

#: The same where something is missing for certain, so that a wrong guess only misleads.
_SOMEWHAT_ALIKE = 0.5

#: Names are compared in time that grows with the product of their lengths.
_LONGEST = 100

#: How many variables a message lists.
_SHOWN = 10


class DeclaredVariables:
    """The variables that one operation declares (specification §5.8).

    Args:
        types: The declared type of each, by name, as text.
        required: The names of those that must be given: non-null and without a default.
    """

    __slots__ = ("required", "types")

    def __init__(self, types: dict[str, str], required: Sequence[str] = ()) -> None:
        self.types = types
        self.required = list(required)

    def declare(self, name: str, type_: str, *, has_default: bool) -> None:
        """Add a variable."""
        self.types[name] = type_
        if type_.endswith("!") and not has_default:
            self.required.append(name)

    def check(self, given: Mapping[str, Any] | None, operation_name: str | None) -> None:
        """Refuse variables that can't be meant, before they are sent.

        A name that isn't declared is ignored by servers (specification §6.1.2,
        "CoerceVariableValues"), so it passes, unless it looks like a declared one that is missing.

        Raises:
            ValueError: A required variable is missing, or a name looks misspelled. The message has
                names and declared types, and no value.
        """
        given = given or {}
        for name in self.required:
            if name not in given:
                raise ValueError(self._missing(given, operation_name))
        if given and not all(map(self.types.__contains__, given)):
            self._check_unknown(given, operation_name)

    def _check_unknown(self, given: Mapping[str, Any], operation_name: str | None) -> None:
        missing = tuple(name for name in self.types if name not in given)
        for name in given:
            nearest = None if name in self.types else _nearest(str(name), missing)
            if nearest is not None:
                raise ValueError(
                    f"variables.{name}: the {_label(operation_name)} declares no ${name}. "
                    f"Did you mean {nearest!r} ({self.types[nearest]}), which is not given?"
                )

    def _missing(self, given: Mapping[str, Any], operation_name: str | None) -> str:
        missing = [name for name in self.required if name not in given]
        unknown = tuple(str(name) for name in given if name not in self.types)
        listed = ", ".join(f"${name} ({self.types[name]})" for name in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if missing[_SHOWN:] else ""
        hints = [
            f" Did you mean {name!r} where {slip!r} is given?"
            for name in missing
            if (slip := _nearest(name, unknown, _SOMEWHAT_ALIKE)) is not None
        ]
        verb = "is" if len(missing) == 1 else "are"
        return (
            f"the {_label(operation_name)} requires {listed}{more}, which {verb} not given."
            f"{''.join(hints[:1])}"
        )


def _label(operation_name: str | None) -> str:
    return f"operation {operation_name!r}" if operation_name else "operation"


@lru_cache(maxsize=1024)
def _nearest(name: str, candidates: tuple[str, ...], alike: float = _ALIKE) -> str | None:
    """Return the candidate that ``name`` looks like a slip of, if there is one."""
    if len(name) > _LONGEST:
        return None
    plain = _plain(name)
    ratios = [
        (SequenceMatcher(None, plain, _plain(candidate), autojunk=False).ratio(), candidate)
        for candidate in candidates
        if len(candidate) <= _LONGEST
    ]
    ratio, candidate = max(ratios, default=(0.0, ""), key=lambda found: found[0])
    return candidate if ratio >= alike else None


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
