"""The schema on the client's side: loaded, asked for, validated against, and updated.

graphql-core is imported when something is first done with a schema, not before.
"""

from __future__ import annotations

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
