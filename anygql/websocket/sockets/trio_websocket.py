"""The trio ecosystem's own WebSocket, for applications that standardise on it."""

from __future__ import annotations

from ...net.dial import OpenStream
from .base import Connector

__all__ = ["trio_websocket_connector"]


def trio_websocket_connector(*, open_stream: OpenStream | None = None) -> Connector:
    """Opens WebSockets with trio-websocket; under trio only.

    ``open_stream`` and ``connect_args`` are those of ``StreamConnector``, but for
    ``compression``, which trio-websocket does not have. Raises ``ImportError`` if it is not
    installed.
    """
    try:
        from .trio_adapter import TrioConnector
    except ImportError as error:
        raise ImportError(
            "trio_websocket_connector needs trio and trio-websocket: pip install 'anygql[trio]'"
        ) from error
    return TrioConnector(open_stream=open_stream)
