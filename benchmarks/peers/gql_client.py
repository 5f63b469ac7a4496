"""gql 4: one session for all requests, documents parsed once, as its documentation advises."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from .base import use_http_library

__all__ = ["open_http", "open_memory", "open_websocket"]


def _request(document: str, variables: dict[str, Any]) -> Any:
    from gql import GraphQLRequest

    return GraphQLRequest(document, variable_values=variables)


class _Session:
    request = staticmethod(_request)

    def __init__(self, session: Any) -> None:
        self.execute = session.execute
        self.subscribe = session.subscribe


@asynccontextmanager
async def _open(transport: Any, **options: Any) -> AsyncGenerator[_Session]:
    from gql import Client

    logging.getLogger("gql").setLevel(logging.WARNING)
    async with Client(transport=transport, **options) as session:
        yield _Session(session)


@asynccontextmanager
async def open_websocket(engine: str, port: int) -> AsyncGenerator[_Session]:
    url = f"ws://127.0.0.1:{port}/"
    if engine == "aiohttp":
        from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport as Transport
    else:
        from gql.transport.websockets import WebsocketsTransport as Transport
    async with _open(Transport(url=url)) as session:
        yield session


@asynccontextmanager
async def open_http(
    engine: str, url: str, context: ssl.SSLContext | None
) -> AsyncGenerator[_Session]:
    if engine == "aiohttp":
        from gql.transport.aiohttp import AIOHTTPTransport

        transport: Any = AIOHTTPTransport(url=url, ssl=True if context is None else context)
    else:
        use_http_library(engine)
        from gql.transport import httpx

        if httpx.httpx.__name__ != engine:
            raise RuntimeError(f"gql uses {httpx.httpx.__name__}, not {engine}")
        transport = httpx.HTTPXAsyncTransport(url=url)
    async with _open(transport) as session:
        yield session


@asynccontextmanager
async def open_memory(data: bytes, **options: Any) -> AsyncGenerator[_Session]:
    """A WebSocket session whose socket is memory that answers every request with ``data``."""
    from .memory import gql_transport

    async with _open(gql_transport(data), **options) as session:
        yield session
