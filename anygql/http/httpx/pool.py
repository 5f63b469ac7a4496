"""Our own HTTP clients for queries and mutations: one for each request that is on its way.

A client's pool looks at each of its connections, twice for each request, and asks the system about
those that are idle. With a hundred of them that costs more than all else, so each of these clients
has one connection, and whoever was used last is used next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.cookiejar import CookieJar

from anyio import CancelScope, Semaphore, create_task_group, current_time, move_on_after

from .library import HTTPClient

__all__ = ["BRIEFLY", "ClientPool", "close_quietly"]

#: Requests at a time; others wait.
MAX_CLIENTS = 100

#: Seconds after which a client that was not needed is closed, when another one is given back.
#: httpx itself uses no connection that was idle for that long.
KEPT = 5.0

#: Seconds for a client to close an answer, or itself, when nobody waits for it any more.
BRIEFLY = 1.0


class ClientPool:
    """Clients that ``make`` makes with the same cookies, as many as there are requests."""

    def __init__(self, make: Callable[[CookieJar], HTTPClient]) -> None:
        self._make = make
        self.cookies = CookieJar()
        self._places = Semaphore(MAX_CLIENTS, fast_acquire=True)
        #: All clients, and those that nobody uses, with the time since; the last used is last.
        self._clients = {first := make(self.cookies)}
        self._free = deque([(current_time(), first)])

    async def acquire(self) -> HTTPClient:
        """A client for one request at a time: to be given back. Cancelled, there is none."""
        await self._places.acquire()
        if self._free:
            return self._free.pop()[1]
        try:
            client = self._make(self.cookies)
        except BaseException:
            self._places.release()
            raise
        self._clients.add(client)
        return client

    async def release(self, client: HTTPClient) -> None:
        """Its request is over. Raises nothing, and can't be cancelled."""
        now = current_time()
        self._free.append((now, client))
        self._places.release()
        while self._free and self._free[0][0] < now - KEPT:
            _, unused = self._free.popleft()
            self._clients.discard(unused)
            await close_quietly(unused)

    async def aclose(self) -> None:
        """Close them all, together. Raises nothing."""
        with CancelScope(shield=True):
            async with create_task_group() as tg:
                for client in self._clients:
                    tg.start_soon(close_quietly, client)


async def close_quietly(client: HTTPClient) -> None:
    """Close it, within a moment. Raises nothing."""
    with move_on_after(BRIEFLY, shield=True), suppress(Exception):
        await client.aclose()
