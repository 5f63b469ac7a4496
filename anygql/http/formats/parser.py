"""What the readers of streamed answers have in common: bytes in, values out, then the fault."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from ...exceptions import ProtocolViolation

__all__ = ["IncrementalParser"]

_T = TypeVar("_T")


class IncrementalParser(ABC, Generic[_T]):
    """An incremental reader: however the bytes are split, the same values come out.

    What was complete before a fault is not lost to it: it is returned, and the next call raises
    the fault. ``feed(b"")`` raises it at once, for who won't wait for the peer's next bytes.
    """

    _fault: ProtocolViolation | None = None

    def feed(self, data: bytes) -> list[_T]:
        """What the bytes complete; raises ``ProtocolViolation``, and then at each later call."""
        self._raise_fault()
        found: list[_T] = []
        try:
            self._read(data, found)
        except ProtocolViolation as exc:
            self._fault = exc
            if not found:
                raise
        return found

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    @abstractmethod
    def _read(self, data: bytes, found: list[_T]) -> None:
        """Append to ``found`` what ``data`` completes; raise ``ProtocolViolation``."""
