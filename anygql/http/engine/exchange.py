"""One HTTP request and its response, on a connection of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

from anyio import move_on_after
from anyio.abc import TaskGroup

from ...concurrency.interrupts import uninterruptible
from ...concurrency.loop import RunningLoop
from ...exceptions import TransportError, TransportProtocolError
from ...net.dial import Destination, DialArgs, dial_through
from ...net.errors import NotHTTP
from ...net.headers import Headers, pairs
from ...net.http1 import ResponseHead
from ...net.options import resolve
from ...net.streams import NetworkStream
from ...net.urls import redact
from ..authorization import authorization_headers, split_auth
from ..compression import ACCEPT_ENCODING
from ..endpoint import HTTPEndpoint
from ..redirects import HARMLESS, MAX_REDIRECTS, REDIRECTS, SHORT_BODY, redirected_method
from ..requests import HTTPRequest, merged_headers
from ..upload import UploadBody
from .connection import Connection, ConnectionLost
from .faults import connect_timeout_error, lost_error, not_http_error, silence_error
from .head import CallOptions, HeaderPairs, check_sendable, head_lines
from .incoming import EngineResponse
from .pool import Pool
from .target import Target, parse_target

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from .cookies import Cookies

__all__ = ["Exchange"]

#: URLs, and heads of requests, that are remembered.
REMEMBERED = 64


class _Outgoing(NamedTuple):
    """A request to one URL."""

    method: str
    target: Target
    #: The head, without what says where the body ends.
    head: bytes
    headers: HeaderPairs
    #: The value of ``Accept``.
    accepted: str
    body: bytes | UploadBody | None


class Exchange:
    """The requests of one session. Call ``open`` first, and ``aclose`` last."""

    #: A connection that is interrupted is closed on the spot.
    needs_task = False

    def __init__(self, endpoint: HTTPEndpoint) -> None:
        self._endpoint = endpoint
        self._pool = Pool(endpoint.max_connections)
        self._args = DialArgs(uds=endpoint.uds)
        self._targets: dict[str, Target] = {}
        self._heads: dict[Any, tuple[bytes, HeaderPairs, str]] = {}
        self._cookies: Cookies | None = None

    def open(self, loop: RunningLoop, tasks: TaskGroup) -> None:
        """Begin to serve, on this loop, with a task in this group for idle connections."""
        self._pool.start(loop, tasks)

    async def aclose(self) -> None:
        """Close all connections. Raise nothing."""
        self._pool.close()

    def check(self, args: Mapping[str, Any]) -> None:
        """Raise ``TypeError`` or ``ValueError`` for ``transport_args`` that can't be heeded."""
        CallOptions.parse(args)

    @uninterruptible
    async def send(self, request: HTTPRequest, *, streaming: bool = False) -> EngineResponse:
        """Send a request, and return its response, which the caller must close.

        Canceling closes the connection.

        Args:
            request: The request.
            streaming: Whether the body of the response may take for ever.

        Raises:
            TransportError: The request failed.
            TypeError, ValueError: The request can't be sent. Nothing was.
            Exception: Whatever the user's functions raise.
        """
        endpoint = self._endpoint
        request, auth = split_auth(request, endpoint)
        options = CallOptions.parse(request.args)
        url = endpoint.url
        if callable(url):
            url = await resolve(url, "url", endpoint.description)
        target = self._target(url)
        endpoint.description = target.shown
        headers = endpoint.headers
        if callable(headers):
            headers = await resolve(headers, "headers", target.shown)
        if auth is not None:
            sent = target.full_url([*(request.params or ()), *options.params])
            added = await authorization_headers(auth, request, sent, target.shown)
            request = replace(request, fixed=[*request.fixed, *added])
        outgoing = self._outgoing(request, target, headers, options)
        silence = endpoint.keep_alive_timeout if streaming else None
        call = _Call(self, request, options, options.timeout if options.has_timeout else silence)
        if not isinstance(request.body, UploadBody):
            return await call.send(outgoing, has_turn=not streaming)
        response: EngineResponse | None = None
        try:
            await request.body.prepare()
            response = await call.send(outgoing, has_turn=not streaming)
            await request.body.aclose()
        except BaseException:
            if response is not None:
                await response.aclose()
            await request.body.aclose()
            raise
        return response

    def _target(self, url: Any) -> Target:
        found = self._targets.get(url) if isinstance(url, str) else None
        if found is None:
            found = self.parse(url)
            if len(self._targets) >= REMEMBERED:
                self._targets.clear()
            self._targets[url] = found
        return found

    def parse(self, url: object) -> Target:
        """Return the target of a URL. Raise ``TransportInvalidURL``."""
        endpoint = self._endpoint
        return parse_target(url, endpoint.proxy, is_direct=endpoint.uds is not None)

    def _outgoing(
        self,
        request: HTTPRequest,
        target: Target,
        headers: Headers | None,
        options: CallOptions,
    ) -> _Outgoing:
        layers = (
            tuple(request.headers),
            tuple(pairs(headers)),
            tuple(pairs(request.args.get("headers"))),
            tuple(request.fixed),
        )
        params = [*(request.params or ()), *options.params]
        key = None
        if not params and options.authorization is None:
            key = (request.method, target.url, layers)
            try:
                if (known := self._heads.get(key)) is not None:
                    return _Outgoing(request.method, target, *known, request.body)
            except TypeError:  # a header is no text: said below
                key = None
        merged: HeaderPairs = [*merged_headers(*layers, (ACCEPT_ENCODING,))]
        authorization = options.authorization or target.authorization
        if authorization is not None and (
            options.authorization is not None
            or not any(name.lower() == "authorization" for name, _ in merged)
        ):
            merged = [pair for pair in merged if pair[0].lower() != "authorization"]
            merged.append(("Authorization", authorization))
        head = head_lines(request.method, target, target.request_target(params), merged)
        accepted = _value_of(merged, "accept")
        if key is not None:
            if len(self._heads) >= REMEMBERED:
                self._heads.clear()
            self._heads[key] = (head, merged, accepted)
        return _Outgoing(request.method, target, head, merged, accepted, request.body)

    # Connections.

    async def connect(self, target: Target, limit: float | None) -> Connection:
        """Open a new connection. Raise what opening it raises, with ``unsent`` set."""
        origin = target.origin
        to = Destination(origin.host, origin.port, origin.secure, target.shown, self._endpoint.ssl)
        try:
            with move_on_after(limit):
                stream = await dial_through(origin.proxy, to, self._args, tunnel=origin.secure)
                assert isinstance(stream, NetworkStream)  # noqa: S101 - nothing else opens here
                connection = Connection(stream, origin)
                self._pool.add(connection)
                return connection
        except TransportError as error:
            error.unsent = True
            raise
        raise connect_timeout_error(target.shown, limit)

    @property
    def endpoint(self) -> HTTPEndpoint:
        """The transport's options."""
        return self._endpoint

    @property
    def pool(self) -> Pool:
        """The connections."""
        return self._pool

    # Cookies.

    def cookie_header(self, target: Target, given: Mapping[str, str] | CookieJar | None) -> str:
        """Return the ``Cookie`` of a request; ``""`` if there is none."""
        if self._cookies is None and given is None:
            return ""
        from .cookies import cookie_header

        found = [] if self._cookies is None else [self._cookies.header(target.plain_url)]
        if given is not None and not isinstance(given, Mapping):
            found.append(cookie_header(given, target.plain_url))
        elif given is not None:
            found += [f"{name}={value}" for name, value in given.items()]
        return "; ".join(filter(None, found))

    def take_cookies(self, target: Target, head: ResponseHead) -> None:
        """Keep the cookies that a response sets."""
        if not head.cookies:
            return
        if self._cookies is None:
            from .cookies import Cookies

            self._cookies = Cookies()
        self._cookies.take(target.plain_url, head.cookies)


