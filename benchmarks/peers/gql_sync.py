"""gql 4 without ``await``: one session for all requests, documents parsed once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from .base import use_http_library
from .gql_client import _request

__all__ = ["open_http", "open_websocket"]


class _Session:
    request = staticmethod(_request)

    def __init__(self, session: Any) -> None:
        self.execute = session.execute
        self.subscribe = getattr(session, "subscribe", None)


@contextmanager
def open_websocket(engine: str, port: int) -> Generator[_Session]:
    """gql's client itself, whose ``subscribe`` connects: it has no sync session on WebSockets."""
    from gql import Client
    from gql.transport.websockets import WebsocketsTransport

    logging.getLogger("gql").setLevel(logging.WARNING)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield _Session(Client(transport=WebsocketsTransport(url=f"ws://127.0.0.1:{port}/")))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@contextmanager
def open_http(engine: str, port: int, size: int) -> Generator[_Session]:
    from gql import Client

    logging.getLogger("gql").setLevel(logging.WARNING)
    url = f"http://127.0.0.1:{port}/http/{size}"
    if engine == "requests":
        from gql.transport.requests import RequestsHTTPTransport

        transport: Any = RequestsHTTPTransport(url=url)
    else:
        use_http_library(engine)
        from gql.transport.httpx import HTTPXTransport

        transport = HTTPXTransport(url=url)
    with Client(transport=transport) as session:
        yield _Session(session)
