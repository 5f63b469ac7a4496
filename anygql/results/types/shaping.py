"""Making the shape of a type, once for each type."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from .hints import bare_type, describe, field_types, is_class, is_required, is_typed_dict
from .models import ModelShape
from .names import TYPENAME, TYPENAME_FIELD, camel_case
from .objects import ObjectShape, UnionShape
from .renaming import Field
from .shapes import AnythingShape, EnumShape, LeafShape, ListShape, MappingShape, Shape, TupleShape

__all__ = ["shape_of"]

_COLLECTIONS: dict[Any, Callable[[Any], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Collection: list,
    collections.abc.Iterable: list,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
}
_MAPPINGS = {dict, collections.abc.Mapping, collections.abc.MutableMapping}
_UNIONS = (typing.Union, types.UnionType)


def shape_of(hint: Any, *, renames: bool) -> Shape:
    """Return the shape of a type.

    Args:
        hint: The type.
        renames: Whether fields that are ``first_name`` in Python are ``firstName`` in data.

    Raises:
        TypeError: No data can be converted to the type. The message names the field.
    """
    if _is_value(hint):
        raise TypeError(
            "result_type is a type, such as a dataclass or dict[str, Any], not a value of type "
            f"{hint.__class__.__name__}"
        )
    planner = _Planner(renames)
    try:
        shape = planner.plan(hint, "result_type")
    except RecursionError as exc:
        raise TypeError(f"result_type: {describe(hint)} is within itself, without a class") from exc
    planner.finish()
    return shape


def _is_value(hint: Any) -> bool:
    """Return whether this is a value where its type was meant."""
    if isinstance(hint, type):
        return False
    kind = hint.__class__
    return kind in (dict, list, set, tuple) or any(
        hasattr(kind, name)
        for name in ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__", "model_fields")
    )


class _Planner:
    def __init__(self, camel: bool) -> None:
        self._camel = camel
        self._shapes: list[Shape] = []
        self._known: dict[Any, Shape] = {}  # types with fields may contain themselves

    def finish(self) -> None:
        """Complete the shapes, by the shapes within them, when all have been made."""
        changed = True
        while changed:
            changed = False
            for shape in self._shapes:
                renames = shape.renames or any(child.renames for child in shape.children())
                native = shape.native and all(child.native for child in shape.children())
                native = native and (shape.can_rename or not renames)
                changed |= (native, renames) != (shape.native, shape.renames)
                shape.native, shape.renames = native, renames
        for shape in self._shapes:
            shape.native = shape.native and _why_unreadable(shape.type) is None
            shape.choose_read()
        for shape in self._shapes:
            shape.finish()

    def plan(self, hint: Any, where: str, *, within_model: bool = False) -> Shape:
        """Make the shape of a type; pydantic, which knows more types, reads it ``within_model``."""
        bare, metadata = bare_type(hint)
        cls = get_origin(bare) or bare
        arguments = get_args(bare)
        if bare is Any or bare is object:
            return self._add(AnythingShape(Any))
        if cls in _UNIONS:
            return self._union(bare, where, within_model)
        if _is_class_with_fields(cls):
            return self._fields(bare, cls, where, within_model)
        if _is_enum(cls):
            return self._add(AnythingShape(Any) if within_model else EnumShape(cls))
        whole = typing.Annotated[(bare, *metadata)] if metadata else bare
        if cls in _COLLECTIONS or (cls is tuple and arguments[1:] == (...,)):
            item = self.plan(arguments[0] if arguments else Any, where, within_model=within_model)
            make = _COLLECTIONS.get(cls, tuple)
            return self._add(ListShape(whole, item, make, metadata))
        if cls is tuple and arguments:
            items = [self.plan(one, where, within_model=within_model) for one in arguments]
            return self._add(TupleShape(whole, items))
        if cls in _MAPPINGS:
            of_key, of_item = arguments or (Any, Any)
            key = self.plan(of_key, where, within_model=within_model)
            item = self.plan(of_item, where, within_model=within_model)
            return self._add(MappingShape(whole, key, item, metadata))
        if within_model:
            return self._add(AnythingShape(Any))
        why = _why_unreadable(whole)
        if why is not None:
            raise TypeError(f"{where}: data can't be read as {describe(bare)}: {why}") from why
        return self._add(LeafShape(whole))

    def _add(self, shape: Shape) -> Shape:
        self._shapes.append(shape)
        return shape

    def _union(self, hint: Any, where: str, within_model: bool) -> Shape:
        # No data is read as UNSET, which stands for an absent field. No sets here: metadata of
        # Annotated may have no hash.
        absent = (type(None), msgspec.UnsetType)
        members = [(member, bare_type(member)[0]) for member in get_args(hint)]
        if any(bare in (Any, object) for _, bare in members):
            return self._add(AnythingShape(Any))
        groups: dict[str, list[Any]] = {"objects": [], "mapping": [], "sequence": [], "scalars": []}
        for member, bare in members:
            if bare in _UNIONS or get_origin(bare) in _UNIONS:  # an alias of a union
                return self._union(_flattened(hint), where, within_model)
            if bare not in absent:
                groups[_group_of(get_origin(bare) or bare)].append(member)
        for several in (groups["mapping"], groups["sequence"]):
            if several[1:] and not within_model:
                raise TypeError(
                    f"{where}: nothing tells apart {' and '.join(map(describe, several))}"
                )

        def plan(member: Any) -> Any:
            return self.plan(member, where, within_model=within_model)

        objects: list[Any] = [plan(member) for member in groups["objects"]]
        if not within_model:
            _refuse_same_tags(objects, where)
        return self._add(
            UnionShape(
                hint,
                nullable=any(bare is type(None) for _, bare in members),
                objects=objects,
                mapping=plan(groups["mapping"][0]) if groups["mapping"] else None,
                sequence=plan(groups["sequence"][0]) if groups["sequence"] else None,
                scalars=[] if within_model else self._scalars(groups["scalars"], where),
            )
        )

    def _scalars(self, members: list[Any], where: str) -> list[Shape]:
        enums = [member for member in members if _is_enum(bare_type(member)[0])]
        others = [member for member in members if member not in enums]
        if others[1:]:
            together: Any = typing.Union[tuple(others)]  # noqa: UP007 - made of a tuple
            if _why_unreadable(together) is None:
                return [*(self.plan(one, where) for one in enums), self._add(LeafShape(together))]
        others.sort(key=lambda member: bare_type(member)[0] is str)  # which takes any string
        return [self.plan(member, where) for member in (*enums, *others)]

    def _fields(self, hint: Any, cls: Any, where: str, within_model: bool) -> Shape:
        if issubclass(cls, msgspec.Struct) and cls.__struct_config__.array_like:
            return self._add(LeafShape(hint))
        if (hint, within_model) in self._known:
            return self._known[hint, within_model]
        shape: ModelShape | ObjectShape
        if hasattr(cls, "__pydantic_validator__"):
            shape = self._known[hint, within_model] = _model(hint, cls, where)
            found = _model_fields(cls)
            within_model = True
        else:
            shape = self._known[hint, within_model] = ObjectShape(hint, cls)
            found = _object_fields(shape, _types(hint, where))
            if within_model and not (dataclasses.is_dataclass(cls) or is_typed_dict(cls)):
                within_model = False  # pydantic doesn't read their fields
                shape.made_for_model = shape.renames = True
                shape.native = False
        self._add(shape)
        for name, type_, argument, required, declared in found:
            keys = declared or self._keys(name)
            child = self.plan(type_, f"{cls.__name__}.{name}", within_model=within_model)
            shape.fields.append(Field(name, keys, argument, required, child, bool(declared)))
            if not declared and keys != (name,):
                shape.renames = True
            literal = bare_type(type_)[0]
            if TYPENAME in keys and get_origin(literal) is Literal:
                shape.tags = frozenset(get_args(literal))
        return shape

    def _keys(self, name: str) -> tuple[str, ...]:
        """Return the names that a field may have in data, the one in GraphQL's spelling first."""
        if name == TYPENAME_FIELD:
            return TYPENAME, name
        key = camel_case(name) if self._camel else name
        return (name,) if key == name else (key, name)


