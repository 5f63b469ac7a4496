"""A schema in this process, used as if it were a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..json import JSON, MsgspecJSON
from ..net.options import seconds
from .connection import LocalConnection

if TYPE_CHECKING:
    from graphql import GraphQLSchema, MiddlewareManager

__all__ = ["LocalSchemaTransport"]


class LocalSchemaTransport:
    """Executes operations on a schema, in this process and on the running event loop.

    Variables and results are encoded as JSON and decoded again, so that they look the same as over
    the wire. Only a ``FileVar`` reaches the resolvers as it is.

    Args:
        schema: The ``graphql.GraphQLSchema`` to execute.
        root_value: The source of the root types' resolvers, ``None`` by default. A function, which
            may be async, is called with the ``GraphQLRequest`` for each operation and returns the
            value; a class counts as a value.
        context: The resolvers' ``info.context``, ``None`` by default; a value or a function, as
            for ``root_value``.
        validate: Whether each document is validated before it is first executed; True by default.
        middleware: graphql-core's middleware, called around the resolvers: a list of functions or
            a ``graphql.MiddlewareManager``; ``None`` by default.
        close_timeout: Seconds that the source of a subscription's events, or of a streamed list,
            may take to close; 10 by default, ``None`` sets no limit.
        json: The ``JSON`` codec for variables and results; msgspec's by default.

    Raises:
        TypeError: If ``schema`` is not a ``GraphQLSchema`` or not valid, or ``close_timeout`` is
            not a number.
        ValueError: If ``close_timeout`` is not more than 0.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        root_value: Any = None,
        context: Any = None,
        validate: bool = True,
        middleware: list[Any] | tuple[Any, ...] | MiddlewareManager | None = None,
        close_timeout: float | None = 10,
        json: JSON | None = None,
    ) -> None:
        from graphql import GraphQLSchema, assert_valid_schema

        if not isinstance(schema, GraphQLSchema):  # pyright: ignore[reportUnnecessaryIsInstance]
            hint = " (build_schema() makes one)" if isinstance(schema, str) else ""
            raise TypeError(
                f"a local schema is a graphql.GraphQLSchema, not {type(schema).__name__}{hint}"
            )
        assert_valid_schema(schema)
        from .execution import LocalExecution

        self.schema = schema
        self.description = "the local schema"
        self.json: JSON = MsgspecJSON() if json is None else json
        self._execution = LocalExecution(
            schema,
            root_value=root_value,
            context=context,
            validate=validate,
            middleware=middleware,
            close_timeout=seconds("close_timeout", close_timeout),
            json=self.json,
        )

    def connect(self) -> LocalConnection:
        """Return a connection. Entering it can't fail; leaving it ends its operations and waits."""
        return LocalConnection(self, self._execution)

    def __repr__(self) -> str:
        return f"<LocalSchemaTransport {self.description}>"
