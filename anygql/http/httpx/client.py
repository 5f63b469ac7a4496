"""The HTTP client: httpx's or httpx2's, the user's or our own.

Both libraries have the same interface, so only this package knows that there are two. Neither is
imported before it is needed.
"""

from __future__ import annotations

import importlib
import os
import ssl as ssl_module
import sys
from collections.abc import Sequence
from functools import cache, lru_cache
from http.cookiejar import CookieJar
from types import ModuleType
from typing import Any, Protocol

from ...net.urls import redact

__all__ = ["HTTPClient", "hide_url_secrets", "library_of", "new_client", "parsed_url"]

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


def _installed_library() -> ModuleType:
    for name in _LIBRARIES:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name != name:
                raise
    raise ModuleNotFoundError("HTTPTransport needs httpx, or httpx2: pip install httpx")


def new_client(
    *,
    ssl: ssl_module.SSLContext | None,
    connect_timeout: float | None,
    cookies: CookieJar,
    headers: Sequence[tuple[str, str]],
) -> HTTPClient:
    """Return a new client, httpx2's if that is installed.

    Only connecting has a time limit: callers bound the rest. Clients may share ``cookies``.
    """
    library = _installed_library()
    client: HTTPClient = library.AsyncClient(
        verify=_default_context(library, *map(os.environ.get, _CA_VARIABLES))
        if ssl is None
        else ssl,
        timeout=library.Timeout(None, connect=connect_timeout),
        limits=library.Limits(max_connections=None, max_keepalive_connections=20),
        cookies=cookies,
        headers=headers,
    )
    return client


#: The environment's variables that say which authorities to trust.
_CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@lru_cache(maxsize=8)
def _default_context(library: Any, *_ca_variables: str | None) -> ssl_module.SSLContext:
    """Return the library's default context, which takes some hundredths of a second to make."""
    context: ssl_module.SSLContext = library.create_ssl_context()
    return context


@lru_cache(maxsize=64)
def parsed_url(library: Any, url: str) -> Any:
    """Return the URL as the library's own type. Raise the library's ``InvalidURL``."""
    return library.URL(url)


@lru_cache
def _redacted_url_class(base: type[Any]) -> type[Any]:
    class RedactedURL(base):  # type: ignore[misc]  # httpx's or httpx2's
        """A URL whose text is fit for messages and logs."""

        def __str__(self) -> str:
            plain: Any = base.__str__
            return redact(plain(self))

    return RedactedURL


def hide_url_secrets(client: HTTPClient, request: Any) -> None:
    """Keep the secrets of a request's URL out of the client's own log, which has it at INFO.

    The parts of the URL, which are what is sent, stay as they are.
    """
    library: Any = library_of(client)
    request.url = _redacted_url_class(library.URL)(request.url)
