"""permessage-deflate (RFC 7692), by websockets' implementation: loaded only if it is asked for."""

from __future__ import annotations

from websockets.exceptions import InvalidHandshake, PayloadTooBig, ProtocolError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.headers import build_extension, parse_extension

from ...protocols.close_codes import CloseCode
from .engine import Fault, Oversize

__all__ = ["Deflate", "accept_offer", "offer"]

_FACTORY = ClientPerMessageDeflateFactory(client_max_window_bits=True)


def offer() -> str:
    """Return the value of ``Sec-WebSocket-Extensions`` in the request."""
    return build_extension([(_FACTORY.name, _FACTORY.get_request_params())])


def accept_offer(answer: str) -> Deflate:
    """Return the extension as the server's ``Sec-WebSocket-Extensions`` has it.

    Raises ``ValueError`` for an answer that doesn't fit the offer.
    """
    try:
        ((name, parameters),) = parse_extension(answer)
        if name != _FACTORY.name:
            raise ValueError(f"the extension {name} was not offered")
        return Deflate(_FACTORY.process_response_params(parameters, []))
    except InvalidHandshake as error:
        raise ValueError(str(error)) from error


class Deflate:
    """The extension of one connection: see ``anygql.websocket.sockets.engine.Extension``."""

    def __init__(self, extension: Extension) -> None:
        self._extension = extension

    def encode(self, head: int, data: bytes) -> tuple[int, bytes]:
        """Compress a message."""
        return _parts(self._extension.encode(_frame(head, data)))

    def decode(self, head: int, data: bytes, max_size: int) -> tuple[int, bytes]:
        """Decompress a piece of a message, if it is compressed."""
        try:
            return _parts(self._extension.decode(_frame(head, data), max_size=max_size))
        except PayloadTooBig:
            raise Oversize from None
        except ProtocolError as error:
            raise Fault(CloseCode.PROTOCOL_ERROR, str(error)) from error


_OPCODES = {opcode.value: opcode for opcode in Opcode}


def _frame(head: int, data: bytes) -> Frame:
    bits = head & 0x80 != 0, head & 0x40 != 0, head & 0x20 != 0, head & 0x10 != 0
    return Frame(_OPCODES[head & 0x0F], data, *bits)


def _parts(frame: Frame) -> tuple[int, bytes]:
    bits = frame.fin << 7 | frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4
    return bits | frame.opcode, bytes(frame.data)
