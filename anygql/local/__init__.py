"""A schema in this process. Importing this does not import graphql-core."""

from __future__ import annotations

from .transport import LocalSchemaTransport

__all__ = ["LocalSchemaTransport"]
