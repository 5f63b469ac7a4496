"""A GraphQL server and a scripted peer for tests, in memory and on loopback, on either loop."""

from __future__ import annotations

from ..local.executor import AnyioExecutor
from .http_messages import ServerRequest
from .memory import MemoryStream, memory_stream_pair
from .peer import PeerConnection, ScriptedPeer
from .schema import DEMO_SDL, demo_schema
from .server import GraphQLServer
from .server_connection import ServerConnection

__all__ = [
    "DEMO_SDL",
    "AnyioExecutor",
    "GraphQLServer",
    "MemoryStream",
    "PeerConnection",
    "ScriptedPeer",
    "ServerConnection",
    "ServerRequest",
    "demo_schema",
    "memory_stream_pair",
]
