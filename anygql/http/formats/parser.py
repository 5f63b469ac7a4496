"""The base of the parsers of streamed responses: bytes in, values out, then the fault."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from ...exceptions import ProtocolViolation

__all__ = ["StreamParser"]

_T = TypeVar("_T")


class StreamParser(ABC, Generic[_T]):
    """A parser of bytes that come in any pieces: however they are split, the values are the same.

    Values that were complete before a fault are not lost: ``feed`` returns them, and its next call
    raises the fault. Call ``feed(b"")`` to have it raised without waiting for more bytes.
    """

    _fault: ProtocolViolation | None = None

    def feed(self, data: bytes) -> list[_T]:
        """Return the values that the bytes complete.

        Raises:
            ProtocolViolation: The bytes are malformed. Each later call raises it too.
        """
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
        """Append to ``found`` what ``data`` completes. Raise ``ProtocolViolation``."""
