"""Files: what of them goes over the wire, and that it goes in pieces."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from email import message_from_bytes
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trio

from anygql import (
    Client,
    FileVar,
    GraphQLRequest,
    HTTPTransport,
    TransportConnectionFailed,
    TransportServerError,
)
from anygql.http import upload as forms
from tests.support.http_mock import answering
from tests.support.http_peer import http, kept, peer

pytestmark = pytest.mark.over_http

UPLOAD = "mutation ($file: Upload!) { upload(file: $file) }"


class Sink:
    """A server that takes a form apart."""

    def __init__(self, status: int = 200) -> None:
        self.forms: list[list[tuple[str, str | None, str, bytes]]] = []
        self.requests: list[httpx.Request] = []
        self.status = status

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = b"".join([chunk async for chunk in request.stream])  # type: ignore[union-attr]
        self.requests.append(request)
        if "content-length" in request.headers:
            assert int(request.headers["content-length"]) == len(body)
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        form = []
        for part in message_from_bytes(head + body).get_payload():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            form.append((name, part.get_filename(), part.get_content_type(), content))
        self.forms.append(form)
        results: Any = {"data": {"ok": True}}
        if form[0][3].startswith(b"["):
            results = [results] * len(json.loads(form[0][3]))
        return httpx.Response(self.status, json=results)

    @asynccontextmanager
    async def session(self, client: dict[str, Any] | None = None, **options: Any) -> Any:
        async with (
            answering(self) as url,
            Client(HTTPTransport(url, **options), **(client or {})) as session,
        ):
            yield session


async def pieces(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d" % number
        yield b""


def variants(path: Path) -> dict[str, tuple[FileVar, str, str, bytes]]:
    path.write_bytes(b"on disk")
    return {
        "path": (FileVar(path), "some.txt", "text/plain", b"on disk"),
        "name": (FileVar(str(path)), "some.txt", "text/plain", b"on disk"),
        "bytes": (FileVar(b"as bytes"), "file", "application/octet-stream", b"as bytes"),
        "memory": (
            FileVar(io.BytesIO(b"in memory"), filename="a.png"),
            "a.png",
            "image/png",
            b"in memory",
        ),
        "iterator": (
            FileVar(pieces(4), filename='q"\r\n.bin', content_type="x/y"),
            "q%22%0D%0A.bin",
            "x/y",
            b"0123",
        ),
    }


class Stream:
    """A stream in the form of aiohttp's ``StreamReader``."""

    def __init__(self) -> None:
        self._chunks = [b"streamed, ", b"in chunks"]

    def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async def chunks() -> AsyncIterator[bytes]:
            for chunk in self._chunks:
                assert len(chunk) <= size
                yield chunk

        return chunks()

    async def read(self, size: int = -1) -> bytes:
        raise AssertionError("iter_chunked is for this")


class Reader:
    """A file in the form of Starlette's ``UploadFile``."""

    filename = "theirs.csv"

    def __init__(self) -> None:
        self._content = io.BytesIO(b"uploaded")

    async def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


async def opened(kind: str, path: Path, tasks: AsyncExitStack) -> tuple[Any, int | None]:
    """Open an async file or stream of one kind; return it, and its size if it can be known."""
    path.write_bytes(b"in a file" * 100_000)
    if kind == "anyio":
        return await tasks.enter_async_context(await anyio.open_file(path, "rb")), 900_000
    if kind == "trio":
        return await tasks.enter_async_context(await trio.open_file(path, "rb")), 900_000
    if kind == "asyncio.StreamReader":
        reader = asyncio.StreamReader()
        reader.feed_data(b"in a file" * 100_000)
        reader.feed_eof()
        return reader, None
    return {"iter_chunked": Stream, "read": Reader}[kind](), None


def library_of(backend: Any) -> str:
    """Return the loop's library; a backend may be a name with options."""
    return backend if isinstance(backend, str) else str(backend[0])