def _why_unreadable(type_: Any) -> Exception | None:
    """Return why msgspec can't read a type, or ``None`` if it can."""
    try:
        msgspec.json.Decoder(type_)
        if is_class(type_):
            isinstance(None, type_)  # some protocols raise here
    except Exception as exc:  # noqa: BLE001 - evaluating annotations may raise anything
        return exc
    return None


def _is_enum(cls: Any) -> bool:
    return is_class(cls) and issubclass(cls, enum.Enum)


def _is_class_with_fields(cls: Any) -> bool:
    return is_class(cls) and (
        issubclass(cls, msgspec.Struct)
        or is_typed_dict(cls)
        or dataclasses.is_dataclass(cls)
        or hasattr(cls, "__attrs_attrs__")
        or hasattr(cls, "__pydantic_validator__")
    )


def _group_of(cls: Any) -> str:
    if _is_class_with_fields(cls):
        is_array = issubclass(cls, msgspec.Struct) and cls.__struct_config__.array_like
        return "sequence" if is_array else "objects"
    if cls in _MAPPINGS:
        return "mapping"
    is_tuple = is_class(cls) and issubclass(cls, tuple)
    return "sequence" if is_tuple or cls in _COLLECTIONS else "scalars"


def _flattened(hint: Any) -> Any:
    """Return a union in which aliases of unions are replaced by their members."""

    def members(one: Any) -> Iterator[Any]:
        bare = bare_type(one)[0]
        if get_origin(bare) in _UNIONS:
            for member in get_args(bare):
                yield from members(member)
        else:
            yield one

    return typing.Union[tuple(members(hint))]  # noqa: UP007 - made of a tuple


