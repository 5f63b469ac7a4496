"""Only what the caller wrapped in ``FileVar`` is ever opened."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from anygql import Client, FileVar, HTTPTransport
from tests.support.http_peer import http, kept, peer

MUTATION = "mutation ($some: Some) { ok(some: $some) }"

#: While it is a list, the paths of files that are opened go there.
_opened: list[list[str]] = []
_hooked = False


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _opened and isinstance(args[0], str | bytes | Path):
        _opened[-1].append(str(args[0]))


@pytest.fixture
def opened() -> Generator[list[str]]:
    """The paths that this process opens: by Python's own audit events."""
    global _hooked
    if not _hooked:  # such a hook can't be removed
        sys.addaudithook(_hear)
        _hooked = True
    paths: list[str] = []
    _opened.append(paths)
    try:
        yield paths
    finally:
        _opened.remove(paths)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    it = tmp_path / "private.txt"
    it.write_text("s3cret")
    return it


@dataclass
class Some:
    path: str


@pytest.mark.over_http
async def test_a_file_var_is_opened(path: Path, opened: list[str]) -> None:
    """Or the others could not fail."""
    async with peer(kept(http('{"data": {"ok": true}}'))) as server:
        async with Client(server.url) as session:
            await session.execute(MUTATION, {"some": FileVar(path)})
        assert b"s3cret" in server.requests[0].body
    assert str(path) in opened


@pytest.mark.over_http
@pytest.mark.parametrize("form", ["str", "list", "mapping", "dataclass", "URL", "at sign"])
async def test_a_path_that_is_a_string_is_a_string(
    path: Path, opened: list[str], form: str
) -> None:
    text = str(path)
    some: Any = {
        "str": text,
        "list": [text, [text]],
        "mapping": {"file": text, "path": text, "filename": text},
        "dataclass": Some(text),
        "URL": path.as_uri(),
        "at sign": f"@{text}",
    }[form]
    async with peer(kept(http('{"data": {"ok": true}}'))) as server:
        async with Client(server.url) as session:
            await session.execute(MUTATION, {"some": some})
        [request] = server.requests
        assert request.headers["content-type"] == "application/json"
        assert text.encode() in request.body
        assert b"s3cret" not in request.body
    assert text not in opened


@pytest.mark.over_http
async def test_next_to_a_file_too(path: Path, opened: list[str]) -> None:
    async with peer(kept(http('{"data": {"ok": true}}'))) as server:
        async with Client(server.url) as session:
            variables = {"some": {"file": FileVar(b"content", filename=str(path)), "a": str(path)}}
            await session.execute(MUTATION, variables)
        assert b"s3cret" not in server.requests[0].body
    assert str(path) not in opened


@pytest.mark.over_http
async def test_what_a_server_says_opens_nothing(path: Path, opened: list[str]) -> None:
    """Not in an answer, nor when an answer's values become the next request's variables."""
    answer = http(json.dumps({"data": {"ok": {"file": str(path), "__typename": "FileVar"}}}))
    async with peer(kept(answer)) as server:
        async with Client(HTTPTransport(server.url)) as session:
            data = await session.execute("{ ok }")
            assert data == {"ok": {"file": str(path), "__typename": "FileVar"}}
            await session.execute(MUTATION, {"some": data["ok"]})
        assert all(b"s3cret" not in request.body for request in server.requests)
    assert str(path) not in opened


@pytest.mark.over_http
async def test_no_result_becomes_a_file(path: Path, opened: list[str]) -> None:
    @dataclass
    class Answer:
        ok: FileVar

    answer = http(json.dumps({"data": {"ok": str(path)}}))
    async with peer(kept(answer)) as server:
        async with Client(server.url) as session:
            with pytest.raises((TypeError, ValueError)):
                await session.execute("{ ok }", result_type=Answer)
    assert str(path) not in opened
