"""The page on generated clients: its files make a package, and its program prints what it says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import anyio
import pytest

from anygql.testing import GraphQLServer, demo_schema
from tests.codegen.packages import HERE, ROOT, generate

PAGE = (ROOT / "docs" / "codegen.md").read_text(encoding="utf-8")
#: The blocks that say which file they are.
FILES = dict(re.findall(r"^```[a-z -]+\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
OUTPUT = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLE_URL = "ws://localhost:8000/graphql"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the program says what runs it
async def test_the_example(anyio_backend: str, tmp_path: Path) -> None:
    async with GraphQLServer(demo_schema()) as server:
        url = await server.listen()
        for name, text in FILES.items():
            source = text.replace(EXAMPLE_URL, url)
            (tmp_path / name).write_text(source, encoding="utf-8")
        generate(tmp_path, FILES["codegen.toml"])
        with anyio.fail_after(30):
            done = await anyio.run_process(
                [sys.executable, "-W", "error", "program.py"], cwd=tmp_path, check=False
            )
    assert done.stderr.decode() == ""
    assert done.returncode == 0
    assert [done.stdout.decode()] == OUTPUT


def test_the_base_client_is_ours() -> None:
    def code(text: str) -> str:
        return re.sub(r'"""[^"]*"""', "...", text)

    ours = (HERE / "base_client.py").read_text(encoding="utf-8")
    assert code(FILES["base_client.py"]) == code(ours)