@pytest.mark.parametrize("kind", ["anyio", "trio", "asyncio.StreamReader", "iter_chunked", "read"])
async def test_an_async_file_or_stream(kind: str, tmp_path: Path, anyio_backend: Any) -> None:
    if kind in {"trio", "asyncio.StreamReader"} and not kind.startswith(library_of(anyio_backend)):
        pytest.skip("of the other loop")
    content = {"iter_chunked": b"streamed, in chunks", "read": b"uploaded"}
    sink = Sink()
    async with AsyncExitStack() as tasks:
        file, size = await opened(kind, tmp_path / "some.csv", tasks)
        async with sink.session() as session:
            await session.execute(UPLOAD, {"file": FileVar(file)})
            with pytest.raises(ValueError, match="has been sent already"):
                used = FileVar(file)
                used.used = True
                await session.execute(UPLOAD, {"file": used})
    [[_, _, (_, name, _, sent)]] = sink.forms
    assert sent == content.get(kind, b"in a file" * 100_000)
    names = {"anyio": "some.csv", "trio": "some.csv", "read": "theirs.csv"}
    assert name == names.get(kind, "file")
    assert ("content-length" in sink.requests[0].headers) is (size is not None)


@pytest.mark.parametrize("kind", ["anyio", "trio"])
async def test_an_async_file_in_text_mode_is_refused(
    kind: str, tmp_path: Path, anyio_backend: Any
) -> None:
    if kind == "trio" != library_of(anyio_backend):
        pytest.skip("of the other loop")
    path = tmp_path / "some.txt"
    path.write_text("text")
    open_file: Any = anyio.open_file if kind == "anyio" else trio.open_file
    async with await open_file(path) as file:
        with pytest.raises(TypeError, match="must be opened in binary mode"):
            FileVar(file)


@pytest.mark.parametrize("kind", ["path", "name", "bytes", "memory", "iterator"])
async def test_a_file(kind: str, tmp_path: Path) -> None:
    file, name, content_type, content = variants(tmp_path / "some.txt")[kind]
    sink = Sink()
    progress: list[tuple[int, int | None]] = []
    headers = {"content-type": "application/json"}  # not of this request
    async with sink.session(headers=headers) as session:
        args = {"progress": lambda sent, total: progress.append((sent, total))}
        await session.execute(UPLOAD, {"file": file}, transport_args=args)
    [[operations, mapped, sent]] = sink.forms
    assert operations[:2] == ("operations", None)
    assert json.loads(operations[3]) == {"query": UPLOAD, "variables": {"file": None}}
    assert mapped[0] == "map"
    assert json.loads(mapped[3]) == {"0": ["variables.file"]}
    assert sent == ("0", name, content_type, content)
    [request] = sink.requests
    known = kind != "iterator"
    assert ("content-length" in request.headers) is known
    assert request.headers["apollo-require-preflight"] == "true"
    assert progress[-1][0] == progress[-1][1] if known else progress[-1][1] is None


async def test_an_open_file_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_bytes(b"0123456789")
    sink = Sink()
    async with sink.session() as session:
        with path.open("rb") as file:
            file.seek(4)
            variable = FileVar(file)
            await session.execute(UPLOAD, {"file": variable})
            assert not file.closed
            with pytest.raises(ValueError, match="has been sent already"):
                await session.execute(UPLOAD, {"file": variable})
    assert sink.forms[0][2] == ("0", "some.txt", "text/plain", b"456789")


async def test_one_file_at_two_places_of_a_batch() -> None:
    sink = Sink()
    file = FileVar(b"x")
    batch = [
        GraphQLRequest(UPLOAD, {"file": file}),
        GraphQLRequest(UPLOAD, {"file": {"deep": [file]}}),
    ]
    async with sink.session() as session:
        assert await session.execute_batch(batch) == [{"ok": True}] * 2
    [[operations, mapped, _]] = sink.forms
    nulls = [one["variables"] for one in json.loads(operations[3])]
    assert nulls == [{"file": None}, {"file": {"deep": [None]}}]
    assert json.loads(mapped[3]) == {"0": ["0.variables.file", "1.variables.file.deep.0"]}


async def test_an_upload_goes_past_automatic_batches() -> None:
    sink = Sink()
    async with sink.session({"batch_interval": 60}) as session:
        with anyio.fail_after(5):
            await session.execute(UPLOAD, {"file": FileVar(b"x")})


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    sink = Sink()
    async with sink.session() as session:
        with pytest.raises(FileNotFoundError):
            await session.execute(UPLOAD, {"file": FileVar(tmp_path / "none")})
        assert not sink.requests


