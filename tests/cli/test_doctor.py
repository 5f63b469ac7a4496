"""``anygql doctor`` against the test server. Other servers are asked in ``tests/peers``."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from anygql.testing import GraphQLServer, demo_schema
from tests.cli.conftest import Command, Served


@pytest.fixture
def pinging(portal: BlockingPortal) -> Iterator[Served]:
    """A server that sends keep-alive messages by the legacy subprotocol."""
    pinging = GraphQLServer(demo_schema(), keep_alive_interval=0.01)
    with portal.wrap_async_context_manager(pinging) as server:
        yield Served(portal, server, portal.call(server.listen))


def findings(out: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(out)["found"]}


def test_what_it_finds(command: Command, pinging: Served) -> None:
    ran = command("doctor", pinging.server.http_url, "--json", "--ping-wait", "0.5")
    found = findings(ran.out)
    works = {name: each["works"] for name, each in found.items()}
    assert works == {
        "DNS": True,
        "TCP": True,
        "POST": True,
        "GET": True,
        "syntax errors": None,
        "graphql-response+json": True,
        "preflight header": False,
        "CORS": False,
        "batching": True,
        "introspection": True,
        "persisted queries (APQ)": False,
        "SSE": True,
        "multipart subscriptions": False,
        "@defer": False,
        "compression": False,
        "graphql-transport-ws": True,
        "queries by graphql-transport-ws": True,
        "pings by graphql-transport-ws": False,
        "graphql-ws": True,
        "queries by graphql-ws": True,
        "pings by graphql-ws": True,
        "clock": True,
        "rate limits": None,
    }
    assert found["pings by graphql-transport-ws"]["detail"] == "none within 0.5 s"
    assert found["pings by graphql-ws"]["detail"].startswith("ka messages, the first after ")
    assert len(json.loads(ran.out)["use"]) == 2


def test_pings_are_waited_for(command: Command, pinging: Served) -> None:
    server, portal = pinging.server, pinging.portal

    async def ping() -> None:
        seen = 0
        while True:
            seen += 1
            connection = await server.wait_connection(seen)
            if connection.subprotocol == "graphql-transport-ws":
                await connection.wait_sent("complete")
                await connection.ping()
                return

    thread = threading.Thread(target=portal.call, args=(ping,))
    thread.start()
    found = findings(command("doctor", pinging.url, "--json", "--ping-wait", "30").out)
    thread.join()
    detail = found["pings by graphql-transport-ws"]["detail"]
    assert detail.startswith("WebSocket pings, the first after ")
