"""How a field of a Python type is selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .arguments import Directive, Variable, arguments_of, checked_directive, condition
from .names import checked_name
from .nodes import FieldSelection, Selection

__all__ = ["Field"]


class Field:
    """How a field of a type is selected: ``height: Annotated[float, Field(args={…})]``. Immutable.

    Args:
        name: The field's name in the schema, if it isn't the name in the data. The latter is then
            its alias. Default: ``None``.
        args: Its arguments, by name; values become variables. Default: none.
        include: The variable, or the value for one, by which the server includes the field. The
            field needs a default. A variable without a name is ``$includeHeight``. Default:
            ``None``, always.
        skip: The same for leaving it out. Default: ``None``, never.
        directives: Further directives. Default: none.
        omit: Whether the field isn't selected at all; it needs a default. Default: ``False``.
    """

    __slots__ = ("_arguments", "_conditions", "_directives", "_name", "omit")

    def __init__(
        self,
        name: str | None = None,
        *,
        args: Mapping[str, Any] | None = None,
        include: bool | Variable | None = None,
        skip: bool | Variable | None = None,
        directives: Sequence[Directive] = (),
        omit: bool = False,
    ) -> None:
        self._name = None if name is None else checked_name(name, "a field")
        self._arguments = arguments_of(args, {})
        self._conditions = [
            (key, given)
            for key, given in (("include", include), ("skip", skip))
            if given is not None
        ]
        for key, given in self._conditions:
            condition(key, "", given)  # raises for what is none
        self._directives = tuple(map(checked_directive, directives))
        self.omit = omit

    @property
    def may_be_absent(self) -> bool:
        """Whether the field may be missing in the response."""
        return self.omit or bool(self._conditions)

    def selection(self, key: str, selections: tuple[Selection, ...]) -> FieldSelection[Any]:
        """Return the selection of the field, by its name in the data."""
        name = self._name or key
        conditions = (condition(which, key, given) for which, given in self._conditions)
        return FieldSelection(
            name=name,
            response_name=None if name == key else key,
            arguments=self._arguments,
            selections=selections,
            attached=(*conditions, *self._directives),
        )
