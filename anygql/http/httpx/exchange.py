"""One HTTP request and its answer, on the client of a connection.

Whatever ends it, the answer is closed, so that the client's pool goes on serving.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache
from http.cookiejar import CookieJar
from typing import Any, Protocol

from anyio import CancelScope, move_on_after

from ...exceptions import TransportClosed, TransportProtocolError
from ...net.headers import Headers
from ...net.options import Provider, resolve
from ...net.urls import check_url, redact
from ..accept import ACCEPT, GRAPHQL_JSON
from ..compression import ACCEPT_ENCODING, Decompressor, decompressor
from ..requests import HTTPRequest
from ..responses import Response, media_type
from ..upload import BytesBody, UploadBody
from . import redirects
from .library import HTTPClient, http_errors, library_of, own_client, parsed_url, stream_of
from .pool import BRIEFLY, ClientPool, close_quietly

__all__ = ["Exchange", "ExchangeEndpoint", "Incoming"]

#: Bytes of a refusal that are read: enough to say what it is.
REFUSAL_LIMIT = 2**16

SCHEMES = ("http", "https")

#: What our own clients send with each request: httpx merges headers a second time for each that
#: takes the place of a client's.
OWN_HEADERS = (("Accept", ACCEPT), ACCEPT_ENCODING)


class ExchangeEndpoint(Protocol):
    """The transport, as its connections' requests see it."""

    url: Provider[str]
    headers: Provider[Headers] | None
    client: HTTPClient | None
    ssl: ssl_module.SSLContext | None
    connect_timeout: float | None
    max_response_size: int | None
    keep_alive_timeout: float | None
    description: str


class Incoming:
    """An answer whose body has not been read yet."""

    def __init__(
        self, client: HTTPClient, server: str, response: Any, max_size: int | None
    ) -> None:
        self._client = client
        self._limit = max_size
        self.server = server
        self._response = response
        #: The body's media type, in lower case, and its parameters. Asking httpx for a header
        #: means that it looks through all of them.
        self.media = media_type(response.headers)
        #: What a hook of the user's has read already.
        self._whole: bytes | None = response.content if response.is_closed else None
        self._chunks: AsyncIterator[bytes] | None = None
        self._chunks_ended = response.is_closed
        self._decompressor: Decompressor | None = None
        self._begun = False
        if self._whole is None:
            self._chunks = response.aiter_raw()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, whose names may be asked for in any case."""
        headers: Mapping[str, str] = self._response.headers
        return headers

    @property
    def status(self) -> int:
        """The HTTP status."""
        status: int = self._response.status_code
        return status

    @property
    def accepted(self) -> str:
        """The ``Accept`` that was sent, whoever chose it."""
        accept: str = self._response.request.headers.get("accept", "")
        return accept

    @property
    def ok(self) -> bool:
        """Whether it has a 2xx status."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The body's media type, in lower case."""
        return self.media[0]

    async def read(self) -> bytes | None:
        """More of the body, decompressed; ``None`` at its end. Raises ``TransportError``."""
        if self._chunks is None:
            whole, self._whole = self._whole, None
            return whole
        try:
            if not self._begun:
                self._begun = True
                self._decompressor = decompressor(self.headers.get("content-encoding", ""))
            if self._decompressor is not None and self._decompressor.pending:
                return self._decompressor.feed(b"")
            chunk = await self._raw()
            if self._decompressor is None:
                return chunk
            if chunk is not None:
                return self._decompressor.feed(chunk)
            self._decompressor.close()
        except ValueError as error:
            raise TransportProtocolError(
                f"{self.server}: the answer's compression is broken: {error}"
            ) from None
        return None

    async def _raw(self) -> bytes | None:
        assert self._chunks is not None  # noqa: S101 - read() has seen to it
        try:
            with http_errors(self._client, self.server):
                return await anext(self._chunks)
        except StopAsyncIteration:
            self._chunks_ended = True
            return None
        except BaseException:
            self._chunks_ended = True
            raise

    async def answer(self) -> Response:
        """The answer, with its whole body, or the start of that if it is a refusal.

        Raises ``TransportProtocolError`` for a body of more than ``max_response_size``.
        """
        refused = not self.ok and self.media_type != GRAPHQL_JSON
        body = bytearray()
        while (chunk := await self.read()) is not None:
            body += chunk
            if refused and len(body) > REFUSAL_LIMIT:
                break
            if self._limit is not None and len(body) > self._limit:
                raise TransportProtocolError(
                    f"{self.server}: the answer has more than {self._limit} bytes "
                    "(max_response_size)"
                )
        response = self._response
        reason = str(response.reason_phrase)
        return Response(self.server, self.status, reason, self.headers, self.media, bytes(body))

    async def aclose(self) -> None:
        """Let go of it. Raises nothing."""
        if self._chunks_ended and self._response.is_closed:
            return
        with move_on_after(BRIEFLY, shield=True):
            await self._unwind()
            await self._response.aclose()

    async def _unwind(self) -> None:
        # httpx reads by generators within generators, and closing the outermost would leave the
        # others to the garbage collector. A cancelled read ends them all.
        while self._chunks is not None and not self._chunks_ended:
            with CancelScope() as scope:
                scope.cancel()
                try:
                    await anext(self._chunks)
                except Exception:  # noqa: BLE001 - whatever it is, nobody is interested any more
                    self._chunks_ended = True
            if scope.cancelled_caught:
                self._chunks_ended = True