class _Call:
    """One request, with what follows from redirects and from connections that were closed."""

    def __init__(
        self,
        exchange: Exchange,
        request: HTTPRequest,
        options: CallOptions,
        silence: float | None,
    ) -> None:
        self._exchange = exchange
        self._request = request
        self._options = options
        self._silence = silence
        self._asked_nothing = ""

    async def send(self, outgoing: _Outgoing, *, has_turn: bool) -> EngineResponse:
        """Send the request, and follow redirects if the call says so."""
        first = outgoing.target.shown
        redirects = 0
        while True:
            response = await self._response(outgoing, has_turn=has_turn)
            if not self._options.follow_redirects or response.status not in REDIRECTS:
                return response
            try:
                following = self._redirected(outgoing, response)
                if following is None:
                    return response
                await _finish(response)
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()
            redirects += 1
            if redirects > MAX_REDIRECTS:
                raise TransportProtocolError(
                    f"{first}: redirected too many times. Use the final URL"
                )
            outgoing = following

    async def _response(self, outgoing: _Outgoing, *, has_turn: bool) -> EngineResponse:
        pool = self._exchange.pool
        if has_turn:
            await pool.acquire()
        try:
            connection, head = await self._head(outgoing)
        except BaseException:
            if has_turn:
                pool.release()
            raise
        self._exchange.take_cookies(outgoing.target, head)
        return EngineResponse(
            pool,
            connection,
            head,
            outgoing.target.shown,
            accepted=outgoing.accepted,
            has_turn=has_turn,
            silence=self._silence,
            max_size=self._exchange.endpoint.max_response_size,
            asked_nothing=self._asked_nothing,
        )

    async def _head(self, outgoing: _Outgoing) -> tuple[Connection, ResponseHead]:
        """Return the head of the response, and the connection that the rest comes by."""
        data = self._bytes(outgoing)
        target = outgoing.target
        connection = None
        # Some proxies that forward (tinyproxy) close behind each response, and don't say so: what
        # can't be sent again would be lost on the way.
        if not target.origin.is_forwarded or self._request.is_repeatable:
            connection = self._exchange.pool.take(target.origin)
        if connection is not None:
            try:
                return connection, await self._exchanged(connection, data, outgoing)
            except ConnectionLost as lost:
                # Most likely it was closed for being idle while the request was on its way
                # (RFC 9112 §9.3.1).
                if not self._may_repeat(lost, outgoing.body):
                    raise lost_error(target.shown, lost) from lost.__cause__
            except NotHTTP as error:
                raise not_http_error(target.shown, error) from error
        options = self._options
        limit = options.timeout if options.has_timeout else self._exchange.endpoint.connect_timeout
        connection = await self._exchange.connect(target, limit)
        try:
            return connection, await self._exchanged(connection, data, outgoing)
        except ConnectionLost as lost:
            raise lost_error(target.shown, lost) from lost.__cause__
        except NotHTTP as error:
            raise not_http_error(target.shown, error) from error

    async def _exchanged(
        self, connection: Connection, data: bytes, outgoing: _Outgoing
    ) -> ResponseHead:
        body = outgoing.body if isinstance(outgoing.body, UploadBody) else None
        try:
            if self._silence is None:
                return await connection.request(data, body)
            with move_on_after(self._silence):
                return await connection.request(data, body)
            raise silence_error(outgoing.target.shown, self._silence)  # noqa: TRY301
        except BaseException:
            self._exchange.pool.drop(connection)
            raise

    def _may_repeat(self, lost: ConnectionLost, body: bytes | UploadBody | None) -> bool:
        if isinstance(body, UploadBody) and not body.is_repeatable:
            return False
        return lost.unsent or (self._request.is_repeatable and not lost.has_begun)

    def _bytes(self, outgoing: _Outgoing) -> bytes:
        """Return the head of the request, with the body if that isn't streamed."""
        head, body = outgoing.head, outgoing.body
        cookie = self._exchange.cookie_header(outgoing.target, self._options.cookies)
        if cookie and not _value_of(outgoing.headers, "cookie"):
            check_sendable(outgoing.target, "Cookie", cookie)
            head += f"Cookie: {cookie}\r\n".encode("latin-1")
        if isinstance(body, bytes):
            return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
        if body is None:
            empty = b"Content-Length: 0\r\n" if outgoing.method in {"POST", "PUT"} else b""
            return b"%b%b\r\n" % (head, empty)
        if body.size is None:
            return head + b"Transfer-Encoding: chunked\r\n\r\n"
        return b"%bContent-Length: %d\r\n\r\n" % (head, body.size)

    def _redirected(self, outgoing: _Outgoing, response: EngineResponse) -> _Outgoing | None:
        """Return the request that a redirect asks for, if it names a URL."""
        location = response.headers.get("location", "")
        if not location:
            return None
        before = outgoing.target
        target = self._exchange.parse(urljoin(before.url, location))
        method = redirected_method(outgoing.method, response.status)
        body = outgoing.body
        headers = outgoing.headers
        if method != outgoing.method:
            body = None
            headers = [pair for pair in headers if pair[0].lower() != "content-type"]
            self._asked_nothing = redact(target.url)
        if not before.is_same_origin(target):
            # To another origin, only what can't be the user's secret.
            headers = [pair for pair in headers if pair[0].lower() in HARMLESS]
            self._options = CallOptions(follow_redirects=True, timeout=self._options.timeout)
        headers = [pair for pair in headers if pair[0].lower() != "host"]
        head = head_lines(method, target, target.request_target([]), headers)
        return _Outgoing(method, target, head, headers, _value_of(headers, "accept"), body)


async def _finish(response: EngineResponse) -> None:
    """Read the short body of a redirect, so that its connection can be used again."""
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length[:9]) <= SHORT_BODY:
        while await response.read() is not None:
            pass


def _value_of(headers: HeaderPairs, wanted: str) -> str:
    for name, value in headers:
        if name.lower() == wanted:
            return value.decode("latin-1") if isinstance(value, bytes) else value
    return ""
