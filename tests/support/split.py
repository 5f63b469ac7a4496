"""A server of queries over HTTP, and one of subscriptions, for ``SplitTransport``."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from anygql import Client, HTTPTransport, SplitTransport
from anygql.testing import GraphQLServer, demo_schema

__all__ = ["Both", "both"]


@dataclass
class Both:
    """The two servers, which have one schema."""

    http: GraphQLServer
    socket: GraphQLServer

    @property
    def url(self) -> str:
        return self.http.http_url

    @property
    def documents(self) -> list[str]:
        """The documents that came over HTTP, in order."""
        bodies = [json.loads(request.body) for request in self.http.requests]
        singles = [each for body in bodies for each in (body if isinstance(body, list) else [body])]
        return [body["query"] for body in singles]

    @property
    def subscribed(self) -> list[str]:
        """The documents that came over the socket, in order."""
        return [
            message["payload"]["query"]
            for connection in self.socket.connections
            for message in connection.received
            if message["type"] == "subscribe"
        ]

    def transport(self, *, eager: bool = False, **of_socket: Any) -> SplitTransport:
        return SplitTransport(
            HTTPTransport(self.url), subscriptions=self.socket.transport(**of_socket), eager=eager
        )

    def client(self, **options: Any) -> Client:
        return Client(self.transport(), **options)


@asynccontextmanager
async def both() -> AsyncGenerator[Both]:
    schema = demo_schema()
    async with GraphQLServer(schema) as http, GraphQLServer(schema) as socket:
        await http.listen()
        yield Both(http, socket)
