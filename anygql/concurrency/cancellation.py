"""Which of two things that ended a call its caller is told: a fault, or a cancellation."""

from __future__ import annotations

from anyio.lowlevel import checkpoint_if_cancelled

from ..exceptions import TransportClosed

__all__ = ["cancelled_first"]


async def cancelled_first(fault: BaseException) -> None:
    """For who is about to raise ``fault``: if it is cancelled, that is raised instead.

    The end of everything around a session may reach the connection's own tasks first. Who is
    cancelled by it must not be told that the session was closed.
    """
    if isinstance(fault, TransportClosed):
        await checkpoint_if_cancelled()
