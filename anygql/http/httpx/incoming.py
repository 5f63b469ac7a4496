"""A response whose body has not been read yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from math import inf
from typing import Any

from anyio import CancelScope, current_time, move_on_after

from ...exceptions import TransportError, TransportProtocolError
from ...results.result import Origin
from ..accept import GRAPHQL_JSON
from ..compression import Decompressor, decompressor_for
from ..responses import REFUSALS, Response, decoded_text, is_json, media_type
from .client import HTTPClient
from .errors import http_errors
from .pool import CLOSE_TIMEOUT

__all__ = ["IncomingResponse"]

#: Bytes of a refusal that are read: enough to say what it is.
REFUSAL_LIMIT = 2**16

#: The same, if the body may be a GraphQL answer that has only errors.
ERRORS_LIMIT = 2**20

#: Seconds that the body of a refusal may take: it is only there to be shown.
REFUSAL_PATIENCE = 0.5

#: Seconds of silence in the body of a refusal that may be a GraphQL answer.
ANSWER_PATIENCE = 2.0

#: How many times its patience a refusal may take in all.
_PATIENCES = 4


class IncomingResponse:
    """A response whose head has been received; its body is read as it comes.

    Args:
        client: The client that received it.
        server: The server, fit for messages.
        response: The client's own response.
        max_size: Maximum size of the whole body after decompression, in bytes; ``None`` for no
            limit.
        asked_nothing: The URL of the GET that a redirect has made of the request, or ``""``.
    """

    def __init__(
        self,
        client: HTTPClient,
        server: str,
        response: Any,
        max_size: int | None,
        asked_nothing: str = "",
    ) -> None:
        self._client = client
        self._max_size = max_size
        self._asked_nothing = asked_nothing
        self.server = server
        self._response = response
        #: The body's media type, in lower case, and its parameters. Asking httpx for a header
        #: means that it looks through all of them.
        self.media = media_type(response.headers)
        #: The body, if one of the user's hooks has read it already.
        self._body: bytes | None = response.content if response.is_closed else None
        self._chunks: AsyncIterator[bytes] | None = None
        self._chunks_ended = response.is_closed
        self._decompressor: Decompressor | None = None
        self._has_begun = False
        #: The first bytes before decompression, to be shown if that fails.
        self._raw_start = b""
        if self._body is None:
            self._chunks = response.aiter_raw()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, whose names may be asked for in any case."""
        headers: Mapping[str, str] = self._response.headers
        return headers

    @property
    def origin(self) -> Origin:
        """What a result that comes by this response is told of it."""
        return Origin(self.status, self.headers)

    @property
    def status(self) -> int:
        """The HTTP status."""
        status: int = self._response.status_code
        return status

    @property
    def accepted(self) -> str:
        """The ``Accept`` that was sent, whether the user's or ours."""
        accept: str = self._response.request.headers.get("accept", "")
        return accept

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The body's media type, in lower case."""
        return self.media[0]

    async def read(self) -> bytes | None:
        """Return more of the body, decompressed; ``None`` at its end.

        Raises:
            TransportError: The connection was lost, or the compression is broken.
        """
        if self._chunks is None:
            body, self._body = self._body, None
            return body
        try:
            if self._decompressor is not None and self._decompressor.has_more:
                return self._decompressor.feed(b"")
            chunk = await self._read_raw()
            if not self._has_begun:
                self._has_begun = True
                self._raw_start = chunk or b""
                self._decompressor = decompressor_for(self.headers.get("content-encoding", ""))
            if self._decompressor is None:
                return chunk
            if chunk is not None:
                return self._decompressor.feed(chunk)
            self._decompressor.close()
        except ValueError as error:
            raise self._broken_compression(error) from None
        return None

    def _broken_compression(self, error: ValueError) -> TransportProtocolError:
        # What is wrongly called compressed can be read as it is.
        response = self._complete(decoded_text(self._raw_start).encode())
        return response.error(
            TransportProtocolError, f"{self.server}: the answer's compression is broken: {error}"
        )

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

    async def read_response(self) -> Response:
        """Return the response with its whole body, or with the start of it if it is a refusal.

        A refusal is known by its status, so a body that breaks off, never ends, or is wrongly
        called compressed takes nothing from it.

        Raises:
            TransportProtocolError: The body has more than ``max_size`` bytes.
            TransportError: As for ``read``.
        """
        if self.ok:
            return self._complete(await self._read_all())
        # The GraphQL server's own type makes an answer at any status, others with some.
        if self.media_type == GRAPHQL_JSON:
            limit = self._max_size or inf
        elif self.status in REFUSALS or not is_json(self.media_type):
            return self._complete(await self._read_refusal(REFUSAL_LIMIT, REFUSAL_PATIENCE))
        else:
            limit = ERRORS_LIMIT
        return self._complete(await self._read_refusal(limit, ANSWER_PATIENCE))

    async def _read_all(self) -> bytes:
        body = bytearray()
        while (chunk := await self.read()) is not None:
            body += chunk
            if self._max_size is not None and len(body) > self._max_size:
                raise self._complete(bytes(body[:REFUSAL_LIMIT])).error(
                    TransportProtocolError,
                    f"{self.server}: the answer has more than {self._max_size} bytes "
                    "(max_response_size)",
                )
        return bytes(body)

    async def _read_refusal(self, limit: float, patience: float) -> bytes:
        """Return what can be read of a refusal's body.

        Args:
            limit: The bytes that are read. Of a longer body, only the start is returned.
            patience: The seconds of silence after which no more is waited for; not longer than
                a few times that in all.
        """
        body = bytearray()
        try:
            last = current_time() + _PATIENCES * patience
            with move_on_after(patience) as scope:
                while (chunk := await self.read()) is not None:
                    body += chunk
                    if len(body) > limit:
                        return bytes(body[:REFUSAL_LIMIT])
                    scope.deadline = min(last, current_time() + patience)
        except TransportError as error:  # the connection was lost, or the compression is broken
            return bytes(body) or error.body.encode()
        return bytes(body)

    def _complete(self, body: bytes) -> Response:
        reason = str(self._response.reason_phrase)
        return Response(
            self.server,
            self.status,
            reason,
            self.headers,
            self.media,
            body,
            self._asked_nothing,
        )

    async def aclose(self) -> None:
        """Close the response, so that the client's pool goes on serving. Raise nothing."""
        if self._chunks_ended and self._response.is_closed:
            return
        with move_on_after(CLOSE_TIMEOUT, shield=True):
            await self._end_reading()
            await self._response.aclose()

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
