"""Building a schema from an introspection result (specification §4.2).

graphql-core's builder takes only a complete and correct result of its own query. Servers omit
features that they don't have and lists that are empty, and saved results come from other tools'
queries. So a result is first read leniently: an omission that can only mean one thing is filled in,
and any other raises an error with its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ..results.result import ExecutionResult
from .errors import IntrospectionError

if TYPE_CHECKING:
    from graphql import GraphQLSchema

__all__ = ["build_client_schema"]

_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*", re.ASCII)
_STANDARD_SCALARS = ("Int", "Float", "String", "Boolean", "ID")
_KINDS = ("SCALAR", "OBJECT", "INTERFACE", "UNION", "ENUM", "INPUT_OBJECT")
_WRAPPERS = ("LIST", "NON_NULL")
_IF_ARGUMENT = {
    "name": "if",
    "type": {"kind": "NON_NULL", "ofType": {"kind": "SCALAR", "name": "Boolean"}},
}
#: Directives that every executor has, even if it doesn't list them (specification §3.13).
_STANDARD_DIRECTIVES = tuple(
    {
        "name": name,
        "locations": ["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"],
        "args": [_IF_ARGUMENT],
    }
    for name in ("skip", "include")
)


def build_client_schema(
    introspection: Mapping[str, Any] | ExecutionResult, assume_valid: bool = False
) -> GraphQLSchema:
    """Build the schema that an introspection result describes, without resolvers.

    Args:
        introspection: The result, as ``{"__schema": …}``, as the whole response
            ``{"data": {"__schema": …}}``, or as an ``ExecutionResult``.
        assume_valid: Whether to skip the check against the rules for schemas, which otherwise
            precedes the first validation; ``False`` by default. Some servers break a rule and
            still work.

    Raises:
        IntrospectionError: Something is missing or contradictory. The message has its path. This
            is a ``ValueError``.
        TypeError: ``introspection`` is no introspection result.
    """
    from graphql import GraphQLError
    from graphql import build_client_schema as build

    complete = {"__schema": _Reader(_schema_in(introspection)).schema()}
    try:
        return build(cast("Any", complete), assume_valid)
    except (GraphQLError, TypeError, ValueError) as error:
        raise IntrospectionError(f"the introspection result contradicts itself: {error}") from error


def _schema_in(source: object) -> Mapping[str, Any]:
    """Return the value of ``__schema`` in a result of any form."""
    data: Any
    errors: Any
    if isinstance(source, Mapping):
        response = cast("Mapping[str, Any]", source)
        data, errors = response.get("data", response), response.get("errors")
    else:
        # graphql-core's results have the same attributes as ours.
        data, errors = getattr(source, "data", source), getattr(source, "errors", None)
    if isinstance(data, Mapping):
        found: Any = cast("Mapping[str, Any]", data).get("__schema")
        if isinstance(found, Mapping):
            return cast("Mapping[str, Any]", found)
    if errors:
        first: object = cast("list[Any]", errors)[0] if isinstance(errors, list) else errors
        raise IntrospectionError(f"the introspection result has no schema, but errors: {first!r}")
    if data is None or isinstance(data, Mapping):
        keys = ", ".join(map(repr, cast("Mapping[str, Any]", data or {}))) or "nothing"
        raise IntrospectionError(f"the introspection result has no '__schema', but {keys}")
    raise TypeError(
        f"an introspection result is a mapping, not {type(cast('object', source)).__name__}"
    )


class _Reader:
    """Reads one introspection result. ``where`` is the path to the part that is read."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        from graphql import DirectiveLocation, introspection_types

        self._schema = schema
        self._introspection = frozenset(introspection_types)
        self._locations = frozenset(location.name for location in DirectiveLocation)
        self._known: set[str] = set()
        self._missing: set[str] = set()

    def schema(self) -> dict[str, Any]:
        raw = self._schema
        if not isinstance(raw.get("types"), list):
            raise IntrospectionError("'__schema.types' is missing or no list")
        named = list(self._named_items(raw["types"], "__schema.types"))
        self._known = {name for name, _, _ in named}
        types = [self._type(name, type_, where) for name, type_, where in named]
        directives = self._directives(raw.get("directives"))
        roots = {
            key: self._root(raw.get(key), f"__schema.{key}")
            for key in ("queryType", "mutationType", "subscriptionType")
        }
        # Some servers use standard scalars without listing them.
        types += [{"kind": "SCALAR", "name": name} for name in sorted(self._missing)]
        return {
            "description": _text(raw.get("description")),
            "types": types,
            "directives": directives,
            **roots,
        }

    def _named_items(self, raw: Any, where: str) -> Iterator[tuple[str, Mapping[str, Any], str]]:
        """Yield each mapping of a list with its name and path; yield nothing for ``None``."""
        if raw is None:
            return
        if not isinstance(raw, list):
            raise IntrospectionError(f"{where!r} is no list")
        for index, item in enumerate(cast("list[Any]", raw)):
            name: Any = (
                cast("Mapping[str, Any]", item).get("name") if isinstance(item, Mapping) else None
            )
            if not isinstance(name, str) or not name:
                raise IntrospectionError(f"'{where}[{index}]' has no name")
            if not _NAME.fullmatch(name):
                raise IntrospectionError(
                    f"'{where}[{index}]' is called {name!r}, which is no name in GraphQL"
                )
            yield name, item, f"{where}.{name}"

    def _type(self, name: str, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        kind = raw.get("kind")
        if kind not in _KINDS:
            raise IntrospectionError(
                f"'{where}.kind' must be one of {', '.join(_KINDS)}, but is {kind!r}"
            )
        read: dict[str, Any] = {
            "kind": kind,
            "name": name,
            "description": _text(raw.get("description")),
        }
        if name in self._introspection:
            # graphql-core replaces these by its own.
            read.update(fields=[], interfaces=[], enumValues=[])
        elif kind == "SCALAR":
            # Drafts called it specifiedByUrl, and some servers still do.
            url = raw.get("specifiedByURL", raw.get("specifiedByUrl"))
            read["specifiedByURL"] = _text(url)
        elif kind in {"OBJECT", "INTERFACE"}:
            self._require(raw, "fields", where)
            read["fields"] = self._read_named(raw["fields"], f"{where}.fields", self._field)
            read["interfaces"] = self._references(raw.get("interfaces"), f"{where}.interfaces")
        elif kind == "UNION":
            self._require(raw, "possibleTypes", where)
            read["possibleTypes"] = self._references(raw["possibleTypes"], f"{where}.possibleTypes")
        elif kind == "ENUM":
            self._require(raw, "enumValues", where)
            read["enumValues"] = self._read_named(raw["enumValues"], f"{where}.enumValues", _member)
        else:
            self._require(raw, "inputFields", where)
            read["inputFields"] = self._read_named(
                raw["inputFields"], f"{where}.inputFields", self._input
            )
            read["isOneOf"] = raw.get("isOneOf") is True
        return read

    def _require(self, raw: Mapping[str, Any], key: str, where: str) -> None:
        if raw.get(key) is None:
            raise IntrospectionError(
                f"'{where}.{key}' is missing: it takes the full introspection query"
            )

    def _read_named(
        self, raw: Any, where: str, read: Callable[[str, Mapping[str, Any], str], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        return [read(name, item, place) for name, item, place in self._named_items(raw, where)]

    def _field(self, name: str, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        return {
            "name": name,
            "description": _text(raw.get("description")),
            "args": self._read_named(raw.get("args"), f"{where}.args", self._input),
            "type": self._reference(raw.get("type"), f"{where}.type"),
            "deprecationReason": _deprecation(raw),
        }

    def _input(self, name: str, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        return {
            "name": name,
            "description": _text(raw.get("description")),
            "type": self._reference(raw.get("type"), f"{where}.type"),
            "defaultValue": _default(raw.get("defaultValue")),
            "deprecationReason": _deprecation(raw),
        }

    def _references(self, raw: Any, where: str) -> list[dict[str, Any]]:
        """Read references to types that are not wrapped."""
        return [self._reference(item, place) for _, item, place in self._named_items(raw, where)]

    def _root(self, raw: Any, where: str) -> dict[str, Any] | None:
        return None if raw is None else self._reference(raw, where)

    def _reference(self, raw: Any, where: str) -> dict[str, Any]:
        """Read a reference to a type, with the lists and non-nulls around it."""
        if not isinstance(raw, Mapping):
            raise IntrospectionError(f"'{where}' is missing, or no mapping")
        reference = cast("Mapping[str, Any]", raw)
        kind = reference.get("kind")
        if kind in _WRAPPERS:
            inner = reference.get("ofType")
            if inner is None:
                raise IntrospectionError(
                    f"'{where}' is cut off: its type is wrapped more often than the introspection "
                    "query reaches (ask with a larger type_depth)",
                    cut_off=True,
                )
            return {"kind": kind, "ofType": self._reference(inner, f"{where}.ofType")}
        name: Any = reference.get("name")
        if not isinstance(name, str):
            raise IntrospectionError(f"'{where}' has neither a name nor the kind LIST or NON_NULL")
        if name not in self._known:
            if name not in _STANDARD_SCALARS:
                raise IntrospectionError(
                    f"'{where}' is {name!r}, which is not among '__schema.types'"
                )
            self._missing.add(name)
        return {"kind": "", "name": name}

    def _directives(self, raw: Any) -> list[dict[str, Any]]:
        read = self._read_named(raw, "__schema.directives", self._directive)
        names = {directive["name"] for directive in read}
        if not {"skip", "include"} <= names and "Boolean" not in self._known:
            self._missing.add("Boolean")
        return [
            *read,
            *(directive for directive in _STANDARD_DIRECTIVES if directive["name"] not in names),
        ]

    def _directive(self, name: str, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        locations: Any = raw.get("locations")
        if not isinstance(locations, list):
            raise IntrospectionError(f"'{where}.locations' is missing, or no list")
        return {
            "name": name,
            "description": _text(raw.get("description")),
            "isRepeatable": raw.get("isRepeatable") is True,
            # graphql-core can't use locations of later specifications.
            "locations": [place for place in cast("list[Any]", locations) if self._is_place(place)],
            "args": self._read_named(raw.get("args"), f"{where}.args", self._input),
        }

    def _is_place(self, place: object) -> bool:
        return isinstance(place, str) and place in self._locations


def _member(name: str, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Read one member of an enum."""
    if name in {"true", "false", "null"}:
        raise IntrospectionError(f"{where!r} is a literal, and can't be a member of an enum")
    description = _text(raw.get("description"))
    return {"name": name, "description": description, "deprecationReason": _deprecation(raw)}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _deprecation(raw: Mapping[str, Any]) -> str | None:
    """Return the reason for a deprecation; some servers give none."""
    reason = _text(raw.get("deprecationReason"))
    if reason is None and raw.get("isDeprecated") is True:
        from graphql import DEFAULT_DEPRECATION_REASON

        return DEFAULT_DEPRECATION_REASON
    return reason


def _default(value: Any) -> str | None:
    """Return a default value as a GraphQL literal.

    Some servers send JSON, or their programming language's notation. A default that can't be read
    is kept as a string: without a default, an optional argument would become a required one.
    """
    if value is None:
        return None
    from graphql import GraphQLSyntaxError, parse_const_value

    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    try:
        parse_const_value(text)
    except GraphQLSyntaxError:
        return msgspec.json.encode(text).decode()
    return text
