"""The data at a path of response keys (``path=``), and hints to such a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .shapes import Mismatch, is_list, is_object, wrong_kind

__all__ = ["at_path", "hint_at_path"]

#: How far below the top a hint looks.
_DEPTH = 4


def at_path(data: Any, path: tuple[str, ...]) -> Any:
    """Return the data at the end of ``path``, which may be ``None``.

    Raises ``Mismatch`` if the data don't reach the end: a key is missing, or the value before the
    end is null or no object.
    """
    for depth, key in enumerate(path):
        if not is_object(data):
            before = Mismatch("it is null") if data is None else wrong_kind("object", data)
            before.what += f", and the path goes on to {'.'.join(path[depth:])!r}"
            before.path = list(reversed(path[:depth]))
            raise before
        if key not in data:
            missing = Mismatch(f"it is not in the answer, which has {_keys(data)}")
            missing.path = list(reversed(path[: depth + 1]))
            raise missing
        data = data[key]
    return data


def _keys(data: dict[str, Any]) -> str:
    keys = list(data)
    return ", ".join(keys[:10]) + (", …" if keys[10:] else "") if keys else "no keys"


def hint_at_path(read: Callable[[Any], Any], data: Any) -> str:
    """Return a hint to the ``path`` at which data would fit the type, or ``""``.

    Only objects with one field are looked into, as ``{ place { … } }`` makes them.
    """
    path: list[str] = []
    while is_object(data) and len(data) == 1 and len(path) < _DEPTH:
        ((key, data),) = data.items()
        path.append(key)
        if _fits(read, data):
            return f". It fits with path={'.'.join(path)!r}"
        if is_list(data) and data and _fits(read, data[0]):
            return f". Each item fits with result_type=list[…] and path={'.'.join(path)!r}"
    return ""


def _fits(read: Callable[[Any], Any], value: Any) -> bool:
    try:
        read(value)
    except Exception:  # noqa: BLE001 - a user's validators may raise anything
        return False
    return value is not None
