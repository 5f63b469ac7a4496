"""The body of an upload: a multipart form, streamed as it is sent.

https://github.com/jaydenseric/graphql-multipart-request-spec on RFC 7578. No file is ever read
whole; what is opened here is closed here, whatever happens.
"""

from __future__ import annotations

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

#: Bytes read at a time: reading a file goes to a thread, which costs as much as 100 KB do.
CHUNK = 2**18

#: Called with the bytes that were sent so far, and how many there are, if that is known.
Progress = Callable[[int, int | None], object]


class _Content(Protocol):
    """What stands in the body, piece by piece."""

    async def size(self) -> int | None:
        """How many bytes there will be, if that can be known. Raises ``OSError``."""
        ...

    async def read(self) -> bytes:
        """More of it, nothing at the end. Raises ``OSError``."""
        ...

    async def aclose(self) -> None:
        """Close what was opened for it."""
        ...


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    async def size(self) -> int | None:
        return len(self._data)

    async def read(self) -> bytes:
        chunk = self._data[self._at : self._at + CHUNK]
        self._at += len(chunk)
        return chunk

    async def aclose(self) -> None:
        pass


class _Path:
    """A file by its path: opened when its turn comes, so that many files are no many open ones."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = anyio.Path(path)
        self._left: int | None = None
        self._open: anyio.AsyncFile[bytes] | None = None

    async def size(self) -> int | None:
        status = await self._path.stat()
        # A pipe or device has no size that means anything.
        self._left = status.st_size if await self._path.is_file() else None
        return self._left

    async def read(self) -> bytes:
        if self._open is None:
            self._open = await self._path.open("rb")
        # What is announced is kept to, though the file grow meanwhile.
        chunk = await self._open.read(CHUNK if self._left is None else min(CHUNK, self._left))
        if self._left is not None:
            if not chunk and self._left:
                raise OSError(f"{self._path} became shorter while it was sent")
            self._left -= len(chunk)
        return chunk

    async def aclose(self) -> None:
        if self._open is not None:
            await self._open.aclose()


class _OpenFile:
    """A file that its owner opened, from where it is; its owner closes it."""

    def __init__(self, file: Any) -> None:
        self._file = file

    async def size(self) -> int | None:
        return await to_thread.run_sync(self._size)

    def _size(self) -> int | None:
        try:
            here: int = self._file.tell()
            end: int = self._file.seek(0, os.SEEK_END)
            self._file.seek(here)
        except (AttributeError, OSError):  # a pipe
            return None
        return end - here

    async def read(self) -> bytes:
        if isinstance(self._file, io.BytesIO):
            return self._file.read(CHUNK)
        chunk: bytes = await to_thread.run_sync(self._file.read, CHUNK)
        return chunk

    async def aclose(self) -> None:
        pass


class _Iterator:
    """Bytes as they come; ending the iterator is its owner's."""

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
                return bytes(chunk)

    async def aclose(self) -> None:
        pass


def _content(value: bytes | FileVar) -> _Content:
    if isinstance(value, bytes):
        return _Bytes(value)
    file: Any = value.file
    if isinstance(file, bytes):
        return _Bytes(file)
    if isinstance(file, str | os.PathLike):
        return _Path(cast("str | os.PathLike[str]", file))
    return _OpenFile(file) if hasattr(file, "read") else _Iterator(file)


def _quoted(text: str) -> str:
    """A name in a Content-Disposition, as browsers write it (HTML, "Multipart form data"), and
    with all other control characters escaped as they escape line breaks."""
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", text)


_ESCAPED = re.compile(r'["\x00-\x1f\x7f]')

# RFC 9110 §5.5, without what isn't ASCII.
_CONTENT_TYPE = re.compile(r"[!-~](?:[\t -~]*[!-~])?")


class UploadBody:
    """The bytes of one upload, as an asynchronous iterator over them.

    Await ``prepare`` first, and ``aclose`` last. No generator: one that is left half-way would
    wait for the garbage collector, and its file with it.
    """

    def __init__(self, operations: bytes, files: Any, progress: Progress | None = None) -> None:
        self._fields: list[UploadField] = upload_fields(operations, files)
        self._boundary = secrets.token_hex(16)
        self._progress = progress
        self._sent = 0
        self._contents: deque[_Content] = deque()
        #: Of the whole body, in bytes; ``None`` if a file doesn't tell its size.
        self.size: int | None = None

    @property
    def content_type(self) -> str:
        """The media type, with the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    async def prepare(self) -> None:
        """Look at the files, before anything is sent.

        Raises ``OSError``, or ``ValueError`` for a file that has been read already, or has a
        ``content_type`` that can't be sent.
        """
        self._begin()
        sizes = [await content.size() for content in self._contents]
        known = [size for size in sizes if size is not None]
        self.size = sum(known) if len(known) == len(sizes) else None

    def _begin(self) -> None:
        for field in self._fields:
            if isinstance(field.value, FileVar) and field.value.used:
                raise ValueError(
                    f"{field.value!r} has been sent already, and can't be read again: make a new "
                    "one, or give the path or the bytes"
                )
        self._sent = 0
        self._contents = deque(self._parts())

    def _parts(self) -> Iterator[_Content]:
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
            self._begin()
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
        """Close what is open."""
        with anyio.CancelScope(shield=True):
            while self._contents:
                await self._contents.popleft().aclose()
