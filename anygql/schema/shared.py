"""The schema that the sessions of one client share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from .client_schema import ClientSchema

__all__ = ["SharedSchema"]


class SharedSchema:
    """The schema that the sessions of one client share; initially that of the client, if any."""

    def __init__(self, schema: GraphQLSchema | None = None) -> None:
        self.current: ClientSchema | None = None
        self.graphql = schema

    @property
    def graphql(self) -> GraphQLSchema | None:
        """The schema, or ``None`` while it is not known."""
        return None if self.current is None else self.current.graphql

    @graphql.setter
    def graphql(self, schema: GraphQLSchema | None) -> None:
        if schema is None:
            self.current = None
        else:
            from .client_schema import ClientSchema

            self.current = ClientSchema(schema)
