"""The trio ecosystem's own WebSocket, for applications that standardize on it."""

from __future__ import annotations

from ...net.dial import OpenStream
from .base import Connector

__all__ = ["trio_websocket_connector"]


def trio_websocket_connector(*, open_stream: OpenStream | None = None) -> Connector:
    """Return a connector that opens WebSockets with trio-websocket, under trio only.

    The transport's ``connect_args`` may hold the options of ``StreamConnector``, except
    ``compression``: trio-websocket has none.

    Args:
        open_stream: An async function of host and port that opens an anyio byte stream, to use
            in place of TCP. ``wss://`` still adds TLS. Default: TCP.

    Raises:
        ImportError: trio or trio-websocket is not installed (the extra ``anygql[trio]``).
    """
    try:
        from .trio_adapter import TrioConnector
    except ImportError as error:
        raise ImportError(
            "trio_websocket_connector needs trio and trio-websocket: pip install 'anygql[trio]'"
        ) from error
    return TrioConnector(open_stream=open_stream)
