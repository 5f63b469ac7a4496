"""The precedence of a cancellation over a fault, where both end a call."""

from __future__ import annotations

from anyio.lowlevel import checkpoint_if_cancelled

from ..exceptions import TransportClosed

__all__ = ["cancelled_first"]


async def cancelled_first(fault: BaseException) -> None:
    """Raise a pending cancellation instead of ``fault``. Call this just before raising it.

    When a scope around the session is canceled, the connection's own tasks may end first. A caller
    in the same scope must then get the cancellation, not the error of a closed session.
    """
    if isinstance(fault, TransportClosed):
        await checkpoint_if_cancelled()
