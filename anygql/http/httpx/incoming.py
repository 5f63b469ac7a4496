"""A response of the user's client, whose body has not been read yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from anyio import CancelScope, move_on_after

from ..incoming import IncomingResponse
from .client import HTTPClient
from .errors import http_errors

__all__ = ["ClientResponse"]

#: Seconds for a client to close a response when nobody waits for it any more.
CLOSE_TIMEOUT = 1.0


class ClientResponse(IncomingResponse):
    """A response of the user's client.

    Args:
        client: The client that received it.
        server: The server, fit for messages.
        response: The client's own response.
        stack: What is to be closed after the response.
        max_size: Maximum size of the whole body after decompression, in bytes; ``None`` for no
            limit.
        asked_nothing: The URL of the GET that a redirect has made of the request, or ``""``.
    """

    def __init__(
        self,
        client: HTTPClient,
        server: str,
        response: Any,
        stack: AsyncExitStack,
        max_size: int | None,
        asked_nothing: str = "",
    ) -> None:
        super().__init__(
            server,
            response.status_code,
            str(response.reason_phrase),
            response.headers,
            accepted=response.request.headers.get("accept", ""),
            max_size=max_size,
            asked_nothing=asked_nothing,
        )
        self._client = client
        self._response = response
        self._stack = stack
        #: The body, if one of the user's hooks has read it already.
        self._body: bytes | None = response.content if response.is_closed else None
        self._chunks: AsyncIterator[bytes] | None = None
        self._chunks_ended = response.is_closed
        if self._body is None:
            self._chunks = response.aiter_raw()

    async def read(self) -> bytes | None:
        """Return more of the body, decompressed; ``None`` at its end."""
        if self._chunks is not None:
            return await super().read()
        body, self._body = self._body, None
        return body

    async def _read_raw(self) -> bytes | None:
        assert self._chunks is not None  # noqa: S101 - read() has seen to it
        try:
            with http_errors(self._client, self.server):
                return await anext(self._chunks)
        except StopAsyncIteration:
            self._chunks_ended = True
            return None
        except BaseException:
            self._chunks_ended = True
            raise

    async def aclose(self) -> None:
        """Close the response, so that the client's pool goes on serving. Raise nothing."""
        try:
            if not (self._chunks_ended and self._response.is_closed):
                with move_on_after(CLOSE_TIMEOUT, shield=True):
                    await self._end_reading()
                    await self._response.aclose()
        finally:
            await self._stack.aclose()

    async def _end_reading(self) -> None:
        # httpx reads by generators within generators, and closing the outermost would leave the
        # others to the garbage collector. A canceled read ends them all.
        while self._chunks is not None and not self._chunks_ended:
            with CancelScope() as scope:
                scope.cancel()
                try:
                    await anext(self._chunks)
                except Exception:  # noqa: BLE001 - nobody reads this response any more
                    self._chunks_ended = True
            if scope.cancelled_caught:
                self._chunks_ended = True
