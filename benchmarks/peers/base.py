"""What a measured task asks of a client."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

__all__ = ["Client", "Session", "Stream", "use_http_library"]


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
    def open_http(engine: str, port: int, size: int) -> AbstractAsyncContextManager[Session]: ...


def use_http_library(engine: str) -> None:
    """Make ``httpx`` mean httpx for those who take httpx2 where it is installed."""
    if engine == "httpx":
        sys.modules["httpx2"] = None  # type: ignore[assignment]
