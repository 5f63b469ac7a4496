"""The variables that an operation declares, and what is missing among those that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .spelling import SOMEWHAT_ALIKE, nearest

__all__ = ["DeclaredVariables"]

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
            meant = None if name in self.types else nearest(str(name), missing)
            if meant is not None:
                raise ValueError(
                    f"variables.{name}: the {_label(operation_name)} declares no ${name}. "
                    f"Did you mean {meant!r} ({self.types[meant]}), which is not given?"
                )

    def _missing(self, given: Mapping[str, Any], operation_name: str | None) -> str:
        missing = [name for name in self.required if name not in given]
        unknown = tuple(str(name) for name in given if name not in self.types)
        listed = ", ".join(f"${name} ({self.types[name]})" for name in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if missing[_SHOWN:] else ""
        hints = [
            f" Did you mean {name!r} where {slip!r} is given?"
            for name in missing
            if (slip := nearest(name, unknown, SOMEWHAT_ALIKE)) is not None
        ]
        verb = "is" if len(missing) == 1 else "are"
        return (
            f"the {_label(operation_name)} requires {listed}{more}, which {verb} not given."
            f"{''.join(hints[:1])}"
        )


def _label(operation_name: str | None) -> str:
    return f"operation {operation_name!r}" if operation_name else "operation"
