"""Context managers that Ctrl-C doesn't leave half entered or half left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio import AsyncContextManagerMixin

from .interrupts import uninterruptible

__all__ = ["ContextManagerMixin"]


class ContextManagerMixin(AsyncContextManagerMixin):
    """anyio's mixin, with its own steps marked as ``uninterruptible`` too.

    Under trio, a ``KeyboardInterrupt`` in the mixin's ``__aexit__`` would keep that of the context
    from being called, and so leave a nursery open.
    """

    if not TYPE_CHECKING:  # anyio's own types are what they are

        @uninterruptible
        async def __aenter__(self) -> Any:
            return await super().__aenter__()

        @uninterruptible
        async def __aexit__(self, *exc_info: Any) -> bool | None:
            return await super().__aexit__(*exc_info)