async def test_a_path_can_be_sent_again(tmp_path: Path) -> None:
    file, *_ = variants(tmp_path / "some.txt")["path"]
    sink = Sink()
    async with sink.session() as session:
        for _ in range(2):
            await session.execute(UPLOAD, {"file": file})
    assert len(sink.forms) == 2


async def test_a_redirected_upload(tmp_path: Path) -> None:
    file, *_ = variants(tmp_path / "some.txt")["path"]
    sink = Sink()

    async def handle(request: httpx.Request) -> httpx.Response:
        response = await sink(request)
        if len(sink.forms) == 1:
            return httpx.Response(307, headers={"location": "/again"})
        return response

    async with answering(handle) as url, Client(HTTPTransport(url)) as session:
        await session.execute(UPLOAD, {"file": file}, transport_args={"follow_redirects": True})
    assert sink.forms[0] == sink.forms[1]


async def test_a_redirected_upload_that_cannot_be_read_again() -> None:
    moved = kept(http("", "307 Moved", location="/again"))
    async with peer(moved, kept(http('{"data": {"ok": true}}'))) as server:
        async with Client(server.url) as session:
            args = {"follow_redirects": True}
            file = io.BytesIO(b"in memory")
            with pytest.raises(ValueError, match="has been sent already"):
                await session.execute(UPLOAD, {"file": FileVar(file)}, transport_args=args)
            assert await session.execute("{ ok }") == {"ok": True}


async def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    """The size that was announced can't be sent any more."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * 3 * forms.CHUNK)
    sink = Sink()
    async with sink.session() as session:
        args = {"progress": lambda sent, total: path.write_bytes(b"x")}
        with pytest.raises(OSError, match="became shorter while it was sent"):
            await session.execute(UPLOAD, {"file": FileVar(path)}, transport_args=args)
        assert not sink.requests


async def test_a_pipe() -> None:
    """Its size is unknown."""
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    sink = Sink()
    with open(reading, "rb") as file:
        async with sink.session() as session:
            await session.execute(UPLOAD, {"file": FileVar(file)})
    assert sink.forms[0][2] == ("0", "file", "application/octet-stream", b"through a pipe")
    assert "content-length" not in sink.requests[0].headers


async def test_an_iterator_of_text_is_refused() -> None:
    async def texts() -> AsyncIterator[Any]:
        yield "text"

    sink = Sink()
    async with sink.session() as session:
        with pytest.raises(TypeError, match="must be opened in binary mode: it gives str"):
            await session.execute(UPLOAD, {"file": FileVar(texts())})
        assert not sink.requests


@pytest.mark.parametrize("how", ["refused", "reset", "cancelled"])
async def test_files_are_closed(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    class Spy(forms._Path):
        def __init__(self, path: Any) -> None:
            super().__init__(path)
            opened.append(self)

    monkeypatch.setattr(forms, "_Path", Spy)
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(2**26)
    scope = anyio.CancelScope()

    class Server:
        async def serve(self, stream: Any) -> None:
            async with stream:
                received = 0
                while received < 2**20:  # well within the file
                    received += len(await stream.receive())
                if how == "refused":
                    await stream.send(http("", "413 Too Large", connection="close"))
                elif how == "cancelled":
                    scope.cancel()
                    with anyio.move_on_after(0.1):
                        await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tg:
        tg.start_soon(listener.serve, Server().serve)
        async with Client(f"http://127.0.0.1:{port}/") as session:
            with scope, suppress(TransportServerError, TransportConnectionFailed):
                await session.execute(UPLOAD, {"file": FileVar(path)})
            assert scope.cancelled_caught is (how == "cancelled")
        tg.cancel_scope.cancel()
    [content] = opened
    assert content._file is not None
    assert content._file.wrapped.closed


async def test_an_upload_that_is_cut_off() -> None:
    async with (
        peer(None, kept(http('{"data": {"ok": true}}'))) as server,
        Client(server.url) as session,
    ):
        with pytest.raises(TransportConnectionFailed):
            await session.execute(UPLOAD, {"file": FileVar(b"x" * 10)})
        assert await session.execute(UPLOAD, {"file": FileVar(b"x" * 10)}) == {"ok": True}
