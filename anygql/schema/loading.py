"""Loading a schema from each form in which it may be given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ..results.result import ExecutionResult
from .building import build_client_schema
from .errors import list_errors

if TYPE_CHECKING:
    from graphql import GraphQLSchema

__all__ = ["SchemaSource", "load_schema"]

#: Every form of a schema.
SchemaSource: TypeAlias = "GraphQLSchema | str | Mapping[str, Any] | ExecutionResult"

_NOT_VALID = (
    "the SDL text is not a valid schema (one that is published so can be loaded with "
    "load_schema(text, assume_valid=True))"
)


def load_schema(source: SchemaSource, *, assume_valid: bool | None = None) -> GraphQLSchema:
    """Load a schema.

    Args:
        source: A ``GraphQLSchema`` (returned itself, not copied), the text of a schema in SDL, an
            introspection result (``{"__schema": …}``, ``{"data": {"__schema": …}}``, or an
            ``ExecutionResult``), or the JSON text of an introspection result.
        assume_valid: Whether to skip the check against the rules for schemas. By default
            (``None``), SDL is checked and introspection results are not, since their server works
            with the schema.

    Raises:
        ValueError: The text doesn't parse or isn't valid (the message has each error, with line
            and column), or the introspection result is incomplete (``IntrospectionError``).
        TypeError: ``source`` is none of these.
    """
    from graphql import ExecutionResult as CoreResult
    from graphql import GraphQLSchema

    if isinstance(source, GraphQLSchema):
        return source
    if isinstance(source, str):
        # Unlike JSON, SDL never begins with a brace.
        if not source.lstrip("\ufeff \t\r\n").startswith("{"):
            return _from_sdl(source, bool(assume_valid))
        source = _from_json(source)
    if isinstance(source, Mapping | ExecutionResult | CoreResult):  # pyright: ignore[reportUnnecessaryIsInstance]
        return build_client_schema(source, True if assume_valid is None else assume_valid)
    hint = ": give what is in the file, by read_text()" if isinstance(source, PurePath) else ""
    raise TypeError(
        "a schema is a GraphQLSchema, the text of one in SDL, or an introspection result, "
        f"not {type(source).__name__}{hint}"
    )


def _from_json(text: str) -> Mapping[str, Any]:
    try:
        return msgspec.json.decode(text.lstrip("\ufeff"), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ValueError(f"the schema's text begins like JSON, but is none: {error}") from error


def _from_sdl(text: str, assume_valid: bool) -> GraphQLSchema:
    from graphql import GraphQLError, GraphQLSyntaxError, build_ast_schema, parse, validate_schema
    from graphql.validation.validate import validate_sdl

    try:
        tree = parse(text)
    except GraphQLSyntaxError as error:
        name = text.strip()
        hint = (
            f" ({name!r} seems to be a file's name: give what is in the file)"
            if name.endswith((".graphql", ".graphqls", ".gql", ".json")) and "\n" not in name
            else ""
        )
        raise ValueError(f"{list_errors('the SDL text does not parse', [error])}{hint}") from error
    if not assume_valid and (errors := validate_sdl(tree)):
        raise ValueError(list_errors(_NOT_VALID, errors))
    try:
        schema = build_ast_schema(tree, assume_valid, assume_valid_sdl=True)
    except (GraphQLError, TypeError, ValueError, KeyError) as error:
        raise ValueError(f"the SDL text can't be made a schema: {error}") from error
    if errors := validate_schema(schema):
        raise ValueError(list_errors(_NOT_VALID, errors))
    return schema
