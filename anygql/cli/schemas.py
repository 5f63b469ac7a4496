"""Schemas, from wherever the command line may name one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import is_endpoint, is_module, read_text
from .endpoint import load_object, resolve_endpoint
from .options import Options

if TYPE_CHECKING:
    from graphql import GraphQLSchema

__all__ = ["fetch_schema", "is_remote", "schema_from", "schema_of_file"]


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
    if is_remote(source):
        return await fetch_schema(source, options)
    return schema_of_file(source)


def schema_of_file(source: str) -> GraphQLSchema:
    """Return the schema of a file. Raise ``ValueError``, which names the file, for none."""
    from ..schema.loading import load_schema
    from .failures import describe

    text = read_text(source)
    try:
        return load_schema(text)
    except Exception as error:  # noqa: BLE001 - a mistake in the file, of any kind
        raise ValueError(f"{source}: {describe(error)[1]}") from None