def _refuse_same_tags(shapes: list[ModelShape | ObjectShape], where: str) -> None:
    for index, one in enumerate(shapes):
        for other in shapes[:index]:
            if one.tag_field == other.tag_field and one.tags & other.tags:
                raise TypeError(
                    f"{where}: nothing tells apart {describe(other.type)} and "
                    f"{describe(one.type)}: both are for the same {one.tag_field}"
                )


class _FieldInfo(NamedTuple):
    """A field of a class. ``declared`` are its names in data that the class itself declares."""

    name: str
    type: Any
    argument: str
    required: bool
    declared: tuple[str, ...] = ()


def _types(hint: Any, where: str) -> dict[str, Any]:
    try:
        return field_types(hint)
    except Exception as exc:
        raise TypeError(
            f"{where}: the annotations of {describe(hint)} can't be evaluated: {exc}"
        ) from exc


def _object_fields(shape: ObjectShape, types: dict[str, Any]) -> list[_FieldInfo]:
    """Return the fields of a class, and set the other attributes of its shape."""
    cls: Any = shape.cls
    if is_typed_dict(cls):
        shape.makes_dict = True
        required = cls.__required_keys__
        return [
            _FieldInfo(name, type_, name, is_required(type_, name in required))
            for name, type_ in types.items()
        ]
    if issubclass(cls, msgspec.Struct):
        config = cls.__struct_config__
        shape.forbids_unknown = config.forbid_unknown_fields
        if config.tag_field is not None:
            shape.tagged = True
            shape.tag_field = config.tag_field
            shape.tags = frozenset([config.tag])
        return [
            _FieldInfo(
                field.name,
                types[field.name],
                field.name,
                field.required,
                () if field.encode_name == field.name else (field.encode_name,),
            )
            for field in msgspec.structs.fields(cls)
        ]
    if hasattr(cls, "__dataclass_params__"):
        parameters: Any = cls.__dataclass_params__
        fields = [field for field in _dataclass_fields(cls) if field.init]
        # msgspec sets the fields itself and doesn't call the constructor.
        shape.native = len(fields) == len(_dataclass_fields(cls)) and parameters.init
        return [
            _FieldInfo(
                f.name,
                types[f.name],
                f.name,
                f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
            )
            for f in fields
        ]
    return _attrs_fields(shape, types)


def _dataclass_fields(cls: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _attrs_fields(shape: ObjectShape, types: dict[str, Any]) -> list[_FieldInfo]:
    from attr import NOTHING

    cls: Any = shape.cls
    attributes: list[Any] = list(cls.__attrs_attrs__)
    shape.native = all(a.init and a.converter is None for a in attributes)
    return [
        _FieldInfo(
            a.name,
            # Only the converter knows which types it takes.
            types.get(a.name, Any) if a.converter is None else Any,
            a.alias,
            a.default is NOTHING,
        )
        for a in attributes
        if a.init
    ]


def _model(hint: Any, cls: Any, where: str) -> ModelShape:
    if not getattr(cls, "__pydantic_complete__", True):
        try:
            if hasattr(cls, "model_rebuild"):
                cls.model_rebuild()
            else:
                sys.modules["pydantic"].dataclasses.rebuild_dataclass(cls)
        except Exception as exc:
            raise TypeError(f"{where}: the model {describe(hint)} is not complete: {exc}") from exc
    shape = ModelShape(hint, cls)
    shape.root = bool(getattr(cls, "__pydantic_root_model__", False))
    return shape


def _model_fields(cls: Any) -> list[_FieldInfo]:
    return [
        _FieldInfo(
            name,
            info.annotation,
            name,
            info.is_required(),
            _aliases(info.validation_alias or info.alias),
        )
        for name, info in cls.__pydantic_fields__.items()
    ]


def _aliases(alias: Any) -> tuple[str, ...]:
    """Return the names among pydantic's aliases, which may also be paths into the data."""
    if isinstance(alias, str):
        return (alias,)
    choices: list[Any] = getattr(alias, "choices", [alias])
    paths = [getattr(choice, "path", [choice]) for choice in choices]
    return tuple(path[0] for path in paths if isinstance(path[0], str))
