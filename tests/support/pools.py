"""A user's client, and what its pool is doing."""

from __future__ import annotations

from typing import Any

import httpx


def plain_client(**options: Any) -> httpx.AsyncClient:
    """A client for ``http://`` alone: reading the certificates costs more than most tests."""
    return httpx.AsyncClient(verify=False, **options)


def in_use(client: Any) -> list[str]:
    """The connections that are held by a request, and the requests that wait for one.

    httpx has no public way to see either.
    """
    pool = client._transport._pool
    busy = [repr(one) for one in pool.connections if not (one.is_idle() or one.is_closed())]
    return busy + [f"a request for {waiting.request.url}" for waiting in pool._requests]
