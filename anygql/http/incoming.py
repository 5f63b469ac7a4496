"""A response whose body has not been read yet, whatever received it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import inf

from anyio import current_time, move_on_after

from ..exceptions import TransportError, TransportProtocolError
from ..results.result import Origin
from .accept import GRAPHQL_JSON
from .compression import Decompressor, decompressor_for
from .responses import REFUSALS, Response, decoded_text, is_json, media_type

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


class IncomingResponse(ABC):
    """A response whose head has been received; its body is read as it comes.

    Args:
        server: The server, fit for messages.
        status: The HTTP status.
        reason: The reason that came with the status.
        headers: The headers, whose names may be asked for in any case.
        accepted: The ``Accept`` that was sent, whether the user's or ours.
        max_size: Maximum size of the whole body after decompression, in bytes; ``None`` for no
            limit.
        asked_nothing: The URL of the GET that a redirect has made of the request, or ``""``.
    """

    def __init__(
        self,
        server: str,
        status: int,
        reason: str,
        headers: Mapping[str, str],
        *,
        accepted: str,
        max_size: int | None,
        asked_nothing: str = "",
    ) -> None:
        self.server = server
        self.status = status
        self.reason = reason
        self.headers = headers
        self.accepted = accepted
        self._max_size = max_size
        self._asked_nothing = asked_nothing
        #: The body's media type, in lower case, and its parameters.
        self.media = media_type(headers)
        self._decompressor: Decompressor | None = None
        self._has_begun = False
        self._kept: Response | None = None
        #: The first bytes before decompression, to be shown if that fails.
        self._raw_start = b""

    @property
    def origin(self) -> Origin:
        """What a result that comes by this response is told of it."""
        return Origin(self.status, self.headers)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The body's media type, in lower case."""
        return self.media[0]

    @abstractmethod
    async def _read_raw(self) -> bytes | None:
        """Return more of the body as it came; ``None`` at its end. Raise ``TransportError``."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the response, so that no more of it comes. Raise nothing."""

    async def read(self) -> bytes | None:
        """Return more of the body, decompressed; ``None`` at its end.

        Raises:
            TransportError: The connection was lost, or the compression is broken.
        """
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

    async def read_response(self) -> Response:
        """Return the response with its whole body, or with the start of it if it is a refusal.

        A refusal is known by its status, so a body that breaks off, never ends, or is wrongly
        called compressed takes nothing from it.

        Raises:
            TransportProtocolError: The body has more than ``max_size`` bytes.
            TransportError: As for ``read``.
        """
        if self._kept is not None:
            return self._kept
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

    async def keep(self) -> None:
        """Read a refusal, which ``read_response`` then returns, and close the response."""
        try:
            self._kept = await self.read_response()
        finally:
            await self.aclose()

    async def _read_all(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while (chunk := await self.read()) is not None:
            pieces.append(chunk)
            size += len(chunk)
            if self._max_size is not None and size > self._max_size:
                raise self._complete(b"".join(pieces)[:REFUSAL_LIMIT]).error(
                    TransportProtocolError,
                    f"{self.server}: the answer has more than {self._max_size} bytes "
                    "(max_response_size)",
                )
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

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
        return Response(
            self.server,
            self.status,
            self.reason,
            self.headers,
            self.media,
            body,
            self._asked_nothing,
        )
