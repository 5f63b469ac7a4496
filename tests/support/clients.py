"""Clients of scripted peers."""

from __future__ import annotations

import inspect
from typing import Any

from anygql import Client, WebSocketTransport
from anygql.testing import ScriptedPeer

__all__ = ["client_of", "split_options"]

_OF_CLIENT = {
    name
    for name, parameter in inspect.signature(Client).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
    # Those that the client only hands on are given to the transport itself.
    and name not in inspect.signature(WebSocketTransport).parameters
}


def split_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return those options that are the client's, and those that are the transport's."""
    of_client = {name: value for name, value in options.items() if name in _OF_CLIENT}
    return of_client, {name: value for name, value in options.items() if name not in of_client}


def client_of(peer: ScriptedPeer, kind: str = "stream", **options: Any) -> Client:
    """Return a client of a peer in memory, with either kind of sockets and any options."""
    if kind == "trio-websocket":
        from anygql.websocket.sockets.trio_websocket import trio_websocket_connector

        connector = trio_websocket_connector(open_stream=peer.open_stream)
    else:
        connector = peer.connector()
    of_client, of_transport = split_options(options)
    return Client(WebSocketTransport(peer.url, connector=connector, **of_transport), **of_client)
