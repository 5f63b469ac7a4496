"""A server that resets the connection right behind a part of its answer."""

from __future__ import annotations

import socket
import struct

import pytest

from anygql.net.streams import socket_stream


@pytest.mark.parametrize("size", [10, 100_000])
async def test_what_came_before_a_reset_is_read_first(size: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    stream = socket_stream(client)
    server.sendall(b"x" * size)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    received = b""
    with pytest.raises(ConnectionResetError):
        while True:
            received += await stream.receive()
    assert received == b"x" * size
    await stream.aclose()