class Exchange:
    """The requests of one connection. Enter it first: it makes the client, and closes it."""

    def __init__(self, endpoint: ExchangeEndpoint) -> None:
        self._endpoint = endpoint
        # Our own, unless the user gave one.
        self._pool: ClientPool | None = None
        self._streaming: HTTPClient | None = None

    def open(self) -> None:
        """Make the first client, unless the user gave one."""
        if self._endpoint.client is None:
            self._pool = ClientPool(self._own)

    async def aclose(self) -> None:
        """Close what was made."""
        if self._pool is not None:
            await self._pool.aclose()
        if self._streaming is not None:
            await close_quietly(self._streaming)

    def _own(self, cookies: CookieJar) -> HTTPClient:
        return own_client(
            ssl=self._endpoint.ssl,
            connect_timeout=self._endpoint.connect_timeout,
            cookies=cookies,
            headers=OWN_HEADERS,
        )

    async def _client(self, stack: AsyncExitStack, *, streaming: bool) -> HTTPClient:
        """Who sends the next request, until ``stack`` is closed."""
        given = self._endpoint.client
        if given is not None:
            return given
        assert self._pool is not None  # noqa: S101 - open() has seen to it
        if streaming:
            # Each subscription keeps its connection, and looks at the pool only once.
            if self._streaming is None:
                self._streaming = self._own(self._pool.cookies)
            return self._streaming
        client = await self._pool.acquire()
        stack.push_async_callback(self._pool.release, client)
        return client

    @asynccontextmanager
    async def send(
        self, outgoing: HTTPRequest, *, streaming: bool = False
    ) -> AsyncGenerator[Incoming]:
        """Send a request; entering waits for the head of the answer.

        ``streaming``: the body may take for ever. Raises ``TransportError``, and whatever the
        user's functions and client raise.
        """
        endpoint = self._endpoint
        own = endpoint.client is None
        if endpoint.client is not None and endpoint.client.is_closed:
            error = TransportClosed(f"{endpoint.description}: the HTTP client has been closed")
            error.unsent = True
            raise error
        async with AsyncExitStack() as stack:
            given = await resolve(endpoint.url)
            if not isinstance(given, str):
                check_url(given, SCHEMES)  # raises
            url, server = _checked(given)
            endpoint.description = server
            build = outgoing.build(url, await resolve(endpoint.headers))
            if isinstance(outgoing.body, UploadBody):
                stack.push_async_callback(outgoing.body.aclose)
                await outgoing.body.prepare()
                if outgoing.body.size is not None:
                    build["headers"].append(("Content-Length", str(outgoing.body.size)))
                # Given as content, so that hooks see a request with a body that wasn't read yet.
                build["content"] = outgoing.body
            client = await self._client(stack, streaming=streaming)
            if own:
                build["headers"] = [pair for pair in build["headers"] if pair not in OWN_HEADERS]
            if streaming and "timeout" not in build:
                build["timeout"] = _for_stream(client, endpoint.keep_alive_timeout)
            with http_errors(client, server):
                build["url"] = parsed_url(library_of(client), url)
                request = client.build_request(**build)
                body = outgoing.body
                chunks = body if isinstance(body, UploadBody) else BytesBody(body or b"")
                request.stream = stream_of(client, chunks)
                response = await redirects.send(client, request, own=own, **outgoing.send())
            incoming = Incoming(client, server, response, endpoint.max_response_size)
            stack.push_async_callback(incoming.aclose)
            yield incoming


@lru_cache(maxsize=64)
def _checked(url: str) -> tuple[str, str]:
    """A URL, and how it is shown; mostly the one of the last request."""
    return check_url(url, SCHEMES), redact(url)


def _for_stream(client: HTTPClient, silence: float | None) -> Any:
    """The client's time limits, but for how long an answer may say nothing."""
    library: Any = library_of(client)
    given = client.timeout
    return library.Timeout(connect=given.connect, read=silence, write=given.write, pool=given.pool)
