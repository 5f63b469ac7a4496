"""JSON in and out: the one way in and out for values.

The default is msgspec's: exact integers of any size, and dates, decimals, UUIDs, enums,
dataclasses and Structs as values. Another pair of functions can take its place
(``WebSocketTransport(json=…)``); protocol envelopes stay msgspec's, since no user value is in
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

__all__ = ["JSON", "MsgspecJSON", "encode_named"]


class JSON(Protocol):
    """How user values become JSON, and the other way round."""

    def encode(self, value: Any, /) -> bytes:
        """The UTF-8 JSON text of ``value``; raises ``TypeError`` or ``ValueError``."""
        ...

    def decode(self, text: bytes, /) -> Any:
        """The value of a UTF-8 JSON text; raises ``ValueError`` if it is not one."""
        ...


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    raise TypeError(f"a {type(value).__name__} has no JSON form")


class MsgspecJSON:
    """The default: msgspec's encoder and decoder."""

    def __init__(self) -> None:
        self.encode = msgspec.json.Encoder(enc_hook=_plain).encode
        self.decode = msgspec.json.Decoder().decode


def _culprit(json: JSON, value: Any, path: str) -> tuple[str, Any]:
    """The innermost value that can't be encoded, and where it is."""
    children: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        mapping: Mapping[Any, Any] = value
        children = [(f"{path}.{key}", child) for key, child in mapping.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        sequence: Sequence[Any] = value
        children = [(f"{path}[{index}]", child) for index, child in enumerate(sequence)]
    for where, child in children:
        try:
            json.encode(child)
        except RecursionError:
            return where, child
        except Exception:
            return _culprit(json, child, where)
    return path, value  # pyright: ignore[reportUnknownVariableType]


def encode_named(json: JSON, value: Any, name: str) -> bytes:
    """The JSON text of ``value``.

    Raises ``TypeError``, naming the path from ``name`` to what has no JSON form.
    """
    try:
        return json.encode(value)
    except RecursionError as exc:
        raise TypeError(f"{name}: nested too deeply, or within itself") from exc
    except Exception as exc:
        where, culprit = _culprit(json, value, name)
        raise TypeError(
            f"{where}: a value of type {type(culprit).__name__} can't be sent as JSON ({exc})"
        ) from exc
