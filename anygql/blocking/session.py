"""A session without ``await``: it lives in a thread of its own, and any thread may use it."""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

from anyio import fail_after, to_thread

from ..session.pages import Pages as AsyncPages
from ..session.session import Session as AsyncSession
from ..session.subscription import Subscription as AsyncSubscription
from ..session.tracebacks import short_tracebacks
from .deriving import derive
from .hosting import Host
from .pages import Pages
from .subscription import Subscription

__all__ = ["OnResubscribe", "Session"]

_T = TypeVar("_T")

_Variables: TypeAlias = Mapping[str, Any] | None

#: A function of the subscription and its last item, which may return new variables. It runs in a
#: thread of its own, and may use the session.
OnResubscribe: TypeAlias = Callable[[Subscription[Any], Any], "Awaitable[_Variables] | _Variables"]


class Session:
    """Runs operations on a connection that its owner keeps open, without ``await``.

    ``Client.connect`` and its like make sessions. Any number of threads may use one. Every call
    can be interrupted by Ctrl-C: the session stays usable, and the server is told once that the
    operation is over.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._twin = host.session
        # The thread must not keep this object: dropping it ends the thread.
        self._finalizer = weakref.finalize(self, _abandon, host)
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        return repr(self._twin)

    def _run(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the async session in its loop, and return what it gives."""
        if (function := kwargs.get("on_resubscribe")) is not None:
            kwargs["on_resubscribe"] = self._in_a_thread(function)
        result = self._call(_call, method, self._twin, args, kwargs)
        if isinstance(result, AsyncSubscription):
            twin = cast("AsyncSubscription[Any]", result)
            self._host.subscriptions.add(twin)
            return Subscription(self._call, twin)
        if isinstance(result, AsyncPages):
            return Pages(self._host.portal, cast("AsyncPages[Any]", result))
        return result

    def _call(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Call an async function in the session's loop, and return what it returns."""
        return self._host.portal.run(function, *args)

    def wait_connected(self, *, timeout: float | None = None) -> None:
        """Wait until there is a connection.

        Args:
            timeout: Seconds to wait at most. Default: ``None``, no limit.

        Raises:
            TimeoutError: When there was none in time.
            TransportError: When there is none and there will be none; it says why.
        """
        with short_tracebacks:
            self._run(_within(timeout, AsyncSession.wait_connected))

    def wait_closed(self, *, timeout: float | None = None) -> None:
        """Wait until the session is over: it has no connection and will get none.

        Args:
            timeout: Seconds to wait at most. Default: ``None``, no limit.

        Raises:
            TimeoutError: When it was not over in time.
        """
        with short_tracebacks:
            self._run(_within(timeout, AsyncSession.wait_closed))

    def close(self) -> None:
        """Close the session, and wait until it is closed. It may be called again.

        Calls of other threads raise ``TransportClosed``.
        """
        self._finalizer.detach()
        self._host.close()

    def _in_a_thread(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``on_resubscribe`` for the async session; the function may use this one."""
        session = weakref.ref(self)

        async def on_resubscribe(subscription: AsyncSubscription[Any], last: Any) -> Any:
            if (owner := session()) is None:
                return None
            handed = Subscription(owner._call, subscription)
            variables = await to_thread.run_sync(function, handed, last, abandon_on_cancel=True)
            return await variables if inspect.isawaitable(variables) else variables

        return on_resubscribe


async def _call(
    method: Callable[..., Any], twin: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    result = method(twin, *args, **kwargs)
    return await result if inspect.iscoroutine(result) else result


def _within(seconds: float | None, method: Callable[..., Awaitable[_T]]) -> Callable[..., Any]:
    """Return the method with a time limit, after which it raises ``TimeoutError``."""

    async def call(twin: object) -> _T:
        with fail_after(seconds):
            return await method(twin)

    return call


def _abandon(host: Host) -> None:
    """Close the session of an object that was dropped; a finalizer can't wait for that."""
    if host.request_close():
        warnings.warn(
            f"unclosed session of {host.server}: `session.close()` closes what open() opened",
            ResourceWarning,
            stacklevel=1,
        )


# `share` hands results to many tasks of one loop; between threads, a queue for each does that.
derive(Session, AsyncSession, Session._run, without=["share"])  # pyright: ignore[reportPrivateUsage]
