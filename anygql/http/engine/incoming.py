"""A response on one of our own connections, whose body has not been read yet."""

from __future__ import annotations

from anyio import move_on_after

from ...net.errors import NotHTTP
from ...net.http1 import ResponseHead
from ..incoming import IncomingResponse
from .connection import Connection, ConnectionLost
from .faults import broken_body_error, lost_error, silence_error
from .pool import Pool

__all__ = ["EngineResponse"]


class EngineResponse(IncomingResponse):
    """A response on a connection of ours, which goes back to the pool when it is complete.

    Args:
        pool: The pool.
        connection: The connection, which has no other request.
        head: The head of the response.
        server: The server, fit for messages.
        accepted: The ``Accept`` that was sent.
        has_turn: Whether the request counts in the pool.
        silence: Maximum seconds between two pieces of the body; ``None`` for no limit.
        max_size: Maximum size of the whole body after decompression, in bytes; ``None`` for no
            limit.
        asked_nothing: The URL of the GET that a redirect has made of the request, or ``""``.
    """

    def __init__(
        self,
        pool: Pool,
        connection: Connection,
        head: ResponseHead,
        server: str,
        *,
        accepted: str,
        has_turn: bool,
        silence: float | None,
        max_size: int | None,
        asked_nothing: str = "",
    ) -> None:
        super().__init__(
            server,
            head.status,
            head.reason,
            head.headers,
            accepted=accepted,
            max_size=max_size,
            asked_nothing=asked_nothing,
        )
        self._pool = pool
        self._connection = connection
        self._has_turn = has_turn
        self._silence = silence
        self._is_over = False

    async def _read_raw(self) -> bytes | None:
        if self._is_over:
            return None
        try:
            piece = await self._read_in_time()
        except ConnectionLost as lost:
            raise lost_error(self.server, lost) from lost.__cause__
        except NotHTTP as error:
            raise broken_body_error(self.server, error) from error
        if piece is None:
            self._end()
        return piece

    async def _read_in_time(self) -> bytes | None:
        if self._silence is None:
            return await self._connection.read()
        with move_on_after(self._silence):
            return await self._connection.read()
        raise silence_error(self.server, self._silence)

    async def aclose(self) -> None:
        """Give the connection back if the response is complete, or else close it. Raise nothing."""
        self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._pool.put(self._connection)
            if self._has_turn:
                self._pool.release()
