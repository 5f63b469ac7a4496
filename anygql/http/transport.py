"""GraphQL over HTTP: what to talk to, how, and with which client."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable

from ..documents.request import GraphQLRequest
from ..json import JSON, MsgspecJSON
from ..net.headers import Headers
from ..net.options import Provider, seconds
from ..net.urls import check_url, redact
from .connection import HTTPConnection
from .httpx.client import HTTPClient, library_of
from .single_connection import SingleConnection

__all__ = ["HTTPTransport"]


class HTTPTransport:
    """Talks to a GraphQL server over HTTP.

    ``url`` (``http://`` or ``https://``) and ``headers`` are values, or functions or async
    functions that are asked again for each request.

    ``client``: your own ``httpx.AsyncClient`` or ``httpx2.AsyncClient``, with its auth, proxies,
    cookies, limits and timeouts, which is used as it is and never closed here. Without it, each
    connection has one of its own, for which ``ssl`` is the context instead of the default, and
    ``connect_timeout`` the seconds until a connection is open (``None``: no limit).

    ``use_get_for_queries``: queries go by GET, which caches understand. ``persisted_queries``:
    ``True`` sends the hash of a document, and its text only to a server that doesn't know that
    ("automatic persisted queries"); a function gives the ``documentId`` under which the server
    knows a request's document, of which the text then never leaves. ``single_connection``: the
    results of all operations come by one event stream, which each session opens (graphql-sse's
    "single connection mode"): for servers that want it, and where connections are few.
    ``keep_alive_timeout``: seconds that a stream may say nothing at all, not even a comment or a
    heartbeat, before it is taken for lost (``None``: for ever). ``max_response_size``: the most
    bytes that one answer may have once it is decompressed, ``None`` for no limit (an event of a
    stream may have 2**24). ``json``: how values become JSON.

    Raises ``TransportInvalidURL``, ``ValueError`` or ``TypeError`` for what can't work.
    """

    def __init__(
        self,
        url: Provider[str],
        *,
        headers: Provider[Headers] | None = None,
        client: HTTPClient | None = None,
        use_get_for_queries: bool = False,
        persisted_queries: bool | Callable[[GraphQLRequest], str] = False,
        single_connection: bool = False,
        ssl: ssl_module.SSLContext | None = None,
        connect_timeout: float | None = 10,
        keep_alive_timeout: float | None = None,
        max_response_size: int | None = 2**26,
        json: JSON | None = None,
    ) -> None:
        if not callable(url):
            check_url(url, ("http", "https"))
        if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"ssl is an ssl.SSLContext, not {type(ssl).__name__}")
        if client is not None:
            library_of(client)
            if ssl is not None:
                raise ValueError("ssl is for our own client: give yours its own verify=")
        self.url = url
        self.headers = headers
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
        self.connect_timeout = seconds("connect_timeout", connect_timeout)
        self.keep_alive_timeout = seconds("keep_alive_timeout", keep_alive_timeout)
        if max_response_size is not None and max_response_size < 1:
            raise ValueError(f"max_response_size must be at least 1, not {max_response_size}")
        self.max_response_size = max_response_size
        self.json: JSON = MsgspecJSON() if json is None else json
        #: The server's URL without what may be secret in it.
        self.description = "the server" if callable(url) else redact(url)

    def connect(self) -> HTTPConnection | SingleConnection:
        """A client to talk with: entering makes it, leaving closes it."""
        return SingleConnection(self) if self.single_connection else HTTPConnection(self)

    def __repr__(self) -> str:
        return f"<HTTPTransport {self.description}>"
