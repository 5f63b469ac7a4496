"""A schema in this process; graphql-core is not imported before there is one."""

from __future__ import annotations

from .transport import LocalSchemaTransport

__all__ = ["LocalSchemaTransport"]
