"""The client's schema: loading, introspection, validation, and updates of scalars and enums.

The modules of this package are imported when a name of theirs is first used, and graphql-core when
a schema is first used, since few sessions have a schema.
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
