"""Schemas, from wherever the command line may name one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import is_endpoint, is_module, read_text
from .endpoint import load_object, resolve_endpoint
from .options import Options

if TYPE_CHECKING:
    from graphql import GraphQLSchema

__all__ = ["fetch_schema", "is_remote", "schema_from"]


async def fetch_schema(source: str, options: Options, **wanted: Any) -> GraphQLSchema:
    """Ask a server for its schema, or take that of a module."""
    from ..schema.introspection import IntrospectionOptions

    if is_module(source):
        return load_object(source)  # type: ignore[no-any-return]
    async with resolve_endpoint(source, options).client() as session:
        return await session.fetch_schema(IntrospectionOptions(**wanted), timeout=None)


def is_remote(source: str) -> bool:
    """Return whether a source is an endpoint or a module, and no file."""
    return is_endpoint(source) and not Path(source).is_file()


async def schema_from(source: str, options: Options) -> GraphQLSchema:
    """Return the schema of a URL, a module, or a file (SDL, or an introspection result)."""
    from ..schema.loading import load_schema

    if is_remote(source):
        return await fetch_schema(source, options)
    try:
        return load_schema(read_text(source))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
