"""Sessions over AppSync's protocol, with the test server's dialect of it."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from anygql import (
    Client,
    TransportConnectionRefused,
    TransportQueryError,
    TransportTimeout,
    WebSocketTransport,
)
from anygql.appsync import IAM, ApiKey, AppSync, Token
from anygql.testing import GraphQLServer, demo_schema

COUNTDOWN = "subscription ($from: Int!) { countdown(from: $from) }"
FOREVER = "subscription { ticks(every: 0.01) }"
KEYS = ("AKIDEXAMPLE", "s3cret-key", "s3cret-token")


@pytest.mark.parametrize("handshake", ["subprotocol", "query"])
async def test_a_subscription(handshake: Any) -> None:
    async with GraphQLServer(demo_schema(), protocols=["appsync"]) as server:
        transport = server.transport(protocol=AppSync(ApiKey("da2-s3cret"), handshake=handshake))
        async with Client(transport) as session:
            async with session.subscribe(COUNTDOWN, {"from": 2}) as events:
                assert [event async for event in events] == [
                    {"countdown": number} for number in (2, 1, 0)
                ]
        (connection,) = server.connections
        print(connection.received, list(connection.sent), connection.closed)
