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
    #: ``"asyncio"``, ``"trio"`` or ``"none"``.
    loop: str
    #: What the module is to use: a transport, or an HTTP library.
    engine: str = ""
    #: For the docs.
    about: str = ""


_OURS = "one writer task, bounded buffers, TCP back-pressure, routes by id"
_OURS_HTTP = "a client of one connection for each request on its way; documents encoded once"
_BLOCKING = "a session in a thread of its own; events handed over in bursts"
_GQL_SYNC = "in the calling thread; prints the document each time"
_GQL = "unbounded queue for each subscription, no back-pressure, prints the document each time"
_GQL_HTTP = "one client with httpx's pool; prints the document each time"

PEERS = {
    peer.label: peer
    for peer in (
        Peer("anygql asyncio", "anygql_client", "asyncio", about=_OURS),
        Peer("anygql trio", "anygql_client", "trio", about=_OURS),
        Peer("anygql asyncio, httpx", "anygql_client", "asyncio", "httpx", _OURS_HTTP),
        Peer("anygql trio, httpx", "anygql_client", "trio", "httpx", _OURS_HTTP),
        Peer("anygql asyncio, httpx2", "anygql_client", "asyncio", "httpx2", _OURS_HTTP),
        Peer("anygql trio, httpx2", "anygql_client", "trio", "httpx2", _OURS_HTTP),
        Peer("gql[aiohttp]", "gql_client", "asyncio", "aiohttp", _GQL),
        Peer("gql[websockets]", "gql_client", "asyncio", "websockets", _GQL),
        Peer("gql[httpx]", "gql_client", "asyncio", "httpx", _GQL_HTTP),
        Peer("gql[httpx] on trio", "gql_client", "trio", "httpx", _GQL_HTTP),
        Peer("gql[httpx2]", "gql_client", "asyncio", "httpx2", _GQL_HTTP),
        Peer("gql[httpx2] on trio", "gql_client", "trio", "httpx2", _GQL_HTTP),
        Peer("anygql.blocking", "blocking_client", "asyncio", about=_BLOCKING),
        Peer("anygql.blocking on trio", "blocking_client", "trio", about=_BLOCKING),
        Peer("gql sync[requests]", "gql_sync", "none", "requests", _GQL_SYNC),
        Peer("gql sync[httpx]", "gql_sync", "none", "httpx", _GQL_SYNC),
        Peer("gql sync[websockets]", "gql_sync", "asyncio", "websockets", "a loop run per event"),
        Peer("raw socket", "raw", "none", about="a blocking socket; looks at nothing but the end"),
        Peer(
            "raw websockets asyncio",
            "raw",
            "asyncio",
            about="an anyio stream and websockets' sans-I/O protocol; counts frames",
        ),
        Peer(
            "raw websockets trio",
            "raw",
            "trio",
            about="an anyio stream and websockets' sans-I/O protocol; counts frames",
        ),
        Peer("raw httpx asyncio", "raw", "asyncio", "httpx", "POST of bytes, and response.json()"),
        Peer("raw httpx trio", "raw", "trio", "httpx", "POST of bytes, and response.json()"),
        Peer(
            "raw httpx2 asyncio", "raw", "asyncio", "httpx2", "POST of bytes, and response.json()"
        ),
        Peer("raw httpx2 trio", "raw", "trio", "httpx2", "POST of bytes, and response.json()"),
    )
}
