"""Tests over HTTP, with each client that sends requests: our engine, httpx and httpx2.

A test, or a module, says that it is one of them by the marker ``over_http``. Its sessions without
``client=`` are then given one of httpx's in some of its runs, and don't know it. By default each
runs on the engine as often as any test, and once, on one loop, with one of the two libraries;
``ANYGQL_EVERYTHING=1`` runs all. A test of what only the engine does says so:
``@pytest.mark.over_http("engine", why="…")``. One that makes a client of its own is marked with
``"own"``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from anyio import move_on_after

from anygql.http.endpoint import HTTPEndpoint
from anygql.http.exchange import Exchange
from anygql.http.httpx import exchange as theirs
from anygql.net.tls import default_context

__all__ = ["CLIENTS", "new_client"]

#: The engine first: that is what tests are written for.
CLIENTS = ("engine", "httpx", "httpx2")

#: So many connections are as good as any number.
UNLIMITED = 100

#: The modules that ask for an exchange.
_ASKING = ("anygql.http.connection", "anygql.http.single_connection")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("over_http")
    if mark is None or "anyio_backend" not in metafunc.fixturenames:
        return
    (only,) = mark.args or (None,)
    if only is not None:
        assert only in {"engine", "own"}, only
        assert mark.kwargs["why"], "say why the other clients can't do it"
        return
    metafunc.parametrize("http_client", CLIENTS, indirect=True)


@pytest.fixture(autouse=True)
def http_client(request: pytest.FixtureRequest) -> str:
    """The client of sessions that are given none."""
    name: str = getattr(request, "param", "engine")
    if name != "engine":
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        for module in _ASKING:
            monkeypatch.setattr(f"{module}.exchange_of", _exchange_by(name))
    return name


def _exchange_by(library: str) -> Callable[[HTTPEndpoint], Exchange]:
    def exchange_of(endpoint: HTTPEndpoint) -> Exchange:
        if endpoint.client is not None:
            return theirs.Exchange(endpoint, endpoint.client)
        return _OwningExchange(endpoint, new_client(library, endpoint))

    return exchange_of


class _OwningExchange(theirs.Exchange):
    """The requests of one session, on a client that is closed with it."""

    async def aclose(self) -> None:
        with move_on_after(5, shield=True):
            await self._client.aclose()


def new_client(library: str, endpoint: HTTPEndpoint) -> Any:
    """Return a client of httpx or httpx2 that does what the transport's options say."""
    httpx = importlib.import_module(library)
    # Reading the certificates anew would take longer than most tests.
    options: dict[str, Any] = {"verify": endpoint.ssl or default_context()}
    # The engine doesn't count streams, which would take all connections of a client with a limit.
    most = None if endpoint.max_connections == UNLIMITED else endpoint.max_connections
    options["limits"] = limits = httpx.Limits(max_connections=most, max_keepalive_connections=None)
    if endpoint.uds is not None:
        options["transport"] = httpx.AsyncHTTPTransport(
            verify=options["verify"], limits=limits, uds=str(endpoint.uds)
        )
    elif isinstance(endpoint.proxy, str):
        options["proxy"] = endpoint.proxy
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=endpoint.connect_timeout),
        trust_env=endpoint.proxy is True,
        **options,
    )
