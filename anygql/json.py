"""JSON: encoding and decoding the user's values.

The default uses msgspec. It encodes integers of any size exactly, and dates, decimals, UUIDs,
enums, dataclasses, attrs classes, Structs and pydantic models. Another pair of functions can take
its place (``WebSocketTransport(json=…)``). The envelopes of protocols are always encoded by
msgspec, since they contain no value of the user's.
"""

from __future__ import annotations

import io
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeGuard, TypeVar, cast

import msgspec

__all__ = [
    "JSON",
    "MsgspecJSON",
    "checked_utf8",
    "decode_typed",
    "encode_named",
    "is_mapping",
    "is_sequence",
    "replace_lone_surrogates",
]

_T = TypeVar("_T")


class JSON(Protocol):
    """The encoder and decoder of the user's values."""

    def encode(self, value: Any, /) -> bytes:
        """Return the JSON text of a value, in UTF-8.

        Args:
            value: The variables, extensions or payload of a request.

        Raises:
            TypeError: When a value has no JSON form.
            ValueError: When a value is out of the range of JSON.
        """
        ...

    def decode(self, text: bytes, /) -> Any:
        """Return the value of a JSON text.

        Args:
            text: The text, in UTF-8.

        Raises:
            ValueError: When the text is no JSON.
        """
        ...


def is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Return whether a value is encoded as a JSON object of its items."""
    return isinstance(value, Mapping)


def is_sequence(value: Any) -> TypeGuard[Sequence[Any]]:
    """Return whether a value is encoded as a JSON array, for being a sequence and no text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _is_model(value: Any) -> bool:
    """Return whether ``value`` is a pydantic model, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, getattr(pydantic, "BaseModel", ()))


def _encodable(value: Any) -> Any:
    """Return the value that msgspec encodes in the place of one whose type it doesn't know."""
    if is_mapping(value):
        return dict(value)
    if _is_model(value):
        return msgspec.Raw(value.model_dump_json(by_alias=True).encode())
    # Instances of subclasses are sent as values of these (numpy's float64, an escaped str).
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def _checkable(value: Any) -> Any:
    if _is_model(value):
        if (
            "ser_json_inf_nan" in value.model_config
        ):  # the model encodes NaN and the infinities itself
            return None
        return value.model_dump(warnings=False)
    return None if isinstance(value, msgspec.Raw) else _encodable_or_none(value)


def _encodable_or_none(value: Any) -> Any:
    try:
        return _encodable(value)
    except TypeError:  # it is within a model that encodes it
        return None


def _refuse_non_finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON has no {value}")
    for item in value.values() if is_mapping(value) else value if is_sequence(value) else ():
        _refuse_non_finite(item)


# An escaped character. It is in group 1 if it is half of a surrogate pair without the other half.
_ESCAPE = (
    rb"(?s:\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.))"
)


def _replace_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]


def replace_lone_surrogates(text: bytes | str) -> bytes:
    """Replace the escape of each half of a character in a JSON text by U+FFFD.

    A server that cuts a string in the middle of a surrogate pair sends the escape of one half.
    RFC 8259 §8.2 leaves open what it means. JavaScript and the standard library accept such an
    escape; msgspec doesn't.
    """
    given = text.encode() if isinstance(text, str) else bytes(text)
    return re.sub(_ESCAPE, _replace_lone_surrogate, given)


def checked_utf8(text: bytes | str) -> bytes | str:
    """Return ``text``; raise ``UnicodeDecodeError`` if it isn't UTF-8.

    msgspec checks only the text that it decodes, and not what it leaves as ``Raw``.
    """
    if isinstance(text, bytes) and not text.isascii():
        text.decode()
    return text


def decode_typed(decoder: msgspec.json.Decoder[_T], text: bytes | str, /) -> _T:
    """Decode ``text``, with its lone surrogates replaced; raise ``ValueError`` if it is no JSON."""
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        repaired = replace_lone_surrogates(text)
        if repaired == text:
            raise
        return decoder.decode(repaired)


class MsgspecJSON:
    """The default: msgspec's encoder and decoder. NaN and the infinities are refused.

    Args:
        order: ``"sorted"`` encodes equal objects alike, and raises ``TypeError`` for keys that are
            no texts. Default: ``None``, in the order that they have.
    """

    def __init__(self, *, order: Literal["sorted"] | None = None) -> None:
        self._encode = msgspec.json.Encoder(enc_hook=_encodable, order=order).encode
        self._decoder = msgspec.json.Decoder()

    def encode(self, value: Any, /) -> bytes:
        """Return the JSON text of ``value``, in UTF-8; raise ``TypeError`` or ``ValueError``."""
        text = self._encode(value)
        if b"null" in text:
            # msgspec encodes a float that is not finite as null.
            _refuse_non_finite(msgspec.to_builtins(value, enc_hook=_checkable))
        return text

    def decode(self, text: bytes, /) -> Any:
        """Return the value of a JSON text in UTF-8; raise ``ValueError`` if it is none."""
        return decode_typed(self._decoder, text)


def _children(value: Any, path: str) -> list[tuple[str, Any]]:
    if is_mapping(value):
        return [(f"{path}.{key}", child) for key, child in value.items()]
    if is_sequence(value):
        return [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    return [(f"{path}.{field}", getattr(value, field)) for field in _field_names(value)]


def _field_names(value: Any) -> list[str]:
    cls: Any = value.__class__
    for attribute in ("__struct_fields__", "__dataclass_fields__", "__pydantic_fields__"):
        if hasattr(cls, attribute):
            return list(getattr(cls, attribute))
    return [attribute.name for attribute in getattr(cls, "__attrs_attrs__", ())]


def _failing_child(json: JSON, value: Any, path: str) -> tuple[str, Any] | None:
    for child_path, child in _children(value, path):
        try:
            json.encode(child)
        except Exception:  # noqa: BLE001  # the user's JSON, or a hook of theirs, may raise anything
            return child_path, child
    return None


def _innermost_failure(json: JSON, value: Any, path: str) -> tuple[str, Any]:
    """Find the innermost value that can't be encoded, and its path."""
    seen: set[int] = set()
    while id(value) not in seen:  # a value that contains itself has no innermost value
        seen.add(id(value))
        found = _failing_child(json, value, path)
        if found is None:
            break
        path, value = found
    return path, value


def encode_named(json: JSON, value: Any, name: str) -> bytes:
    """Return the JSON text of ``value``, in UTF-8.

    Raises:
        TypeError: A value has no JSON form. The message has the path to it, which begins with
            ``name``.
    """
    try:
        return json.encode(value)
    except RecursionError as exc:
        raise TypeError(f"{name}: nested too deeply, or within itself") from exc
    except Exception as exc:
        child_path, failing = _innermost_failure(json, value, name)
        raise TypeError(
            f"{child_path}: a value of type {type(failing).__name__} can't be sent as JSON "
            f"({_hint(failing) or exc})"
        ) from exc


def _hint(value: Any) -> str:
    """Return what to do about a value that can't be sent as JSON; ``""`` if unknown."""
    if isinstance(value, os.PathLike):
        return "wrap it: FileVar(path)"
    if isinstance(value, io.IOBase) or hasattr(value, "read"):
        return "wrap it: FileVar(file)"
    hint: str = getattr(cast("Any", type(value)), "no_json_form", "")
    return hint
