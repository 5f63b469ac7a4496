"""A notebook: blocking and async cells in one kernel, one of them interrupted, closed cleanly."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from anygql.testing import GraphQLServer, demo_schema
from tests.support.paths import ROOT
from tests.support.programs import environment

pytest.importorskip("ipykernel", reason="needs ipykernel, of the group `test`")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient, of the group `test`")

pytestmark = [
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),  # nbclient's
    pytest.mark.skipif(sys.platform == "win32", reason="interrupts by a signal"),
]

#: Before the cell that increments: the call that is interrupted, and what it leaves behind.
INTERRUPTED = 'session.execute("{ slow(seconds: 60) }")'
WARNED = """
import threading, warnings
warnings.simplefilter("error")
[thread.name for thread in threading.enumerate() if thread.name == "anygql session"]
"""


def outputs(cell: Any) -> list[str]:
    """What a cell shows, without colors: text, values, and the names of errors."""
    shown = []
    for output in cell.outputs:
        if output.output_type == "stream":
            shown.append(output.text)
        elif output.output_type == "error":
            shown.append(output.ename)
        else:
            shown.append(output.data["text/plain"])
    return shown


async def run(notebook: Any, url: str, interrupt: Callable[[], Any]) -> None:
    """Run each cell, and interrupt the one that is marked so when ``interrupt`` has returned."""
    client = nbclient.NotebookClient(notebook, timeout=60, allow_errors=True)
    variables = environment() | {"GRAPHQL_URL": url}
    async with client.async_setup_kernel(env=variables), anyio.create_task_group() as tg:

        async def interrupt_kernel() -> None:
            await interrupt()
            await client.km.interrupt_kernel()

        for index, cell in enumerate(notebook.cells):
            if cell.source == INTERRUPTED:
                tg.start_soon(interrupt_kernel)
            await client.async_execute_cell(cell, index)


async def test_the_example() -> None:
    import nbformat

    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    sources = [cell.source for cell in notebook.cells]
    place = next(k for k, source in enumerate(sources) if "increment" in source)
    notebook.cells.insert(place, nbformat.v4.new_code_cell(INTERRUPTED))
    notebook.cells.append(nbformat.v4.new_code_cell(WARNED))
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()

        async def is_running() -> None:
            connection = await server.wait_connection()
            await connection.wait_operations(1)

        await run(notebook, url, is_running)
        shown = [outputs(cell) for cell in notebook.cells if cell.cell_type == "code"]
        first, second = server.connections
        assert await first.wait_closed() == await second.wait_closed() == (1000, "")
        received = [message["type"] for message in first.received]
    assert shown == [
        [f"<Session of {url}, connected>"],
        ["{'hello': 'Hello notebook!'}"],
        ["3\n2\n1\n0\n"],
        ["KeyboardInterrupt"],
        ["2"],
        ["{'counter': 2}\n"],
        ["'closed'"],
        ["[]"],
    ]
    assert received.count("complete") == 1


#: The cells of the recipe, and what each shows.
CELL = re.compile(
    r"^```python cell\n(.*?)^```\n(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL
)


async def test_the_recipe() -> None:
    import nbformat

    page = (ROOT / "docs" / "recipes" / "jupyter.md").read_text(encoding="utf-8")
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        cells = CELL.findall(page.replace("ws://localhost:8000/graphql", url))
        notebook = nbformat.v4.new_notebook()
        notebook.cells = [nbformat.v4.new_code_cell(source) for source, _ in cells]
        await run(notebook, url, anyio.lowlevel.checkpoint)
        shown = ["".join(outputs(cell)).strip() for cell in notebook.cells]
        assert shown == [output.strip() for _, output in cells]
        for connection in server.connections:
            assert await connection.wait_closed() == (1000, "")
    assert len(cells) == 8


async def test_a_notebook_is_told_once_that_its_loop_is_blocked() -> None:
    import nbformat

    source = 'with Client(URL) as session:\n    session.execute("{ hello }")\nprint("done")'
    start = "import os\nfrom anygql.blocking import Client\nURL = os.environ['GRAPHQL_URL']"
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in (start, source, source)]
    async with GraphQLServer(demo_schema()) as server:

        async def nothing() -> None: ...

        await run(notebook, await server.listen(), nothing)
    _, first, second = (" ".join(outputs(cell)) for cell in notebook.cells)
    assert "BlockingInAsync: this call blocks the event loop" in first
    assert "done" in first
    assert second == "done\n"
