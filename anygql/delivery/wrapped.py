"""Results that pass on those of another subscription, and do something more with them."""

from __future__ import annotations

from typing import Generic, TypeVar

from ..results.result import ExecutionResult
from .interfaces import Results

__all__ = ["WrappedResults"]

_R = TypeVar("_R", bound=Results)


class WrappedResults(Generic[_R]):
    """Passes everything on to ``_inner``, which must be set before it is used."""

    _inner: _R

    @property
    def dropped(self) -> int:
        """See ``Results``."""
        return self._inner.dropped

    @property
    def reconnects(self) -> int:
        """See ``Results``."""
        return self._inner.reconnects

    def receive_nowait(self) -> ExecutionResult | None:
        """See ``Results``."""
        return self._inner.receive_nowait()

    async def wait(self) -> None:
        """See ``Results``."""
        await self._inner.wait()

    def leave(self) -> None:
        """See ``Results``."""
        self._inner.leave()

    def check_loop(self) -> None:
        """See ``Results``."""
        self._inner.check_loop()

    def abandon(self) -> None:
        """See ``Results``."""
        self._inner.abandon()
