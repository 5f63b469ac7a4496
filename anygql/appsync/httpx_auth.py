"""An authorization as the ``auth`` of the user's own HTTP client."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator, Mapping
from functools import lru_cache
from typing import Any

from ..net.authorization import Authorization, credentials_in, is_refreshable

__all__ = ["httpx_auth"]

UNAUTHORIZED = 401


def httpx_auth(auth: Authorization) -> Any:
    """Return an ``auth`` for an ``AsyncClient`` of httpx or httpx2."""
    import httpx

    libraries = [httpx, *filter(None, [sys.modules.get("httpx2")])]
    return _auth_class(*(library.Auth for library in libraries))(auth)


@lru_cache
def _auth_class(*bases: type[Any]) -> type[Any]:
    class RequestAuth(*bases):  # type: ignore[misc]  # httpx's, or httpx's and httpx2's
        """The headers of an authorization, for each request. Its ``repr`` has nothing of them."""

        requires_request_body = True

        def __init__(self, auth: Authorization) -> None:
            self._auth = auth

        def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
            raise RuntimeError("this auth is for httpx.AsyncClient: it asks async functions")

        async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
            body = await request.aread()
            headers = await self._auth.headers(str(request.url), body)
            _add(request, headers)
            response = yield request
            if response.status_code != UNAUTHORIZED or not is_refreshable(self._auth):
                return
            refused = credentials_in(headers)
            headers = await self._auth.headers(str(request.url), body)
            if credentials_in(headers) != refused:
                _add(request, headers)
                yield request

    return RequestAuth


def _add(request: Any, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if name.lower() != "host":  # which httpx sets itself
            request.headers[name] = value
