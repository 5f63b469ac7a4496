"""The body of an upload: a multipart form, streamed as it is sent.

https://github.com/jaydenseric/graphql-multipart-request-spec on RFC 7578. No file is ever read as a
whole. Files that are opened here are closed here, whatever happens.
"""

from __future__ import annotations

import inspect
import io
import os
import re
import secrets
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterator
from typing import Any, Protocol, cast

import anyio
from anyio import to_thread

from ..documents.files import FileVar, UploadField, upload_fields

__all__ = ["Progress", "UploadBody"]

#: Bytes that are read at a time. Reading happens in a thread, which costs as much as 100 KB do.
CHUNK = 2**18

#: A function of the number of bytes that were sent so far, and of all bytes (``None``: unknown).
Progress = Callable[[int, int | None], object]


class _Content(Protocol):
    """A piece of the body, read chunk by chunk."""

    async def size(self) -> int | None:
        """Return the number of bytes, or ``None`` if it can't be known. Raise ``OSError``."""
        ...

    async def read(self) -> bytes:
        """Return the next chunk, or ``b""`` at the end. Raise ``OSError``."""
        ...

    async def aclose(self) -> None:
        """Close the file that was opened for it."""
        ...


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    async def size(self) -> int | None:
        return len(self._data)

    async def read(self) -> bytes:
        chunk = self._data[self._position : self._position + CHUNK]
        self._position += len(chunk)
        return chunk

    async def aclose(self) -> None:
        pass


class _Path:
    """A file by its path, which is opened only when its turn comes."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = anyio.Path(path)
        self._remaining: int | None = None
        self._file: anyio.AsyncFile[bytes] | None = None

    async def size(self) -> int | None:
        status = await self._path.stat()
        # A pipe or device has no size that means anything.
        self._remaining = status.st_size if await self._path.is_file() else None
        return self._remaining

    async def read(self) -> bytes:
        if self._file is None:
            self._file = await self._path.open("rb")
        # No more than the announced size is sent, even if the file grows meanwhile.
        size = CHUNK if self._remaining is None else min(CHUNK, self._remaining)
        chunk = await self._file.read(size)
        if self._remaining is not None:
            if not chunk and self._remaining:
                raise OSError(f"{self._path} became shorter while it was sent")
            self._remaining -= len(chunk)
        return chunk

    async def aclose(self) -> None:
        if self._file is not None:
            await self._file.aclose()


class _OpenFile:
    """A file that the user opened and will close, from its current position on."""

    def __init__(self, file: Any) -> None:
        self._file = file

    async def size(self) -> int | None:
        return await to_thread.run_sync(self._size)

    def _size(self) -> int | None:
        try:
            position: int = self._file.tell()
            end: int = self._file.seek(0, os.SEEK_END)
            self._file.seek(position)
        except (AttributeError, OSError):  # a pipe
            return None
        return end - position

    async def read(self) -> bytes:
        if isinstance(self._file, io.BytesIO):
            return self._file.read(CHUNK)
        chunk: bytes = await to_thread.run_sync(self._file.read, CHUNK)
        return chunk

    async def aclose(self) -> None:
        pass


class _Iterator:
    """The chunks of an asynchronous iterator, which the user will close."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = aiter(chunks)

    async def size(self) -> int | None:
        return None

    async def read(self) -> bytes:
        while True:
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                return b""
            if chunk:
                return _as_bytes(chunk)

    async def aclose(self) -> None:
        pass


