"""JSON payloads of streamed responses: an event's data, a part's body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from ...json import JSON, MsgspecJSON
from ...protocols.messages import read_replacing_surrogates

__all__ = ["payload_reader"]

_T = TypeVar("_T")


def payload_reader(type_: type[_T], json: JSON) -> Callable[[bytes | str], _T]:
    """Return a function from a JSON text to ``type_``, which raises ``ProtocolViolation``."""

    def convert(text: bytes | str) -> _T:
        value: Any = json.decode(text.encode() if isinstance(text, str) else text)
        return msgspec.convert(value, type_)

    # msgspec itself checks and builds in one pass
    is_default = type(json) is MsgspecJSON
    read = msgspec.json.Decoder(type_).decode if is_default else convert

    def checked(text: bytes | str) -> _T:
        try:
            return read(text)
        except (ValueError, RecursionError) as exc:
            return read_replacing_surrogates(read, text, exc)

    return checked
