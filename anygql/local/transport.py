"""A schema in this process, as if it were a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..json import JSON, MsgspecJSON
from ..net.options import seconds
from .connection import LocalConnection

if TYPE_CHECKING:
    from graphql import GraphQLSchema, MiddlewareManager

__all__ = ["LocalSchemaTransport"]


class LocalSchemaTransport:
    """Executes operations on a schema, in this process and on the loop that is running.

    ``root_value`` and ``context`` are what resolvers get as such: values, or functions or async
    functions that are given the ``GraphQLRequest`` and asked for each operation (a class is a
    value). ``validate``: documents are validated first, as a server does, once each. ``middleware``
    is graphql-core's, around the resolvers.

    Variables and results go through ``json`` and back, so that what works here works over the
    wire too, and looks the same; only a ``FileVar`` is handed to the resolvers as it is.

    ``close_timeout``: seconds that the source of a subscription's events, or of a streamed list,
    may take to close (``None``: no limit).

    Raises ``TypeError`` for what is no schema, or one that is not valid.
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
        self._execution = LocalExecution(
            schema,
            root_value=root_value,
            context=context,
            validate=validate,
            middleware=middleware,
            close_timeout=seconds("close_timeout", close_timeout),
            json=MsgspecJSON() if json is None else json,
        )

    def connect(self) -> LocalConnection:
        """What runs operations: entering can't fail, leaving ends them and waits for that."""
        return LocalConnection(self, self._execution)

    def __repr__(self) -> str:
        return f"<LocalSchemaTransport {self.description}>"
