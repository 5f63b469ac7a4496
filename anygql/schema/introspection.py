"""Asking a server of any age for its schema (specification §4).

Each edition of the specification added fields to the introspection query, and a server refuses the
whole query for one field that it doesn't know. ``Introspection`` finds out which fields a server
knows, without I/O::

    introspection = Introspection()
    schema = None
    while schema is None:
        schema = introspection.answer(await session.execute_result(introspection.request()))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ..documents.request import GraphQLRequest
from ..exceptions import TransportProtocolError, TransportQueryError
from ..results.result import ExecutionResult
from .building import build_client_schema
from .errors import IntrospectionError

if TYPE_CHECKING:
    from graphql import GraphQLSchema

__all__ = ["Introspection", "IntrospectionOptions"]

#: The features that the query can leave out, and their names in servers' messages. The oldest
#: servers, of 2018, have none of them.
_NAMES_IN_MESSAGES = {
    "schema_description": re.compile(
        r"(?=.*\bdescription\b)(?=.*\b__schema\b)", re.IGNORECASE | re.DOTALL
    ),
    "specified_by_url": re.compile(r"\bspecifiedByUrl\b", re.IGNORECASE),
    "directive_is_repeatable": re.compile(r"\bisRepeatable\b", re.IGNORECASE),
    "input_value_deprecation": re.compile(
        r"\bincludeDeprecated\b|(?=.*\b(isDeprecated|deprecationReason)\b)(?=.*\b__InputValue\b)",
        re.IGNORECASE | re.DOTALL,
    ),
    "input_object_one_of": re.compile(r"\bisOneOf\b", re.IGNORECASE),
}
_FEATURES = frozenset(_NAMES_IN_MESSAGES)

#: The features to leave out, step by step, if the server doesn't say which one it refuses.
_LEFT_OUT_IN_TURN = (
    frozenset({"input_object_one_of"}),
    frozenset({"input_value_deprecation"}),
    _FEATURES,
)

#: A suggestion, which names fields that the server didn't refuse.
_SUGGESTION = re.compile(r"did you mean\b.*", re.IGNORECASE | re.DOTALL)
_TOO_DEEP = re.compile(r"\b(depth|deep|deeply|nest(ed|ing)|complex(ity)?)\b", re.IGNORECASE)
_DISABLED = re.compile(r"(?i:\bintrospection\b|INTROSPECTION_DISABLED)|['\"`]__schema\b")
_NOT_ALLOWED = frozenset({"UNAUTHENTICATED", "UNAUTHORIZED", "FORBIDDEN"})

#: How many wrappings of a type the query reaches: first, if that is refused, if it is too few.
_DEPTH, _SMALLER_DEPTHS, _LARGER_DEPTH = 9, (5, 3), 25
_MAX_DEPTH = 100
_MAX_REQUESTS = 6
#: After as many refusals, the query leaves out all features.
_REFUSALS_BEFORE_PLAINEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class IntrospectionOptions:
    """What to ask a server about its schema.

    Not every server knows the features whose default is ``None``. With ``None``, the query asks for
    the feature, and leaves it out if the server refuses it. With ``True``, a refusal raises an
    error. With ``False``, the query doesn't ask for the feature.

    Args:
        descriptions: The descriptions of types, fields, arguments, enum members and directives;
            ``True`` by default.
        schema_description: The description of the schema itself; asked for by default only with
            ``descriptions``.
        specified_by_url: The URLs of scalars' specifications.
        directive_is_repeatable: Which directives are repeatable.
        input_value_deprecation: Deprecated arguments and input fields, which are left out
            otherwise.
        input_object_one_of: Which input types take exactly one of their fields.
        type_depth: How many lists and non-nulls around a type the query reaches, from 1 to 100.
            ``None`` (the default) is 9, or 5 or 3 if the server finds the query too deep, or 25 if
            a type is wrapped more often.

    Raises:
        TypeError: An option has another type.
        ValueError: ``type_depth`` is out of range.
    """

    descriptions: bool = True
    schema_description: bool | None = None
    specified_by_url: bool | None = None
    directive_is_repeatable: bool | None = None
    input_value_deprecation: bool | None = None
    input_object_one_of: bool | None = None
    type_depth: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value: object = getattr(self, field.name)
            if field.name == "type_depth":
                self._check_depth(value)
            elif not isinstance(value, bool) and (value is not None or field.default is True):
                expected = "a bool" if field.default is True else "a bool or None"
                raise TypeError(f"{field.name} must be {expected}, not {value!r}")

    @staticmethod
    def _check_depth(value: object) -> None:
        if value is None:
            return
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"type_depth must be an int or None, not {value!r}")
        if not 1 <= value <= _MAX_DEPTH:
            raise ValueError(f"type_depth must be from 1 to {_MAX_DEPTH}, not {value}")


def _features(options: IntrospectionOptions, wanted: bool | None) -> frozenset[str]:
    return frozenset(name for name in _FEATURES if getattr(options, name) is wanted)


class Introspection:
    """The dialogue that asks one server for its schema, without I/O.

    Send ``request()`` and pass its result to ``answer()``, until that returns a schema. At most six
    requests are made.

    Args:
        options: What to ask for; by default everything that the server knows.
    """

    def __init__(self, options: IntrospectionOptions | None = None) -> None:
        options = options or IntrospectionOptions()
        self._descriptions = options.descriptions
        self._required = _features(options, True)
        self._optional = _features(options, None)
        if not options.descriptions:
            self._optional -= {"schema_description"}
        self._depth = options.type_depth or _DEPTH
        self._depths: tuple[int, ...] = () if options.type_depth else _SMALLER_DEPTHS
        self._larger_depth = None if options.type_depth else _LARGER_DEPTH
        self._requests_made = 0

    def request(self) -> GraphQLRequest:
        """Return the request to send next."""
        text = "\n".join(line for _, line in self._lines())
        return GraphQLRequest(text, operation_name="IntrospectionQuery")

    def answer(self, result: ExecutionResult) -> GraphQLSchema | None:
        """Take the result of ``request()`` and return the schema; ``None`` to ask again.

        The schema is not checked against the rules for schemas, since the server works with it.

        Raises:
            TransportQueryError: The server refuses the plainest query too, or doesn't allow
                introspection.
            TransportProtocolError: No schema can be built from the server's response.
        """
        self._requests_made += 1
        data: Any = result.data
        if isinstance(data, Mapping) and cast("Mapping[str, Any]", data).get("__schema"):
            try:
                return build_client_schema(cast("Mapping[str, Any]", data), assume_valid=True)
            except IntrospectionError as error:
                if error.cut_off and self._reach_further():
                    return None
                if not result.errors:
                    raise TransportProtocolError(
                        f"the server's introspection result can't be used: {error}"
                    ) from error
        elif not result.errors:
            raise TransportProtocolError(
                "the server answered the introspection query with neither a schema nor errors"
            )
        self._leave_out(result)
        return None

    def _reach_further(self) -> bool:
        if self._larger_depth is None or self._requests_made >= _MAX_REQUESTS:
            return False
        self._depth, self._larger_depth, self._depths = self._larger_depth, None, ()
        return True

    def _leave_out(self, result: ExecutionResult) -> None:
        """Leave out of the next query what the server refuses, or raise if that is impossible."""
        errors = [_Error.of(error) for error in result.errors or ()]
        refused = self._refused(errors)
        if named := refused & self._required:
            names = ", ".join(sorted(named))
            self._give_up(result, f"the server refuses what was asked for by {names}")
        if self._requests_made >= _MAX_REQUESTS:
            self._give_up(result, "the server refuses each form of the introspection query")
        if refused:
            self._drop(refused)
        elif any(error.not_allowed for error in errors):
            self._give_up(result, "the server refuses the introspection query")
        elif any(_DISABLED.search(error.all_words) for error in errors):
            self._give_up(
                result,
                "the server does not allow introspection (its schema can be given to the client "
                "instead, as SDL or a saved introspection result)",
            )
        elif self._depths and any(_TOO_DEEP.search(error.message) for error in errors):
            # A larger depth would be refused too.
            self._depth, *rest = self._depths
            self._depths, self._larger_depth = tuple(rest), None
        elif self._optional:
            self._drop(next(step for step in _LEFT_OUT_IN_TURN if step & self._optional))
        else:
            self._give_up(result, "the server refuses the introspection query")

    def _refused(self, errors: list[_Error]) -> frozenset[str]:
        """Return the features that errors name, or at whose lines of the query they point."""
        wanted = self._optional | self._required
        lines = [feature for feature, _ in self._lines()]
        found: set[str] = set()
        for error in errors:
            found.update(name for name in wanted if _NAMES_IN_MESSAGES[name].search(error.message))
            for line in error.lines:
                feature = lines[line - 1] if 1 <= line <= len(lines) else None
                if feature is not None:
                    found.add(feature)
        return frozenset(found)

    def _drop(self, features: frozenset[str]) -> None:
        self._optional -= (
            _FEATURES if self._requests_made >= _REFUSALS_BEFORE_PLAINEST else features
        )

    @staticmethod
    def _give_up(result: ExecutionResult, what: str) -> NoReturn:
        errors = result.errors or []
        more = f" (and {len(errors) - 1} more)" if errors[1:] else ""
        reason = _Error.of(errors[0]).whole_message if errors else "no reason given"
        raise TransportQueryError(
            f"{what}: {reason}{more}", errors=errors, data=result.data, extensions=result.extensions
        )

    def _lines(self) -> Iterator[tuple[str | None, str]]:
        """Yield the lines of the query, each with its feature; ``None`` if it can't be left out."""
        wanted = self._optional | self._required
        deprecated = "input_value_deprecation" in wanted
        inputs = "(includeDeprecated: true)" if deprecated else ""
        described = [(None, "description")] if self._descriptions else []
        input_feature = "input_value_deprecation" if deprecated else None

        def optional(name: str, line: str) -> list[tuple[str | None, str]]:
            return [(name, line)] if name in wanted else []

        yield None, "query IntrospectionQuery {"
        yield None, "__schema {"
        yield from optional("schema_description", "description")
        yield None, "queryType { name }"
        yield None, "mutationType { name }"
        yield None, "subscriptionType { name }"
        yield None, "types { ...FullType }"
        yield None, "directives {"
        yield None, "name"
        yield from described
        yield from optional("directive_is_repeatable", "isRepeatable")
        yield None, "locations"
        yield input_feature, f"args{inputs} {{ ...InputValue }}"
        yield None, "}}}"
        yield None, "fragment FullType on __Type {"
        yield None, "kind name"
        yield from described
        yield from optional("specified_by_url", "specifiedByURL")
        yield from optional("input_object_one_of", "isOneOf")
        yield None, "fields(includeDeprecated: true) {"
        yield None, "name"
        yield from described
        yield input_feature, f"args{inputs} {{ ...InputValue }}"
        yield None, "type { ...TypeRef }"
        yield None, "isDeprecated deprecationReason"
        yield None, "}"
        yield input_feature, f"inputFields{inputs} {{ ...InputValue }}"
        yield None, "interfaces { ...TypeRef }"
        yield None, "enumValues(includeDeprecated: true) {"
        yield None, "name"
        yield from described
        yield None, "isDeprecated deprecationReason"
        yield None, "}"
        yield None, "possibleTypes { ...TypeRef }"
        yield None, "}"
        yield None, "fragment InputValue on __InputValue {"
        yield None, "name"
        yield from described
        yield None, "type { ...TypeRef }"
        yield None, "defaultValue"
        yield from optional("input_value_deprecation", "isDeprecated deprecationReason")
        yield None, "}"
        yield None, "fragment TypeRef on __Type {"
        yield None, "kind name" + " ofType { kind name" * self._depth + " }" * self._depth
        yield None, "}"


