"""Fixtures for pytest: a GraphQL server, a session with it, and recordings.

pytest imports this module when it starts. So nothing else of this package is imported before a
fixture is used.

The fixtures work under anyio's plugin, pytest-trio and pytest-asyncio. Each of these has its own
way of running async fixtures, so a public fixture asks for the private one of the plugin that runs
the test.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from graphql import GraphQLSchema

    from ..client import Client
    from ..session.session import Session
    from .cassettes import Cassettes
    from .server import GraphQLServer

__all__ = [
    "cassette",
    "graphql_client",
    "graphql_schema",
    "graphql_server",
    "graphql_session",
    "pytest_addoption",
    "pytest_runtest_makereport",
]

#: The plugin that has the fixtures for pytest-asyncio.
_FOR_ASYNCIO = "anygql-asyncio"

#: The names under which pytest may have the plugins that run a marked test, by their marks.
_PLUGINS = {
    "asyncio": ("asyncio", "pytest_asyncio.plugin"),
    "trio": ("trio", "pytest_trio.plugin"),
}

_PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.getgroup("anygql").addoption(
        "--anygql-record",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="record every cassette anew; with --no-anygql-record, record none. By default those "
        "are recorded that lack",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself has passed."""
    report = yield
    if call.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture
def graphql_schema() -> GraphQLSchema:
    """Return the schema of ``graphql_server``: ``demo_schema()``, unless you override this."""
    from .schema import demo_schema

    return demo_schema()


@pytest.fixture
def graphql_server(request: pytest.FixtureRequest) -> GraphQLServer:
    """Return a ``GraphQLServer`` of ``graphql_schema``, which runs as long as the test."""
    server: GraphQLServer = _async_fixture(request, "_graphql_server")
    return server


@pytest.fixture
def graphql_client(graphql_server: GraphQLServer) -> Client:
    """Return the client of ``graphql_session``, for ``graphql_server`` unless you override this."""
    from ..client import Client

    return Client(graphql_server.transport())


@pytest.fixture
def graphql_session(request: pytest.FixtureRequest) -> Session:
    """Return a session of ``graphql_client``, which is open as long as the test runs."""
    session: Session = _async_fixture(request, "_graphql_session")
    return session


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Generator[Cassettes]:
    """Return a function: ``cassette(transport)`` makes a transport that records or replays.

    ``transport`` may be a URL. The file is ``cassettes/<module>/<test>.json`` beside the test. If
    there is one, it is replayed. Otherwise ``transport`` is recorded, and the file is written when
    the test has passed.
    """
    from .cassettes import Cassettes

    cassettes = Cassettes(request.node, record=request.config.getoption("anygql_record"))
    yield cassettes
    if request.node.stash.get(_PASSED, False):
        cassettes.save()


def _async_fixture(request: pytest.FixtureRequest, name: str) -> Any:
    """Return the value of an async fixture, as the plugin that runs the test has it."""
    config, missing = request.config, ""
    for mark in _PLUGINS:
        marker = request.node.get_closest_marker(mark)
        if marker is None:
            continue
        if not any(config.pluginmanager.has_plugin(plugin) for plugin in _PLUGINS[mark]):
            missing = mark
        elif mark == "asyncio":
            return request.getfixturevalue(f"{name}_{_loop_scope(config, marker)}")
        else:
            return request.getfixturevalue(name)
    if "anyio_backend" in request.fixturenames:
        return request.getfixturevalue(name)
    if missing:
        pytest.fail(
            f"{request.fixturename} needs the plugin pytest-{missing}, for which this test is "
            "marked: it is not installed, or turned off",
            pytrace=False,
        )
    pytest.fail(
        f"{request.fixturename} is for async tests: mark this one for anyio, pytest-asyncio or "
        "pytest-trio, and have that plugin installed",
        pytrace=False,
    )


def _loop_scope(config: pytest.Config, marker: pytest.Mark) -> str:
    """Return the scope of a test's event loop, and add the fixtures for pytest-asyncio."""
    if not config.pluginmanager.has_plugin(_FOR_ASYNCIO):
        from . import asyncio_fixtures

        # Not when pytest starts: with a pytest-asyncio that is too old, tests that don't use
        # these fixtures must go on.
        config.pluginmanager.register(asyncio_fixtures, _FOR_ASYNCIO)
    scope: str | None = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
    return scope or config.getini("asyncio_default_test_loop_scope")


# anyio's plugin runs both halves of a fixture in one task, as pytest-trio does.


@pytest.fixture
async def _graphql_server(graphql_schema: GraphQLSchema) -> AsyncGenerator[GraphQLServer]:
    from .server import GraphQLServer

    async with GraphQLServer(graphql_schema) as server:
        yield server


@pytest.fixture
async def _graphql_session(graphql_client: Client) -> AsyncGenerator[Session]:
    async with graphql_client as session:
        yield session
