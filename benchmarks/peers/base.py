"""What a measured task asks of a client."""

from __future__ import annotations

import ssl
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

__all__ = ["Client", "Session", "Stream", "http_address", "use_http_library"]


class Stream(Protocol):
    """The data of a subscription's results."""

    def __aiter__(self) -> Stream: ...

    async def __anext__(self) -> Any: ...

    async def aclose(self) -> None: ...


class Session(Protocol):
    """An open session. Its calls are the client's own, without a layer in between."""

    #: A request in the client's own form, made once and used often.
    request: Callable[[str, dict[str, Any]], Any]
    execute: Callable[[Any], Awaitable[Any]]
    subscribe: Callable[[Any], Stream]


class Client(Protocol):
    """A module of ``benchmarks.peers``."""

    @staticmethod
    def open_websocket(engine: str, port: int) -> AbstractAsyncContextManager[Session]: ...

    @staticmethod
    def open_http(
        engine: str, url: str, context: ssl.SSLContext | None
    ) -> AbstractAsyncContextManager[Session]: ...


def http_address(over: str, port: int, path: str) -> tuple[str, ssl.SSLContext | None]:
    """The URL of a path of the load server, ``over`` ``"http"`` or ``"https"``; how to trust it."""
    if over == "http":
        return f"http://127.0.0.1:{port}{path}", None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/tls") as answer:
        secure_port, _, certificate = answer.read().decode().partition("\n")
    context = ssl.create_default_context(cadata=certificate)
    return f"https://127.0.0.1:{secure_port}{path}", context


def use_http_library(engine: str) -> None:
    """Make ``httpx`` mean httpx for those who take httpx2 where it is installed."""
    if engine == "httpx":
        sys.modules["httpx2"] = None  # type: ignore[assignment]