@dataclass(frozen=True, slots=True)
class _Error:
    """The message, lines and code of a GraphQL error: JSON, or graphql-core's object."""

    whole_message: str
    lines: tuple[int, ...]
    code: str

    @classmethod
    def of(cls, error: Any) -> _Error:
        if isinstance(error, Mapping):
            found = cast("Mapping[str, Any]", error)
        else:
            names = ("message", "locations", "extensions")
            found = {name: getattr(error, name, None) for name in names}
        message = found.get("message")
        extensions: Any = found.get("extensions")
        code: Any = (
            cast("Mapping[str, Any]", extensions).get("code")
            if isinstance(extensions, Mapping)
            else None
        )
        locations: Any = found.get("locations")
        lines = (
            tuple(_line(place) for place in cast("list[Any]", locations))
            if isinstance(locations, list)
            else ()
        )
        return cls(
            message if isinstance(message, str) else str(cast("object", error)),
            lines,
            code if isinstance(code, str) else "",
        )

    @property
    def message(self) -> str:
        return _SUGGESTION.sub("", self.whole_message)

    @property
    def all_words(self) -> str:
        return f"{self.message} {self.code}"

    @property
    def not_allowed(self) -> bool:
        return self.code.upper() in _NOT_ALLOWED


def _line(place: Any) -> int:
    """Return the line of a location, or 0."""
    line: Any = (
        cast("Mapping[str, Any]", place).get("line")
        if isinstance(place, Mapping)
        else getattr(place, "line", None)
    )
    return line if isinstance(line, int) else 0
