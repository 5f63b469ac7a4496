"""What the HTTP client raises, and what becomes of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from anygql import Client, HTTPTransport
from anygql.exceptions import TransportConnectionFailed

URL = "https://api.test/graphql"
NO_SOCKET: Any = None


async def test_a_connection_that_is_lost_as_soon_as_it_is_open() -> None:
    """Under uvloop it has no socket, and anyio raises this when it is asked for its names."""

    def handle(_: httpx.Request) -> httpx.Response:
        return NO_SOCKET.getpeername()  # type: ignore[no-any-return]

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client,
        Client(HTTPTransport(URL, client=client)) as session,
    ):
        with pytest.raises(TransportConnectionFailed, match=r"api\.test.* was lost") as caught:
            await session.execute("mutation { add }")
    assert caught.value.retryable
    assert caught.value.unsent


async def test_a_mistake_of_the_users_own_code_passes_as_it_is() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return NO_SOCKET.address  # type: ignore[no-any-return]

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client,
        Client(HTTPTransport(URL, client=client)) as session,
    ):
        with pytest.raises(AttributeError, match="address"):
            await session.execute("mutation { add }")
