"""What isn't used isn't loaded: looked at in fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import anyio
import pytest

import anygql
from anygql.testing import GraphQLServer, demo_schema

#: What only some clients need; each is loaded by what needs it.
OPTIONAL = {
    "anygql.cli",
    "anygql.http.formats.sse",
    "anygql.http.formats.multipart",
    "anygql.schema.building",
    "anygql.schema.client_schema",
    "anygql.websocket.sockets.trio_adapter",
    "anygql.testing",
    "anygql.throttle",
    "anygql.http",
    "anygql.local",
    "anygql.results.types.shaping",
    "anygql.documents.files",
    "aiohttp",
    "attr",
    "graphql",
    "httpx",
    "httpx2",
    "mimetypes",
    "opentelemetry",
    "pydantic",
    "rich",
    "tenacity",
    "trio_websocket",
    "urllib.request",
    "wsproto",
}


def loaded(*program: str, arguments: tuple[str, ...] = ()) -> set[str]:
    """The modules that a fresh interpreter has loaded after ``program``, and had not before.

    The program may print whole lines.
    """
    lines = [
        "import sys",
        "before = set(sys.modules)",
        *program,
        "added = sorted(set(sys.modules) - before)",
        "import json",
        "print(json.dumps(added))",
    ]
    command = [sys.executable, "-W", "error", "-c", "\n".join(lines), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_loads_nothing_else() -> None:
    modules = loaded("import anygql")
    assert {name for name in modules if name.partition(".")[0] == "anygql"} == {
        "anygql",
        "anygql.lazy",
    }
    heavy = {"anyio", "asyncio", "dataclasses", "email", "logging", "msgspec", "ssl", "trio"}
    assert not modules & (heavy | OPTIONAL | {"websockets"})


#: Imports each name in a process that is forked from one that has loaded nothing of anygql.
EACH = """
import json, os, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    if not os.fork():
        exec(f"from anygql import {name}")
        print(json.dumps([name, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, name
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs to fork")
def test_each_name_loads_by_itself() -> None:
    command = [sys.executable, "-W", "error", "-c", EACH, *anygql.__all__]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    modules = dict(map(json.loads, done.stdout.splitlines()))
    assert list(modules) == anygql.__all__
    heavy = {"asyncio", "graphql", "httpx", "httpx2", "tenacity", "trio"}
    assert {name: heavy & set(found) for name, found in modules.items() if heavy & set(found)} == {}


@pytest.mark.parametrize(
    ("name", "not_needed"),
    [
        ("Client", {"anygql.websocket.transport", "anygql.http", "websockets"}),
        ("WebSocketTransport", {"anygql.http", "anygql.client"}),
        ("HTTPTransport", {"anygql.websocket.transport", "anygql.client", "websockets"}),
        ("gql", {"anygql.client", "anyio", "websockets"}),
        ("TransportError", {"anygql.client", "anyio", "msgspec", "websockets"}),
    ],
)
def test_a_name_loads_what_it_needs(name: str, not_needed: set[str]) -> None:
    modules = loaded(f"from anygql import {name}")
    assert f"anygql.{'documents.request' if name == 'gql' else 'exceptions'}" in modules
    assert not modules & not_needed


def test_blocking_is_loaded_when_it_is_asked_for() -> None:
    modules = loaded("import anygql", "anygql.blocking.Client")
    assert "anygql.blocking.client" in modules
    assert not modules & (OPTIONAL | {"asyncio", "trio", "websockets"})


def test_all_names_can_be_listed_and_imported_at_once() -> None:
    program = """
        import anygql
        assert set(anygql.__all__) <= set(dir(anygql))
        names = {}
        exec("from anygql import *", names)
        assert set(anygql.__all__) <= set(names)
        for name in anygql.__all__:
            assert getattr(anygql, name) is names[name]
    """
    loaded(*textwrap.dedent(program).splitlines())


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'anygql' has no attribute 'Cleint'"):
        getattr(anygql, "Cleint")  # noqa: B009 - type checkers know that there is none
    with pytest.raises(ImportError, match="cannot import name 'Cleint'"):
        exec("from anygql import Cleint")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_command_line_s_help_loads_no_click(option: str) -> None:
    modules = loaded(
        "from anygql.cli.main import main",
        f"sys.argv[1:] = [{option!r}]",
        "try: main()",
        "except SystemExit as end: assert end.code == 0",
    )
    ours = {name for name in modules if name.partition(".")[0] == "anygql"}
    assert ours == {
        "anygql",
        "anygql.cli",
        "anygql.cli.help",
        "anygql.cli.main",
        "anygql.cli.output",
        "anygql.cli.values",
        "anygql.lazy",
    }
    heavy = {"anyio", "asyncio", "click", "dataclasses", "inspect", "msgspec", "pathlib"}
    assert not modules & (heavy | OPTIONAL - {"anygql.cli"})


#: ``anygql execute`` of the URL, on the loop.
COMMAND = """
from anygql.cli.main import main
sys.argv = ["anygql", "execute", sys.argv[1], "--query", "{ hello }", "--backend", sys.argv[2]]
try: main()
except SystemExit as end: assert end.code == 0
"""

#: The first query over a WebSocket: of the URL, on the loop.
EXECUTE = """
import anygql, anyio

async def main():
    async with anygql.Client(sys.argv[1]) as session:
        assert await session.execute("query($n: String!) { hello(name: $n) }", {"n": "you"})

anyio.run(main, backend=sys.argv[2])
"""


#: What neither program below needs. (websockets loads importlib.metadata for its version, and that
#: loads csv, email and zipfile.)
RARE = {
    "anygql.results.incremental",
    "anygql.session.interceptors.deduplicate",
    "anygql.session.interceptors.calls",
    "anygql.session.interceptors.operation",
    "anygql.websocket.sockets.deflate",
    "csv",
    "difflib",
    "email",
    "importlib.metadata",
    "random",
    "tempfile",
    "websockets",
    "zipfile",
}


@pytest.mark.parametrize(
    ("program", "used"),
    [(EXECUTE, set[str]()), (COMMAND, {"anygql.cli", "click"})],
    ids=["the library", "the command line"],
)
async def test_the_first_execute_loads_what_it_uses(
    program: str, used: set[str], anyio_backend_name: str
) -> None:
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        arguments = (url, anyio_backend_name)
        modules = await anyio.to_thread.run_sync(
            lambda: loaded(*program.splitlines(), arguments=arguments)
        )
    assert {"anygql.websocket.transport", *used} <= modules
    of_trio = {"attr", "random", "tempfile"} if anyio_backend_name == "trio" else set()
    assert modules & ((OPTIONAL | RARE) - used - of_trio) == set()
    assert ("trio" in modules) == (anyio_backend_name == "trio")


def test_documents_are_built_without_graphql_core() -> None:
    modules = loaded(
        "from anygql.dsl import query, select, var",
        "select(query('hero', dict, id=var('ID!'))).kind",
    )
    assert not modules & (OPTIONAL - {"anygql.results.types.shaping"})


@pytest.mark.parametrize(("document", "parsed"), [("{ a }", False), (r'{ a(b: "\u00e9") }', True)])
def test_the_parser_is_loaded_for_what_is_rare(document: str, parsed: bool) -> None:
    modules = loaded("from anygql import gql", f"gql({document!r}).kind")
    assert ("graphql" in modules) == parsed
