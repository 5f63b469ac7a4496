"""graphql-core's private names are needed for ``@defer`` and ``@stream`` alone.

In fresh processes, since the tests beside this one have loaded everything.
"""

from __future__ import annotations

import subprocess
import sys

import anyio
import pytest

#: Execute each document of the command line; then print the answers and what has been loaded.
PROGRAM = """
import sys
import anyio
from graphql import build_schema, GraphQLDeferDirective, specified_directives
from graphql.execution.incremental import work_queue
from anygql import Client, LocalSchemaTransport, TransportQueryError

backend, missing, *documents = sys.argv[1:]
if missing:
    delattr(work_queue, missing)

schema = build_schema("type Query { a: Int } type Subscription { a: Int }")
schema.directives = (*specified_directives, GraphQLDeferDirective)

async def events(info):
    yield {"a": 2}

async def main():
    root = {"a": 1}
    async with Client(LocalSchemaTransport(schema, root_value=root)) as session:
        for document in documents:
            try:
                print(await session.execute(document))
            except TransportQueryError as error:
                print(error)
        root["a"] = events
        async with session.subscribe("subscription { a }") as results:
            print(await results.receive())

anyio.run(main, backend=backend)
print("anygql.local.incremental" in sys.modules)
"""

PLAIN = "{ a }"
DEFERRED = "{ ... @defer { a } }"
SPACED = "{ ... @ # a comment\n , defer { a } }"


async def printed(*arguments: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
    done = await anyio.run_process(command, stderr=subprocess.DEVNULL)
    return done.stdout.decode().splitlines()


async def test_they_are_not_loaded_for_other_documents(anyio_backend_name: str) -> None:
    assert await printed(anyio_backend_name, "", PLAIN, "{ b: a }") == [
        "{'a': 1}",
        "{'b': 1}",
        "{'a': 2}",
        "False",
    ]


@pytest.mark.parametrize("document", [DEFERRED, SPACED])
async def test_they_are_loaded_when_needed(anyio_backend_name: str, document: str) -> None:
    lines = await printed(anyio_backend_name, "", PLAIN, document)
    assert lines == ["{'a': 1}", "{'a': 1}", "{'a': 2}", "True"]


async def test_a_missing_name_breaks_only_what_needs_it(anyio_backend_name: str) -> None:
    plain, deferred, again, event, is_loaded = await printed(
        anyio_backend_name, "_TaskNode", PLAIN, DEFERRED, PLAIN
    )
    assert (plain, again, event, is_loaded) == ("{'a': 1}", "{'a': 1}", "{'a': 2}", "False")
    assert "@defer and @stream can't be executed with graphql-core 3." in deferred
    assert "cannot import name '_TaskNode'" in deferred
