"""The body of a request, as the client takes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from ..upload import UploadBody
from .client import HTTPClient, library_of

__all__ = ["body_stream"]


def body_stream(client: HTTPClient, body: bytes | UploadBody | None) -> Any:
    """Return ``body`` as a stream of the client's library."""
    library: Any = library_of(client)
    return _stream_class(library.AsyncByteStream)(b"" if body is None else body)


@lru_cache
def _stream_class(base: type[Any]) -> type[Any]:
    class Stream(base):  # type: ignore[misc]  # httpx's or httpx2's
        """A body that may be iterated over again, for a redirect.

        Not by a generator, as httpx's own are: trio warns of one that is left half-way.
        """

        def __init__(self, body: bytes | UploadBody) -> None:
            self._body = body

        def __aiter__(self) -> AsyncIterator[bytes]:
            return _OneChunk(self._body) if isinstance(self._body, bytes) else aiter(self._body)

    return Stream


class _OneChunk:
    """An asynchronous iterator over a single chunk."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data

    def __aiter__(self) -> _OneChunk:
        return self

    async def __anext__(self) -> bytes:
        data, self._data = self._data, None
        if data is None:
            raise StopAsyncIteration
        return data
