"""The schema on the client's side: loaded, asked for, validated against, and updated.

graphql-core is imported when something is first done with a schema, and the modules of this package
when a name of theirs is first used: every session has a place for a schema, and few have one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .building import build_client_schema
    from .client_schema import ClientSchema, forget
    from .errors import GraphQLValidationError, IntrospectionError, VariableError
    from .introspection import Introspection, IntrospectionOptions
    from .loading import SchemaSource, load_schema
    from .updates import update_schema_enum, update_schema_scalar, update_schema_scalars

__all__ = [
    "ClientSchema",
    "GraphQLValidationError",
    "Introspection",
    "IntrospectionError",
    "IntrospectionOptions",
    "SchemaSource",
    "VariableError",
    "build_client_schema",
    "forget",
    "load_schema",
    "update_schema_enum",
    "update_schema_scalar",
    "update_schema_scalars",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        ".building": ("build_client_schema",),
        ".client_schema": (
            "ClientSchema",
            "forget",
        ),
        ".errors": (
            "GraphQLValidationError",
            "IntrospectionError",
            "VariableError",
        ),
        ".introspection": (
            "Introspection",
            "IntrospectionOptions",
        ),
        ".loading": (
            "SchemaSource",
            "load_schema",
        ),
        ".updates": (
            "update_schema_enum",
            "update_schema_scalar",
            "update_schema_scalars",
        ),
    },
)
