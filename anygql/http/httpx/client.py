"""The user's own HTTP client: httpx's or httpx2's.

Both libraries have the same interface, so only this package knows that there are two. Neither is
imported before it is needed.
"""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType
from typing import Any, Protocol

__all__ = ["HTTPClient", "library_of"]

_LIBRARIES = ("httpx2", "httpx")


class HTTPClient(Protocol):
    """An ``httpx.AsyncClient`` or ``httpx2.AsyncClient``."""

    @property
    def is_closed(self) -> bool: ...

    @property
    def timeout(self) -> Any: ...

    @property
    def follow_redirects(self) -> bool: ...

    @property
    def max_redirects(self) -> int: ...

    def build_request(self, *args: Any, **kwargs: Any) -> Any: ...

    async def send(self, *args: Any, **kwargs: Any) -> Any: ...

    async def aclose(self) -> None: ...


def library_of(client: object) -> ModuleType:
    """Return the library of a client. Raise ``TypeError`` for anything but an async client."""
    class_: Any = type(client)
    return _library_of(class_)


@cache
def _library_of(client: type[Any]) -> ModuleType:
    for cls in client.__mro__:
        root = cls.__module__.partition(".")[0]
        if root in _LIBRARIES and cls.__name__ == "AsyncClient":
            return sys.modules[root]
    raise TypeError(f"client is an httpx.AsyncClient or httpx2.AsyncClient, not {client.__name__}")
