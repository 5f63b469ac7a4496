"""Our own HTTP clients for queries and mutations: one for each request that is on its way.

For each request, a client's pool looks at each of its connections twice, and asks the system about
those that are idle. With a hundred connections that costs more than all else. So each of these
clients has one connection, and the client that was used last is used next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.cookiejar import CookieJar

from anyio import CancelScope, Semaphore, create_task_group, current_time, move_on_after

from .client import HTTPClient

__all__ = ["CLOSE_TIMEOUT", "ClientPool", "close_quietly"]

#: Requests at a time; others wait.
MAX_CLIENTS = 100

#: Seconds after which a client that was not needed is closed, when another one is released.
#: httpx itself uses no connection that was idle for that long.
IDLE_LIMIT = 5.0

#: Seconds for a client to close a response, or itself, when nobody waits for it any more.
CLOSE_TIMEOUT = 1.0


class ClientPool:
    """As many clients as there are requests at a time, all with the same cookies.

    Args:
        make: Makes a client that uses the given cookies.
    """

    def __init__(self, make: Callable[[CookieJar], HTTPClient]) -> None:
        self._make = make
        self.cookies = CookieJar()
        self._slots = Semaphore(MAX_CLIENTS, fast_acquire=True)
        self._clients = {first := make(self.cookies)}
        #: The clients that nobody uses, with the time of their release; the last is the newest.
        self._free = deque([(current_time(), first)])

    async def acquire(self) -> HTTPClient:
        """Acquire a client for one request; ``release`` it afterwards.

        If canceled, none is taken.
        """
        await self._slots.acquire()
        if self._free:
            return self._free.pop()[1]
        try:
            client = self._make(self.cookies)
        except BaseException:
            self._slots.release()
            raise
        self._clients.add(client)
        return client

    async def release(self, client: HTTPClient) -> None:
        """Take back a client, and close those that were idle for long. Raise nothing.

        This can't be canceled.
        """
        now = current_time()
        self._free.append((now, client))
        self._slots.release()
        while self._free and self._free[0][0] < now - IDLE_LIMIT:
            _, unused = self._free.popleft()
            self._clients.discard(unused)
            await close_quietly(unused)

    async def aclose(self) -> None:
        """Close all clients, at the same time. Raise nothing."""
        with CancelScope(shield=True):
            async with create_task_group() as tg:
                for client in self._clients:
                    tg.start_soon(close_quietly, client)


async def close_quietly(client: HTTPClient) -> None:
    """Close a client, within ``CLOSE_TIMEOUT``. Raise nothing."""
    with move_on_after(CLOSE_TIMEOUT, shield=True), suppress(Exception):
        await client.aclose()
