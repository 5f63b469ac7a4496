"""Cancellation comes before a fault that it caused."""

from __future__ import annotations

from anyio.lowlevel import checkpoint_if_cancelled

from ..exceptions import TransportClosed

__all__ = ["cancelled_first"]


async def cancelled_first(fault: BaseException) -> None:
    """Raise a pending cancellation instead of ``fault``. Call this just before raising it.

    When everything around a session is canceled, the connection's own tasks may notice first and
    close it. A call that is canceled together with them must not report a closed session.
    """
    if isinstance(fault, TransportClosed):
        await checkpoint_if_cancelled()
