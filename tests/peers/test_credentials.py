"""Tokens that servers refuse, as Apollo Server and graphql-ws do it: one refresh, nothing twice."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from anygql import Client, HTTPTransport, Refreshing, TransportServerError, WebSocketTransport
from tests.peers.node import NodeServer

pytestmark = [pytest.mark.over_http, pytest.mark.table]

CALLS, SUBSCRIPTIONS = 200, 50
COUNTDOWN = "subscription { countdown(from: 1000000) }"


class Issuer:
    """Tells a server which token is good."""

    def __init__(self, server: NodeServer) -> None:
        self.server = server
        self.issued = 0

    async def __call__(self) -> str:
        self.issued += 1
        token = secrets.token_hex(8)
        await self.tell(token)
        return token

    async def tell(self, token: str) -> None:
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                self.server.url, json={"query": "{ __typename }"}, headers={"x-issue": token}
            )
            assert answer.is_success


@pytest.fixture
def apollo(node_servers: Callable[[str], NodeServer]) -> Issuer:
    return Issuer(node_servers("apollo-tokens"))


@pytest.fixture
def ws(node_servers: Callable[[str], NodeServer]) -> Issuer:
    return Issuer(node_servers("ws-tokens"))


async def count_at_the_same_time(session: Any) -> None:
    """Mutations, each of which ran once."""
    before = (await session.execute("{ counter }"))["counter"]
    async with anyio.create_task_group() as tg:
        for _ in range(CALLS):
            tg.start_soon(partial(session.execute, "mutation { increment }", timeout=60))
    assert (await session.execute("{ counter }"))["counter"] == before + CALLS


@pytest.mark.parametrize("status", [401, 200])
async def test_apollo_refuses_by_status_or_in_a_result(apollo: Issuer, status: int) -> None:
    auth = Refreshing(refresh=apollo)

    async def headers() -> dict[str, str]:
        return {**await auth.headers(), "x-status": str(status)}

    async with Client(HTTPTransport(apollo.server.url, headers=headers), auth=auth) as session:
        await session.execute("{ counter }")
        await apollo.tell("another's")
        await count_at_the_same_time(session)
        assert apollo.issued == 2
        await apollo.tell("another's")
        # A batch is refused as a whole.
        assert await session.execute_batch(["{ hello }", "{ add(a: 1, b: 2) }"])
        assert apollo.issued == 3


async def test_apollo_refuses_twice(apollo: Issuer) -> None:
    auth = Refreshing(refresh=lambda: "wrong")
    async with Client(apollo.server.url, auth=auth) as session:
        with pytest.raises(TransportServerError) as caught:
            await session.execute("{ hello }")
    assert caught.value.code == 401
    assert caught.value.errors[0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("closes", ["", "?closes"])
@pytest.mark.parametrize("reconnecting", [False, True])
async def test_graphql_ws_refuses_operations_or_closes(
    ws: Issuer, closes: str, reconnecting: bool
) -> None:
    if closes and not reconnecting:
        return  # that ends a plain session
    auth = Refreshing(refresh=ws, token="yesterday's")
    transport = WebSocketTransport(
        ws.server.url.replace("http", "ws") + closes, init_payload=auth.payload
    )
    options: Any = {"reconnecting": True} if reconnecting else {}
    async with Client(transport, auth=auth).connect(**options) as session:
        assert ws.issued == 1  # refused at the connect
        async with anyio.create_task_group() as tg:
            for _ in range(SUBSCRIPTIONS):
                tg.start_soon(follow, session)
            await count_at_the_same_time(session)
            await ws.tell("another's")
            if closes:
                async with anyio.create_task_group() as calls:
                    for _ in range(CALLS):
                        calls.start_soon(session.execute, "{ hello }")
            else:
                await count_at_the_same_time(session)
        assert ws.issued == 2


async def follow(session: Any) -> None:
    """Read on after the gap; before and after it there is none."""
    last = None
    async with session.subscribe(COUNTDOWN, path="countdown") as events:
        async for left in events:
            if events.reconnects:
                assert left == 1000000  # it begins anew
                return
            assert last is None or left == last - 1
            last = left


async def test_both_in_one_session(apollo: Issuer, ws: Issuer) -> None:
    """Apollo for calls, and graphql-ws for subscriptions; they share a token."""

    async def refresh() -> str:
        token = await apollo()
        await ws.tell(token)
        return token

    auth = Refreshing(refresh=refresh)
    url = apollo.server.url
    client = Client(url, subscriptions=ws.server.url.replace("http", "ws"), auth=auth)
    async with client.connect(reconnecting=True) as session, anyio.create_task_group() as tg:
        tg.start_soon(follow, session)
        await session.execute("{ hello }")
        await apollo.tell("another's")
        await ws.tell("another's")
        await count_at_the_same_time(session)
        assert apollo.issued == 2
        # The subscription goes on with the old token, until its connection is told.
        async with session.subscribe(COUNTDOWN, path="countdown") as events:
            assert await events.receive() == 1000000
            assert events.reconnects == 0
        assert apollo.issued == 2
