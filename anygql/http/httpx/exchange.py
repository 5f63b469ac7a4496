"""One HTTP request and its response, on the client of a connection.

Whatever ends an exchange, its response is closed, so that the client's pool goes on serving.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from http.cookiejar import CookieJar
from typing import Any

from ...exceptions import TransportClosed
from ...net.options import resolve
from ...net.urls import check_url, redact
from ..accept import ACCEPT
from ..compression import ACCEPT_ENCODING
from ..endpoint import HTTPEndpoint
from ..requests import HTTPRequest
from ..upload import UploadBody
from .body import body_stream
from .client import HTTPClient, library_of, new_client, parsed_url
from .errors import http_errors
from .incoming import IncomingResponse
from .pool import ClientPool, close_quietly
from .redirects import send_following_redirects

__all__ = ["Exchange"]

SCHEMES = ("http", "https")

#: The headers that our own clients add to each request. They are the client's, since httpx merges
#: headers a second time for each that takes the place of a client's.
CLIENT_HEADERS = (("Accept", ACCEPT), ACCEPT_ENCODING)


class Exchange:
    """The requests of one connection. Call ``open`` first, and ``aclose`` last."""

    def __init__(self, endpoint: HTTPEndpoint) -> None:
        self._endpoint = endpoint
        # Our own clients, unless the user gave one.
        self._pool: ClientPool | None = None
        self._streaming: HTTPClient | None = None

    def open(self) -> None:
        """Make the first client, unless the user gave one."""
        if self._endpoint.client is None:
            self._pool = ClientPool(self._new_client)

    async def aclose(self) -> None:
        """Close our own clients. Raise nothing."""
        if self._pool is not None:
            await self._pool.aclose()
        if self._streaming is not None:
            await close_quietly(self._streaming)

    def _new_client(self, cookies: CookieJar) -> HTTPClient:
        return new_client(
            ssl=self._endpoint.ssl,
            connect_timeout=self._endpoint.connect_timeout,
            cookies=cookies,
            headers=CLIENT_HEADERS,
        )

    async def _client(self, stack: AsyncExitStack, *, streaming: bool) -> HTTPClient:
        """Return the client for the next request, which has it until ``stack`` is closed."""
        users_client = self._endpoint.client
        if users_client is not None:
            return users_client
        assert self._pool is not None  # noqa: S101 - open() has seen to it
        if streaming:
            # Each subscription keeps its connection, and looks at the pool only once.
            if self._streaming is None:
                self._streaming = self._new_client(self._pool.cookies)
            return self._streaming
        client = await self._pool.acquire()
        stack.push_async_callback(self._pool.release, client)
        return client

    @asynccontextmanager
    async def send(
        self, http_request: HTTPRequest, *, streaming: bool = False
    ) -> AsyncGenerator[IncomingResponse]:
        """Send a request. Entering waits for the head of the response, leaving closes it.

        Args:
            http_request: The request.
            streaming: Whether the body of the response may take for ever.

        Raises:
            TransportError: The request failed.
            Exception: Whatever the user's functions and client raise.
        """
        endpoint = self._endpoint
        self._check_client()
        async with AsyncExitStack() as stack:
            url, server = _checked(await resolve(endpoint.url, "url", endpoint.description))
            endpoint.description = server
            headers = await resolve(endpoint.headers, "headers", server)
            arguments = http_request.build_arguments(url, headers)
            if isinstance(http_request.body, UploadBody):
                stack.push_async_callback(http_request.body.aclose)
                await _add_upload(arguments, http_request.body)
            client = await self._client(stack, streaming=streaming)
            is_ours = endpoint.client is None
            if is_ours:
                headers = arguments["headers"]
                arguments["headers"] = [pair for pair in headers if pair not in CLIENT_HEADERS]
            if streaming and "timeout" not in arguments:
                arguments["timeout"] = _stream_timeout(client, endpoint.keep_alive_timeout)
            with http_errors(client, server):
                arguments["url"] = parsed_url(library_of(client), url)
                request = client.build_request(**arguments)
                request.stream = body_stream(client, http_request.body)
                response, asked_nothing = await send_following_redirects(
                    client, request, is_ours=is_ours, **http_request.send_arguments()
                )
            incoming = IncomingResponse(
                client, server, response, endpoint.max_response_size, asked_nothing
            )
            stack.push_async_callback(incoming.aclose)
            yield incoming

    def _check_client(self) -> None:
        client = self._endpoint.client
        if client is not None and client.is_closed:
            error = TransportClosed(
                f"{self._endpoint.description}: the HTTP client has been closed"
            )
            error.unsent = True
            raise error


async def _add_upload(arguments: dict[str, Any], body: UploadBody) -> None:
    await body.prepare()
    if body.size is not None:
        arguments["headers"].append(("Content-Length", str(body.size)))
    # Given as content, so that hooks see a request with a body that wasn't read yet.
    arguments["content"] = body


def _checked(url: object) -> tuple[str, str]:
    """Return a URL, and the same fit for messages. Raise ``TransportInvalidURL``."""
    if not isinstance(url, str):  # which may have no hash
        url = check_url(url, SCHEMES)  # raises
    return _checked_text(url)


@lru_cache(maxsize=64)
def _checked_text(url: str) -> tuple[str, str]:
    return check_url(url, SCHEMES), redact(url)


def _stream_timeout(client: HTTPClient, silence: float | None) -> Any:
    """Return the client's time limits, with ``silence`` seconds as that of the response."""
    library: Any = library_of(client)
    limits = client.timeout
    return library.Timeout(
        connect=limits.connect, read=silence, write=limits.write, pool=limits.pool
    )
