"""GraphQL over HTTP: the options of a transport."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable
from inspect import signature
from os import PathLike
from typing import Any, Unpack

from ..documents.request import GraphQLRequest
from ..json import JSON, MsgspecJSON
from ..net.authorization import Authorization
from ..net.headers import Headers, check_headers
from ..net.options import NoOptions, Provider, refuse_options, seconds
from ..net.proxy import parse_proxy
from ..net.urls import check_url, redact
from .authorization import check_auth
from .connection import HTTPConnection
from .httpx.client import HTTPClient, library_of
from .single_connection import SingleConnection

__all__ = ["HTTPTransport"]


_OWN_CLIENT = "give your own client: client=httpx.AsyncClient({0}=…)"

#: What to write in the place of options that other clients have.
_HINTS = {
    **{name: _OWN_CLIENT.format(name) for name in ("cookies", "params", "http2", "limits")},
    "timeout": "write Client(…, execute_timeout=) for operations, or connect_timeout=",
    "verify": "write ssl=, an ssl.SSLContext",
    "init_payload": "it is for WebSocketTransport: over HTTP, write headers=",
    "client_session_args": "give your own client: client=httpx.AsyncClient(…)",
    "max_size": "write max_response_size=",
}


class HTTPTransport:
    """The HTTP endpoint of a GraphQL server.

    Args:
        url: The URL, ``http://`` or ``https://``; or a function or async function that returns it,
            called for each request.
        headers: Headers of each request, as a mapping or pairs of ``str``; or a function or async
            function that returns them, called for each request. Default: none.
        auth: An object with an async method ``headers(url, body)``, which is called for each
            request and returns headers that authorize these bytes, such as ``anygql.appsync.IAM``.
            A request that is answered with 401 is authorized anew, and sent once more. It goes
            with POST requests without files. Default: none.
        client: Your own ``httpx.AsyncClient`` or ``httpx2.AsyncClient``, with its auth, proxies,
            cookies, limits and timeouts. It is used as it is, and never closed here; ``ssl``,
            ``proxy``, ``uds`` and ``max_connections`` are then its own. Default: anygql's own
            HTTP/1.1 client, of which each session has one.
        use_get_for_queries: Whether queries go by GET, which caches understand. Default: False.
        persisted_queries: ``True`` sends the hash of a document, and its text only to a server
            that doesn't know the hash ("automatic persisted queries"). A function from a request
            to a ``documentId``, under which the server knows the document, sends that instead of
            the text in every request. Default: False.
        single_connection: Whether the results of all operations come by one event stream, which
            each session opens (graphql-sse's "single connection mode"). It is for servers that
            require it, and for where connections are few. Default: False.
        ssl: The TLS context. Default: one that verifies the server by the system's certificates.
        proxy: The URL of an HTTP proxy, ``http://`` or ``https://``, perhaps with user and
            password; ``True`` for that of the environment (``http_proxy``, ``https_proxy``,
            ``all_proxy``, ``no_proxy``), ``None`` for none. Default: True.
        uds: The path of a Unix socket to connect to. The URL's host then only names what is asked
            for. Default: none.
        max_connections: Maximum number of queries and mutations at a time, each on a connection of
            its own; others wait. Subscriptions don't count. Default: 100.
        connect_timeout: Maximum time until a connection is open, in seconds;
            ``None`` for no limit. Default: 10. With ``single_connection``, also the time until the
            event stream is open.
        keep_alive_timeout: Maximum silence on a stream, in seconds, before it counts as lost;
            ``None`` for no limit. Comments and heartbeats end a silence. Default: None.
        max_response_size: Maximum size of one response after decompression, in bytes; ``None`` for
            no limit. A larger response raises ``TransportProtocolError``. Default: 2**26. In a
            stream, each event may have 2**24 bytes, whatever the size of the whole.
        json: How values become JSON, and back. Default: by msgspec.

    Raises:
        TransportInvalidURL: The URL is no HTTP URL. This is a ``ValueError`` too.
        ValueError: An option is out of range, or two options contradict each other.
        TypeError: An option has a type that can't work.
    """

    def __init__(
        self,
        url: Provider[str],
        *,
        headers: Provider[Headers] | None = None,
        auth: Authorization | None = None,
        client: HTTPClient | None = None,
        use_get_for_queries: bool = False,
        persisted_queries: bool | Callable[[GraphQLRequest], str] = False,
        single_connection: bool = False,
        ssl: ssl_module.SSLContext | None = None,
        proxy: str | bool | None = True,
        uds: str | PathLike[str] | None = None,
        max_connections: int = 100,
        connect_timeout: float | None = 10,
        keep_alive_timeout: float | None = None,
        max_response_size: int | None = 2**26,
        json: JSON | None = None,
        **mistaken: Unpack[NoOptions],
    ) -> None:
        if mistaken:
            refuse_options("HTTPTransport()", mistaken, _HINTS, signature(type(self)).parameters)
        if headers is not None and not callable(headers):
            check_headers(headers)
        if not callable(url):
            url = check_url(url, ("http", "https"))
        if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"ssl is an ssl.SSLContext, not {type(ssl).__name__}")
        if auth is not None:
            check_auth(auth, gets=use_get_for_queries or single_connection)
        if client is not None:
            _check_client(client, ssl=ssl, proxy=proxy, uds=uds, max_connections=max_connections)
        if uds is not None and isinstance(proxy, str):
            raise ValueError("uds and proxy contradict each other: a Unix socket needs no proxy")
        if isinstance(proxy, str):
            parse_proxy(proxy)
        if max_connections < 1:
            raise ValueError(f"max_connections must be at least 1, not {max_connections}")
        self.url = url
        self.headers = headers
        self.auth = auth
        self.client = client
        if not isinstance(persisted_queries, bool) and not callable(persisted_queries):
            raise TypeError(
                "persisted_queries is True, False or a function from a request to its documentId, "
                f"not {type(persisted_queries).__name__}"
            )
        self.use_get_for_queries = use_get_for_queries
        self.persisted_queries = persisted_queries
        self.single_connection = single_connection
        self.ssl = ssl
        self.proxy = proxy
        self.uds = uds
        self.max_connections = max_connections
        self.connect_timeout = seconds("connect_timeout", connect_timeout)
        self.keep_alive_timeout = seconds("keep_alive_timeout", keep_alive_timeout)
        if max_response_size is not None and max_response_size < 1:
            raise ValueError(f"max_response_size must be at least 1, not {max_response_size}")
        self.max_response_size = max_response_size
        self.json: JSON = MsgspecJSON() if json is None else json
        #: The server's URL without its secrets: user, password, query and fragment.
        self.description = "the server" if callable(url) else redact(url)

    @property
    def carries_headers(self) -> bool:
        """Whether anything beside the caller may add headers to the request of an operation.

        A request that is signed goes as it is.
        """
        return not getattr(self.auth, "signs", False)

    @property
    def asks_anew(self) -> bool:
        """Whether what the server is told may change from one request to the next."""
        asked = (self.url, self.headers)
        return any(map(callable, asked)) or self.auth is not None or self.client is not None

    def connect(self) -> HTTPConnection | SingleConnection:
        """Return a connection for one session.

        Entering its context makes the HTTP client, or opens the event stream; leaving closes it.
        """
        return SingleConnection(self) if self.single_connection else HTTPConnection(self)

    def __repr__(self) -> str:
        return f"<HTTPTransport {self.description}>"


def _check_client(client: HTTPClient, **ours: Any) -> None:
    """Raise if this is no client, or comes with options that it has of its own."""
    library_of(client)
    defaults = signature(HTTPTransport).parameters
    for name, value in ours.items():
        if value != defaults[name].default:
            raise ValueError(f"{name} is for our own client: {_THEIRS[name]}")


#: What to write for a client of the user's in place of our own options.
_THEIRS = {
    "ssl": "give yours its own verify=",
    "proxy": "give yours its own proxy=",
    "uds": "give yours its own transport=httpx.AsyncHTTPTransport(uds=…)",
    "max_connections": "give yours its own limits=",
}
