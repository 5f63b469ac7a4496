"""Bytes as decisions: so that what mutates bytes also mutates structures.

Whatever the bytes, every decision has an answer: when they are used up, it is the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Choices:
    """Takes decisions from the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, count: int) -> int:
        """A number from 0 to ``count`` (at most 256), exclusive."""
        if self._at == len(self._data):
            return 0
        self._at += 1
        return self._data[self._at - 1] % count

    def one_of(self, things: Sequence[T]) -> T:
        return things[self.below(len(things))]

    def flag(self) -> bool:
        return bool(self.below(2))

    @property
    def more(self) -> bool:
        """Whether there are bytes left."""
        return self._at < len(self._data)

    def rest(self) -> bytes:
        """What is left."""
        at, self._at = self._at, len(self._data)
        return self._data[at:]


def pieces(data: bytes, seed: int) -> list[bytes]:
    """The bytes, torn: in crumbs of 1 to 7, or of growing sizes; whole for 0."""
    if not data or not seed:
        return [data]
    torn: list[bytes] = []
    at, size = 0, 1 + seed % 7
    while at < len(data):
        torn.append(data[at : at + size])
        at += size
        if seed > 127:
            size = 1 + (size * 3 + seed) % 23
    return torn


SCALARS = (None, True, False, 0, -1, 2**64, 1.5, "", "a", "RED", "2024-02-29", "\U0001f422")
KEYS = ("a", "b", "c")


def json_value(choices: Choices, keys: Sequence[str] = KEYS, depth: int = 4) -> Any:
    """Any JSON value of so many levels."""
    kind = choices.below(4) if depth else 0
    if kind == 1:
        return [json_value(choices, keys, depth - 1) for _ in range(choices.below(4))]
    if kind >= 2:
        return {
            choices.one_of(keys): json_value(choices, keys, depth - 1)
            for _ in range(choices.below(5))
        }
    return choices.one_of(SCALARS)
