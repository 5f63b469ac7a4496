"""The clients that are compared, by label: what each is, and what it does and doesn't do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PEERS", "Peer"]


@dataclass(frozen=True)
class Peer:
    """One client on one event loop. ``module`` is imported by the worker that runs it."""

    label: str
    #: Of ``benchmarks.peers``; it has ``open_websocket`` or ``open_http``, or both.
    module: str
    #: ``"asyncio"``, ``"uvloop"``, ``"trio"`` or ``"none"``.
    loop: str
    #: What the module is to use: a transport, or an HTTP library.
    engine: str = ""
    #: For the docs.
    about: str = ""
    #: The folder of a virtual environment that its process runs in, if not that of the benchmarks.
    environment: str = ""


_OURS = (
    "WebSocket: one writer task, bounded buffers, TCP backpressure, routes by id; HTTP: a client "
    "of its own, a connection for each request on its way; documents encoded once"
)
_OURS_HTTPX = "HTTP by the user's own client, with its pool; documents encoded once"
_GQL = (
    "WebSocket: an unbounded queue for each subscription, no backpressure; HTTP: one aiohttp "
    "session; prints the document each time"
)
_GQL_WEBSOCKETS = "an unbounded queue for each subscription, no backpressure; prints the document"
_GQL_HTTP = "one client with httpx's pool; prints the document each time"
_BLOCKING = "a session in a thread of its own; events handed over in bursts"
_GQL_SYNC = "in the calling thread; prints the document each time"
_SGQLC = "in the calling thread; sends the document as text"
_RAW_HTTP = "POST of bytes, and response.json()"
_RAW_WEBSOCKETS = "an anyio stream and websockets' sans-I/O protocol; counts frames"

PEERS = {
    peer.label: peer
    for peer in (
        Peer("anygql asyncio", "anygql_client", "asyncio", about=_OURS),
        Peer("anygql trio", "anygql_client", "trio", about=_OURS),
        Peer("anygql asyncio, untyped", "anygql_client", "asyncio", "untyped", _OURS),
        Peer("anygql asyncio, 1 interceptor", "anygql_client", "asyncio", "interceptors=1", _OURS),
        Peer(
            "anygql asyncio, 10 interceptors", "anygql_client", "asyncio", "interceptors=10", _OURS
        ),
        Peer("anygql asyncio, throttle on", "anygql_client", "asyncio", "throttle", _OURS),
        Peer(
            "anygql asyncio, equal queries shared", "anygql_client", "asyncio", "deduplicate", _OURS
        ),
        Peer("anygql asyncio, token refreshed", "anygql_client", "asyncio", "auth", _OURS),
        Peer(
            "anygql asyncio, tracing on",
            "anygql_client",
            "asyncio",
            "tracing",
            "OpenTelemetry's SDK, with an exporter that does nothing",
        ),
        Peer("anygql uvloop", "anygql_client", "uvloop", about=_OURS),
        Peer(
            "anygql asyncio, multipart",
            "anygql_client",
            "asyncio",
            "multipart",
            "the same, from a server that sends multipart",
        ),
        Peer("anygql asyncio, httpx", "anygql_client", "asyncio", "httpx", _OURS_HTTPX),
        Peer("anygql trio, httpx", "anygql_client", "trio", "httpx", _OURS_HTTPX),
        Peer("gql[aiohttp]", "gql_client", "asyncio", "aiohttp", _GQL),
        Peer("gql[aiohttp] on uvloop", "gql_client", "uvloop", "aiohttp", _GQL),
        Peer("gql[websockets]", "gql_client", "asyncio", "websockets", _GQL_WEBSOCKETS),
        Peer("gql[aiohttp] + pydantic", "gql_client", "asyncio", "aiohttp", _GQL),
        Peer("gql[websockets] + pydantic", "gql_client", "asyncio", "websockets", _GQL_WEBSOCKETS),
        Peer("gql[httpx]", "gql_client", "asyncio", "httpx", _GQL_HTTP),
        Peer("gql[httpx] on trio", "gql_client", "trio", "httpx", _GQL_HTTP),
        Peer("gql[httpx2]", "gql_client", "asyncio", "httpx2", _GQL_HTTP),
        Peer(
            "ariadne-codegen",
            "ariadne_codegen_client",
            "asyncio",
            about="its async base client, over httpx, without pydantic models of the data",
            environment=".venv-codegen",
        ),
        Peer("anygql.blocking", "blocking_client", "asyncio", about=_BLOCKING),
        Peer("anygql.blocking on trio", "blocking_client", "trio", about=_BLOCKING),
        Peer("gql sync[requests]", "gql_sync", "none", "requests", _GQL_SYNC),
        Peer("gql sync[httpx]", "gql_sync", "none", "httpx", _GQL_SYNC),
        Peer("gql sync[websockets]", "gql_sync", "asyncio", "websockets", "a loop run per event"),
        Peer("sgqlc HTTPEndpoint", "sgqlc_client", "none", "urllib", _SGQLC, ".venv-sgqlc"),
        Peer("sgqlc RequestsEndpoint", "sgqlc_client", "none", "requests", _SGQLC, ".venv-sgqlc"),
        Peer("raw socket", "raw", "none", about="blocking sockets; looks at nothing but the end"),
        Peer("raw websockets asyncio", "raw", "asyncio", about=_RAW_WEBSOCKETS),
        Peer("raw websockets trio", "raw", "trio", about=_RAW_WEBSOCKETS),
        Peer("raw aiohttp", "raw", "asyncio", "aiohttp", _RAW_HTTP),
        Peer("raw httpx", "raw", "asyncio", "httpx", _RAW_HTTP),
    )
}
