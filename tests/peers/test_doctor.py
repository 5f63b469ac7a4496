"""``anygql doctor`` against the servers that most people have: what it says is true."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from anygql.cli.root import run
from tests.peers.node import serving as serving_node
from tests.peers.run import Server

#: What each server is known to do, by its own documentation and the tests of this folder.
TRUE: dict[str, dict[str, bool | None]] = {
    "yoga": {
        "POST": True,
        "GET": True,
        "CORS": True,
        "graphql-response+json": True,
        "preflight header": False,
        "batching": True,
        "introspection": True,
        "persisted queries (APQ)": False,
        "SSE": True,
        "multipart subscriptions": False,
        "@defer": True,
        "graphql-transport-ws": False,
        "graphql-ws": False,
    },
    "apollo": {
        "POST": True,
        "GET": True,
        "CORS": True,
        "graphql-response+json": True,
        "preflight header": True,
        "batching": True,
        "introspection": True,
        "persisted queries (APQ)": True,
        "SSE": False,
        "multipart subscriptions": False,
        "@defer": True,
        "graphql-transport-ws": False,
    },
    "mercurius": {
        "POST": True,
        "GET": True,
        "CORS": False,
        "graphql-response+json": False,
        "preflight header": False,
        "batching": True,
        "introspection": True,
        "persisted queries (APQ)": False,
        "SSE": False,
        "multipart subscriptions": False,
        "@defer": False,
        "graphql-transport-ws": True,
        "queries by graphql-transport-ws": False,
        "pings by graphql-transport-ws": False,
        "graphql-ws": True,
        "queries by graphql-ws": False,
    },
    "sse": {"POST": False, "SSE": True, "single connection": True, "graphql-ws": False},
    "ws": {
        "POST": False,
        "graphql-transport-ws": True,
        "queries by graphql-transport-ws": True,
        "graphql-ws": False,
    },
    "strawberryhttp-uvicorn": {
        "POST": True,
        "GET": True,
        "CORS": False,
        "graphql-response+json": False,
        "batching": True,
        "persisted queries (APQ)": False,
        "SSE": True,
        "@defer": True,
    },
    "ariadnehttp-uvicorn": {
        "POST": True,
        "GET": True,
        "CORS": False,
        "batching": False,
        "persisted queries (APQ)": False,
        "@defer": False,
        "graphql-transport-ws": False,
        "graphql-ws": True,
        "queries by graphql-ws": True,
    },
    "strawberry-uvicorn": {
        "graphql-transport-ws": True,
        "queries by graphql-transport-ws": True,
        "graphql-ws": True,
    },
}

#: The last line to paste, without the URL.
USE = {
    "yoga": (
        'Client("{http}")  # queries and mutations, subscriptions by server-sent events, @defer'
    ),
    "apollo": 'Client("{http}")  # queries and mutations, @defer',
    "sse": (
        'Client(HTTPTransport("{http}", single_connection=True))  '
        "# everything, over one event stream"
    ),
    "mercurius": 'Client(WebSocketTransport("{ws}"))  # subscriptions only',
    "ws": 'Client(WebSocketTransport("{ws}"))  # everything, over one connection',
    "ariadnehttp-uvicorn": (
        'Client(WebSocketTransport("{ws}", protocol="graphql-ws"))  '
        "# everything, over one connection"
    ),
}


@pytest.fixture(scope="module")
def node_servers(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[str], str]]:
    """``node_servers(name)``: the URL of one of those in JavaScript."""
    logs = tmp_path_factory.mktemp("doctor")
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(serving_node(name, logs / f"{name}.log")).url


@pytest.mark.parametrize("name", TRUE)
def test_what_it_says_is_true(
    name: str,
    node_servers: Callable[[str], str],
    servers: Callable[[str], Server],
    capfd: pytest.CaptureFixture[str],
) -> None:
    url = node_servers(name) if "-" not in name else servers(name).url.replace("ws:", "http:")
    assert run(["doctor", url, "--json", "--ping-wait", "0.05"]) == 0
    logging.getLogger("anygql").handlers.clear()
    captured = capfd.readouterr()
    assert captured.err == ""
    report: dict[str, Any] = json.loads(captured.out)
    found = {each["name"]: each["works"] for each in report["found"]}
    wanted = TRUE[name]
    assert {key: found.get(key) for key in wanted} == wanted, report
    if name in USE:
        line = USE[name].replace("{http}", url).replace("{ws}", url.replace("http:", "ws:"))
        assert report["use"][-1] == line
    if name == "mercurius":
        socket = url.replace("http:", "ws:")
        assert report["use"][-2] == (
            f'Client("{url}", subscriptions=WebSocketTransport("{socket}"))  # both, in one session'
        )


def test_nobody_is_there(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["doctor", "http://127.0.0.1:1/"]) == 3
    out = capfd.readouterr().out
    assert "no   TCP" in out
    assert "No GraphQL was found here." in out
    assert run(["doctor", "json:loads"]) == 2
