"""What the pool of an HTTP client is doing, ours or the user's."""

from __future__ import annotations

from typing import Any

import httpx

from anygql import Session
from anygql.http.engine.exchange import Exchange

__all__ = ["held_by", "in_use", "plain_client"]


def plain_client(**options: Any) -> httpx.AsyncClient:
    """A client for ``http://`` alone: reading the certificates costs more than most tests."""
    return httpx.AsyncClient(verify=False, **options)


def in_use(client: Any) -> list[str]:
    """The connections that are held by a request, and the requests that wait for one.

    httpx has no public way to see either.

    A connection that has yet to connect is held only by a request that is listed here as well. In
    httpcore 1.0.9 one may be left that nobody connects: it is made for a request that waits in the
    queue, was canceled, and hasn't run since. It takes no session of ours: under either loop,
    cancel two plain `client.get` calls two checkpoints apart, with `max_connections=1`.
    """
    pool = client._transport._pool
    busy = [
        repr(one)
        for one in pool.connections
        if not (one.is_idle() or one.is_closed() or "CONNECTING" in repr(one))
    ]
    return busy + [f"a request for {waiting.request.url}" for waiting in pool._requests]


def held_by(session: Session) -> list[str]:
    """The connections that a session's requests hold, whichever client sends them."""
    connection: Any = session._supervisor._connection
    exchange = connection._exchange
    if isinstance(exchange, Exchange):
        return [repr(one) for one in exchange.pool._in_use]
    return in_use(exchange._client)
