"""A server whose clients need a token, and what issues the tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import anyio
from anyio.lowlevel import checkpoint
from graphql import (
    GraphQLArgument,
    GraphQLError,
    GraphQLField,
    GraphQLInt,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
)

from anygql.concurrency.signal import Signal
from anygql.testing import GraphQLServer

__all__ = ["Issuer", "TokenServer", "unauthenticated"]


def unauthenticated() -> GraphQLError:
    return GraphQLError("log in first", extensions={"code": "UNAUTHENTICATED"})


class Issuer:
    """Issues tokens, of which the newest alone is good, unless it was revoked."""

    def __init__(self) -> None:
        self.issued = 0
        self.good: str | None = None
        #: What comes before the token.
        self.scheme = "Bearer "
        self.changed = Signal()

    async def __call__(self) -> str:
        """What ``Refreshing`` calls."""
        await checkpoint()
        self.issued += 1
        self.good = f"s3cret-{self.issued}"
        return self.good

    def revoke(self) -> None:
        self.good = None
        self.changed.notify()

    def accepts(self, authorization: Any) -> bool:
        return self.good is not None and authorization == f"{self.scheme}{self.good}"


class TokenServer(GraphQLServer):
    """Serves those who have the issuer's good token.

    ``asks_at_connect``: whether ``connection_init`` is refused without one. ``refuse_by_status``:
    whether requests over HTTP are refused with 401; otherwise, as over a WebSocket, the resolvers
    refuse them with an error. ``pushes``: whether subscriptions fail when a token is revoked.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        asks_at_connect: bool = False,
        refuse_by_status: bool = True,
        pushes: bool = False,
        **options: Any,
    ) -> None:
        self.issuer = issuer
        self.refuse_by_status = refuse_by_status
        self.pushes = pushes
        #: How often each key was counted.
        self.counted: Counter[str] = Counter()
        self.changed = Signal()
        self.refused = 0
        on_connect = self._admits if asks_at_connect else None
        super().__init__(
            self._schema(), context_value=lambda it: it, on_connect=on_connect, **options
        )

    def _admits(self, payload: Any) -> bool:
        return self.issuer.accepts((payload or {}).get("Authorization"))

    def _check(self, info: Any) -> None:
        client = info.context
        payload = getattr(client, "init_payload", None)
        given = payload if payload is not None else client.headers
        if getattr(client, "protocol", None) == "appsync":
            return  # it has asked `on_connect` for each operation
        if not self.issuer.accepts(given.get("Authorization")):
            self.refused += 1
            raise unauthenticated()

    async def _respond(self, request: Any, writer: Any) -> None:
        given = request.headers.get("Authorization")
        if self.refuse_by_status and not self.issuer.accepts(given):
            self.requests.append(request)
            self.refused += 1
            await writer.send(401)
        else:
            await super()._respond(request, writer)

    def _schema(self) -> GraphQLSchema:
        async def hello(_source: Any, info: Any, wait: float = 0) -> str:
            self._check(info)
            await anyio.sleep(wait / 1000)
            return "hello"

        def maybe(_source: Any, info: Any) -> str:
            self._check(info)
            return "yes"

        async def count(_source: Any, info: Any, key: str, wait: float = 0) -> int:
            self._check(info)
            self.counted[key] += 1
            self.changed.notify()
            await anyio.sleep(wait / 1000)
            return self.counted[key]

        async def ticks(_source: Any, info: Any, every: float = 1) -> AsyncGenerator[Any, None]:
            self._check(info)
            number = 0
            while True:
                yield {"ticks": number}
                number += 1
                with anyio.move_on_after(every / 1000):
                    while True:
                        await self.issuer.changed.wait()
                        if self.pushes:
                            self._check(info)
                if self.pushes:  # it may have been revoked while nobody waited
                    self._check(info)

        text, number = GraphQLNonNull(GraphQLString), GraphQLNonNull(GraphQLInt)
        wait = {"wait": GraphQLArgument(GraphQLInt, default_value=0)}
        key = {"key": GraphQLArgument(text), **wait}
        every = {"every": GraphQLArgument(GraphQLInt, default_value=1)}
        return GraphQLSchema(
            GraphQLObjectType(
                "Query",
                {
                    "hello": GraphQLField(text, wait, hello),
                    "maybe": GraphQLField(GraphQLString, {}, maybe),
                },
            ),
            GraphQLObjectType("Mutation", {"count": GraphQLField(number, key, count)}),
            GraphQLObjectType(
                "Subscription",
                {"ticks": GraphQLField(number, every, subscribe=ticks, resolve=_resolve)},
            ),
        )


def _resolve(event: Any, _info: Any, **_arguments: Any) -> Any:
    return event["ticks"]
