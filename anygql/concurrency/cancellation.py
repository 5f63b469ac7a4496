"""Cancellations: their precedence over a fault, and those that nobody asked for."""

from __future__ import annotations

from anyio import get_cancelled_exc_class
from anyio.lowlevel import checkpoint_if_cancelled, current_token

from ..exceptions import TransportClosed, TransportConnectionFailed
from .waiters import is_asyncio

__all__ = ["cancelled_first", "is_cancellation", "stray_cancellation"]


async def cancelled_first(fault: BaseException) -> None:
    """Raise a pending cancellation instead of ``fault``. Call this just before raising it.

    When a scope around the session is canceled, the connection's own tasks may end first. A caller
    in the same scope must then get the cancellation, not the error of a closed session.
    """
    if isinstance(fault, TransportClosed):
        await checkpoint_if_cancelled()


def is_cancellation(error: BaseException) -> bool:
    """Return whether this is a cancellation, or a task group's exception group with one in it."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(get_cancelled_exc_class()) is not None  # pyright: ignore[reportUnknownMemberType]
    return isinstance(error, get_cancelled_exc_class())


def stray_cancellation(
    error: BaseException, what: str, server: str = "", *, retryable: bool = True
) -> TransportConnectionFailed | None:
    """Return what to raise instead of a cancellation that nobody asked the current task for.

    Under asyncio, awaiting a task that somebody has canceled raises ``CancelledError`` in the task
    that awaits, which is not canceled by that. Left alone, it would end our task groups as if they
    had been canceled, without an error. Call this for what comes out of users' functions.

    Args:
        error: What came out.
        what: A description of what it came out of, for the message.
        server: A description of the server, for the message.
        retryable: Whether a new attempt may succeed.

    Returns:
        The error, with ``error`` as its cause. ``None`` for a cancellation that somebody did ask
        for, and for any other exception.
    """
    if isinstance(error, Exception | GeneratorExit | KeyboardInterrupt):
        return None
    if not is_cancellation(error) or not is_asyncio(current_token()):
        return None
    from .asyncio_tasks import is_being_canceled

    if is_being_canceled():
        return None
    stray = TransportConnectionFailed(
        f"{server}{': ' if server else ''}a cancellation came out of {what}, though nobody "
        "canceled this: did it await a task that was canceled elsewhere?",
        retryable=retryable,
    )
    stray.__cause__ = error
    return stray
