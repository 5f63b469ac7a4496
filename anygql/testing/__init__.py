"""Test doubles: servers in memory and on loopback, stubs and recordings, on either loop.

Each name is imported when it is first used: pytest imports this package to find the fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from ..local.executor import AnyioExecutor
    from .cassettes import Cassettes
    from .http_messages import ServerRequest
    from .memory import MemoryStream, memory_stream_pair
    from .peer import PeerConnection, ScriptedPeer
    from .recorded import Recorded
    from .recorder import Recorder
    from .redaction import SECRET_NAMES
    from .schema import DEMO_SDL, demo_schema
    from .server import GraphQLServer
    from .server_connection import ServerConnection
    from .stub import Stub, StubCall

#: The module of each name; type checkers read the imports above.
_MODULES = {
    "..local.executor": ("AnyioExecutor",),
    ".cassettes": ("Cassettes",),
    ".http_messages": ("ServerRequest",),
    ".memory": ("MemoryStream", "memory_stream_pair"),
    ".peer": ("PeerConnection", "ScriptedPeer"),
    ".recorded": ("Recorded",),
    ".recorder": ("Recorder",),
    ".redaction": ("SECRET_NAMES",),
    ".schema": ("DEMO_SDL", "demo_schema"),
    ".server": ("GraphQLServer",),
    ".server_connection": ("ServerConnection",),
    ".stub": ("Stub", "StubCall"),
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)

__all__ = [
    "DEMO_SDL",
    "SECRET_NAMES",
    "AnyioExecutor",
    "Cassettes",
    "GraphQLServer",
    "MemoryStream",
    "PeerConnection",
    "Recorded",
    "Recorder",
    "ScriptedPeer",
    "ServerConnection",
    "ServerRequest",
    "Stub",
    "StubCall",
    "demo_schema",
    "memory_stream_pair",
]
