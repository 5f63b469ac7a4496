"""The shape of a pydantic model. pydantic isn't imported.

pydantic reads models by its own rules, with validators and defaults. This module renames the fields
in data before, and translates pydantic's errors to paths in data afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .objects import FieldsShape, UnionShape
from .shapes import ListShape, MappingShape, Mismatch, Shape, is_list, is_object

__all__ = ["ModelShape"]


class ModelShape(FieldsShape):
    """A pydantic model or dataclass, which pydantic reads."""

    native = False
    root = False  #: whether it is a RootModel, whose only field has the whole data

    def __init__(self, type: Any, cls: type) -> None:
        super().__init__(type, cls)
        self._validate: Callable[[Any], Any] = cls.__pydantic_validator__.validate_python  # type: ignore[attr-defined]

    def convert(self, value: Any) -> Any:
        renamed = self.renamed(value)
        try:
            return self._validate(renamed)
        except ValueError as exc:
            errors = getattr(exc, "errors", None)
            if not callable(errors):
                raise
            found: Any = errors(include_url=True, include_context=False, include_input=False)
            raise self._mismatch(exc, value, found) from None

    def renamed(self, value: Any) -> Any:
        if self.root:
            return self.fields[0].shape.renamed(value) if self.renames else value
        return self._rename_fields(value)

    def _mismatch(self, cause: Exception, value: Any, errors: list[dict[str, Any]]) -> Mismatch:
        first = errors[0]
        what = str(first["msg"])
        if first["type"] == "union_tag_invalid":
            what = "none of the union's types is for this tag"
        elif first["type"] in {"value_error", "assertion_error"} or "url" not in first:
            what = f"a validator refused it ({first['type']})"  # whose text may quote the data
        more = f" (and {len(errors) - 1} more)" if errors[1:] else ""
        mismatch = Mismatch(what[:1].lower() + what[1:] + more, cause)
        path, mismatch.where = _locate(self, value, first["loc"])
        mismatch.path = path[::-1]
        return mismatch


def _locate(model: ModelShape, value: Any, loc: Sequence[Any]) -> tuple[list[str | int], str]:
    """Translate a location of pydantic's to the path in the data and the field's name.

    ``loc`` has pydantic's names of fields, and labels for the members of unions.
    """
    path: list[str | int] = []
    where = ""
    shape: Shape | None = model
    for part in loc:
        while True:
            if isinstance(shape, UnionShape):
                shape = shape.choose(value)
            elif isinstance(shape, ModelShape) and shape.root:
                shape = shape.fields[0].shape
            else:
                break
        within: dict[str, Any] = value if is_object(value) else {}
        if isinstance(shape, FieldsShape):
            named = (f for f in shape.fields if part == f.name or part in f.keys)
            field = next(named, None)
            if field is not None:
                key = next((key for key in field.keys if key in within), field.keys[0])
                path.append(key)
                where = shape.where(field)
                shape, value = field.shape, within.get(key)
                continue
        if isinstance(part, int) and is_list(value):
            path.append(part)
            value = value[part] if part < len(value) else None
            shape = shape.item if isinstance(shape, ListShape) else None
        elif part in within:
            path.append(str(part))
            value = within[part]
            shape = shape.item if isinstance(shape, MappingShape) else None
    return path, where
