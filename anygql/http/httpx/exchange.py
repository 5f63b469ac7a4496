"""One HTTP request and its response, on the user's client.

Whatever ends an exchange, its response is closed, so that the client's pool goes on serving.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import Any

from anyio.abc import TaskGroup

from ...concurrency.loop import RunningLoop
from ...exceptions import TransportClosed
from ...net.options import resolve
from ...net.urls import check_url, redact
from ..authorization import authorization_headers, split_auth
from ..endpoint import HTTPEndpoint
from ..redirects import SCHEMES
from ..requests import HTTPRequest
from ..upload import UploadBody
from .arguments import build_arguments, send_arguments
from .body import body_stream
from .client import HTTPClient, library_of
from .errors import http_errors
from .incoming import ClientResponse
from .redirects import send_following_redirects

__all__ = ["Exchange"]


class Exchange:
    """The requests of one session, on the user's client."""

    #: httpx's cleanup waits.
    needs_task = True

    def __init__(self, endpoint: HTTPEndpoint, client: HTTPClient) -> None:
        self._endpoint = endpoint
        self._client = client

    def open(self, loop: RunningLoop, tasks: TaskGroup) -> None:
        """Do nothing: the client is the user's to open."""

    async def aclose(self) -> None:
        """Do nothing: the client is the user's to close."""

    def check(self, args: Mapping[str, Any]) -> None:
        """Do nothing: the client checks them."""

    async def send(self, request: HTTPRequest, *, streaming: bool = False) -> ClientResponse:
        """Send a request, and return its response, which the caller must close.

        Args:
            request: The request.
            streaming: Whether the body of the response may take for ever.

        Raises:
            TransportError: The request failed.
            Exception: Whatever the user's functions and client raise.
        """
        endpoint = self._endpoint
        self._check_client()
        request, auth = split_auth(request, endpoint)
        async with AsyncExitStack() as stack:
            url, server = _checked(await resolve(endpoint.url, "url", endpoint.description))
            endpoint.description = server
            headers = await resolve(endpoint.headers, "headers", server)
            arguments = build_arguments(request, url, headers)
            if isinstance(request.body, UploadBody):
                stack.push_async_callback(request.body.aclose)
                await _add_upload(arguments, request.body)
            client = self._client
            if streaming and "timeout" not in arguments:
                arguments["timeout"] = _stream_timeout(client, endpoint.keep_alive_timeout)
            with http_errors(client, server):
                outgoing = client.build_request(**arguments)
                outgoing.stream = body_stream(client, request.body)
            if auth is not None:
                sent = _url_as_sent(outgoing.url)
                for name, value in await authorization_headers(auth, request, sent, server):
                    outgoing.headers[name] = value
            with http_errors(client, server):
                response, asked_nothing = await send_following_redirects(
                    client, outgoing, **send_arguments(request)
                )
            # From here on the response closes what else is open.
            return ClientResponse(
                client,
                server,
                response,
                stack.pop_all(),
                endpoint.max_response_size,
                asked_nothing,
            )

    def _check_client(self) -> None:
        if self._client.is_closed:
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


def _url_as_sent(url: Any) -> str:
    """Return a URL of the client's without user and password."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"


def _stream_timeout(client: HTTPClient, silence: float | None) -> Any:
    """Return the client's time limits, with ``silence`` seconds as that of the response."""
    library: Any = library_of(client)
    limits = client.timeout
    return library.Timeout(
        connect=limits.connect, read=silence, write=limits.write, pool=limits.pool
    )