class _Reader:
    """A file or stream that is read asynchronously, from its position on; the user closes it."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    async def size(self) -> int | None:
        try:
            position: int = await self._reader.tell()
            end: int = await self._reader.seek(0, os.SEEK_END)
            await self._reader.seek(position)
        except (AttributeError, OSError, TypeError):  # a stream
            return None
        return end - position

    async def read(self) -> bytes:
        return _as_bytes(await self._reader.read(CHUNK))

    async def aclose(self) -> None:
        pass


def _as_bytes(chunk: Any) -> bytes:
    if isinstance(chunk, str):
        raise TypeError("a file to upload must be opened in binary mode: it gives str")
    return bytes(chunk)


def _content(value: bytes | FileVar) -> _Content:
    if isinstance(value, bytes):
        return _Bytes(value)
    file: Any = value.file
    if isinstance(file, bytes):
        return _Bytes(file)
    if isinstance(file, str | os.PathLike):
        return _Path(cast("str | os.PathLike[str]", file))
    if hasattr(file, "iter_chunked"):  # aiohttp's
        return _Iterator(file.iter_chunked(CHUNK))
    read = getattr(file, "read", None)
    if read is None:
        return _Iterator(file)
    if inspect.iscoroutinefunction(read) or inspect.iscoroutinefunction(
        getattr(read, "__call__", None)  # noqa: B004 - an object with an async `__call__`
    ):
        return _Reader(file)
    return _Iterator(file) if hasattr(file, "__aiter__") else _OpenFile(file)


def _quoted(text: str) -> str:
    """Return a name for a Content-Disposition, as browsers escape it (HTML, "Multipart form data").

    Browsers escape quotes and line breaks; here all other control characters are escaped too.
    """
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", text)


_ESCAPED = re.compile(r'["\x00-\x1f\x7f]')

# RFC 9110 §5.5, without what isn't ASCII.
_CONTENT_TYPE = re.compile(r"[!-~](?:[\t -~]*[!-~])?")


class UploadBody:
    """The bytes of one upload, as an asynchronous iterator.

    Await ``prepare`` first, and ``aclose`` last. This is no generator, since one that is left
    half-way keeps its file open until the garbage collector finds it.

    Args:
        operations: The JSON of the operations.
        files: The files, with the paths of the variables that they stand for.
        progress: A function that is called after each chunk. Default: none.
    """

    def __init__(self, operations: bytes, files: Any, progress: Progress | None = None) -> None:
        #: The JSON of the operations.
        self.operations = operations
        self._fields: list[UploadField] = upload_fields(operations, files)
        self._boundary = secrets.token_hex(16)
        self._progress = progress
        self._sent = 0
        self._contents: deque[_Content] = deque()
        #: The size of the whole body, in bytes; ``None`` if that of a file is unknown.
        self.size: int | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether the body can be read, though it was read before."""
        files = [field.value for field in self._fields if isinstance(field.value, FileVar)]
        return all(file.replayable or not file.used for file in files)

    @property
    def filenames(self) -> list[str | None]:
        """The names of the files, in the order of the body."""
        return [field.value.filename for field in self._fields if isinstance(field.value, FileVar)]

    @property
    def content_type(self) -> str:
        """The media type of the body, with the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    async def prepare(self) -> None:
        """Check the files, and find their sizes, before anything is sent.

        Raises:
            OSError: A file can't be read.
            ValueError: A file has been read already, or its ``content_type`` can't be sent.
        """
        self._start()
        sizes = [await content.size() for content in self._contents]
        known = [size for size in sizes if size is not None]
        self.size = sum(known) if len(known) == len(sizes) else None

    def _start(self) -> None:
        for field in self._fields:
            if isinstance(field.value, FileVar) and field.value.used:
                raise ValueError(
                    f"{field.value!r} has been sent already, and can't be read again: make a new "
                    "one, or give the path or the bytes"
                )
        self._sent = 0
        self._contents = deque(self._pieces())

    def _pieces(self) -> Iterator[_Content]:
        for field in self._fields:
            yield _Bytes(self._head(field))
            yield _content(field.value)
            yield _Bytes(b"\r\n")
        yield _Bytes(f"--{self._boundary}--\r\n".encode())

    def _head(self, field: UploadField) -> bytes:
        disposition = f'form-data; name="{_quoted(field.name)}"'
        kind = "application/json"
        if isinstance(field.value, FileVar):
            disposition += f'; filename="{_quoted(field.value.filename)}"'
            kind = field.value.content_type
            if not _CONTENT_TYPE.fullmatch(kind):
                raise ValueError(
                    f"{field.value!r}: its content_type can't be sent: it must be printable ASCII"
                )
        return (
            f"--{self._boundary}\r\nContent-Disposition: {disposition}\r\n"
            f"Content-Type: {kind}\r\n\r\n"
        ).encode()

    def __aiter__(self) -> UploadBody:
        if self._sent:  # once more, after a redirect
            self._start()
        for field in self._fields:
            if isinstance(field.value, FileVar) and not field.value.replayable:
                field.value.used = True
        return self

    async def __anext__(self) -> bytes:
        while self._contents:
            chunk = await self._contents[0].read()
            if chunk:
                self._sent += len(chunk)
                if self._progress is not None:
                    self._progress(self._sent, self.size)
                return chunk
            await self._contents.popleft().aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the files that are still open, shielded from cancellation."""
        with anyio.CancelScope(shield=True):
            while self._contents:
                await self._contents.popleft().aclose()
