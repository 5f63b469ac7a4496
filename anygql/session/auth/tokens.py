"""One token for a client's sessions, and the refresh of it: one for all who wait.

``refreshing.py`` has what users see of it. What a session does with it is in ``credentials.py``.
"""

from __future__ import annotations

import inspect
import logging
import math
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from anyio import current_time, move_on_after
from anyio.abc import TaskGroup
from anyio.lowlevel import current_token

from ...concurrency.cancellation import cancelled_first
from ...concurrency.interrupts import uninterruptible
from ...delivery.faults import closed
from ...exceptions import TransportTimeout, copy_to_raise_unsent
from ...net.options import Provider, resolve, seconds
from .refresh import Refresh

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["CredentialsOwner", "Expiry", "Opening", "TokenSource", "opening"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

#: When a token expires: a POSIX time or one of the loop's clock, a time with its zone, or ``None``
#: if that isn't known.
Expiry: TypeAlias = "float | datetime | None"

#: POSIX times are later than this, in 2001. Loops' clocks count from when the machine was started.
_EARLIEST_POSIX_TIME = 1e9


class CredentialsOwner(Protocol):
    """A session, as its credentials see it."""

    task_group: TaskGroup
    fault: Exception | None

    @property
    def description(self) -> str:
        """The server, fit for messages."""
        ...


class Opening:
    """What is known of the credentials that one connection was opened with."""

    __slots__ = ("_on_waiting", "generation", "is_open", "is_waiting", "opened_at")

    def __init__(self, on_waiting: Callable[[], None]) -> None:
        #: The generation of the oldest token that the transport asked for; ``None`` if it asked
        #: for none, as HTTP asks for each request.
        self.generation: int | None = None
        #: Whether the connection is open, so that what is asked from now on isn't for it.
        self.is_open = False
        self.opened_at = 0.0
        #: Whether it waits for a refresh.
        self.is_waiting = False
        self._on_waiting = on_waiting

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Let the session know that it waits for a refresh, within this context."""
        self.is_waiting = True
        self._on_waiting()
        try:
            yield
        finally:
            self.is_waiting = False


#: The connection that the current task opens.
opening: ContextVar[Opening | None] = ContextVar("anygql_opening", default=None)

#: The credentials that the current task refreshes.
_refreshing: ContextVar[object] = ContextVar("anygql_refreshing", default=None)


class _OnLoop:
    """What belongs to one event loop."""

    def __init__(self) -> None:
        #: The open sessions, the newest last. A dict, for its order.
        self.owners: dict[CredentialsOwner, Callable[[], Session]] = {}
        #: The server of the newest session, open or not; "" if there was none.
        self.server = ""
        #: When the token of this generation expires, on this loop's clock and on the wall's.
        self.generation = 0
        self.expires_at: float | None = None
        self.expires_at_posix: float | None = None


class TokenSource(Generic[_T]):
    """A token with its number, and the one refresh that may run.

    Event loops in several threads may share it. It runs in a session of one of them.

    Args:
        refresh: The function that returns a new token.
        first: The first token or the function that loads it, if there is one.
        expires: The function from a token to its expiry, if there is one.
        refused: The function from an error to whether it refuses the token.
        reconnects: Whether an open WebSocket gets a successor when its token expires.
        timeout: Seconds for one refresh, or ``None``.
    """

    def __init__(
        self,
        refresh: Callable[..., _T | Awaitable[_T]],
        first: Provider[_T | None],
        expires: Callable[[_T], Expiry] | None,
        refused: Callable[[Exception], bool],
        *,
        reconnects: bool,
        timeout: float | None,
    ) -> None:
        self._refresh = refresh
        self._token_parameter, self._takes_session = _parameters(refresh)
        self._first: Any = first
        self._expires = expires
        self.is_refused = refused
        self.reconnects = reconnects
        self._timeout = seconds("timeout", timeout)
        self._token: _T | None = None
        #: The number of the token, from 1; 0 while there was none.
        self.generation = 0
        self._is_stale = False
        self._expires_at: float | None = None
        #: Guards what follows from one look at the token and the refresh, in whatever thread.
        self._lock = Lock()
        self._running: Refresh | None = None
        #: By the native token of the loop. (A ``RunVar`` would stay as long as the loop does.)
        self._by_loop: WeakKeyDictionary[object, _OnLoop] = WeakKeyDictionary()

    async def token(self) -> _T | None:
        """Return the token, once it is fresh.

        Within ``refresh`` there is none.
        """
        if self.is_refreshing_here:
            return None
        connecting = opening.get()
        if connecting is None or connecting.is_open:
            await self.ensure()
            return self._token
        with connecting.waiting():
            await self.ensure()
        if connecting.generation is None:
            connecting.generation = self.generation
        return self._token

    @property
    def is_refreshing_here(self) -> bool:
        """Whether the current task does ``refresh``'s work, so that it goes without a token."""
        return _refreshing.get() is self

    def add(self, owner: CredentialsOwner, session: Callable[[], Session]) -> None:
        """Let refreshes run in the task group of an open session."""
        here = self._on_loop()
        here.owners[owner] = session
        here.server = owner.description

    def remove(self, owner: CredentialsOwner) -> None:
        """Let no refresh run in that task group any more."""
        self._on_loop().owners.pop(owner, None)

    def invalidate(self, generation: int) -> None:
        """Have the token refreshed before it is used again, if it still is of this generation."""
        with self._lock:
            if generation == self.generation:
                self._is_stale = True

    def expires_at(self) -> float | None:
        """Return when the token is to be refreshed, on the running loop's clock, if it is known."""
        return self._on_loop_now().expires_at

    async def ensure(self) -> None:
        """Wait until the token is fresh: at once, unless it is to be refreshed.

        Raises what the refresh raises, to a caller that has sent nothing.
        """
        while self._needs_refresh():
            refresh = self._join()
            if refresh is None:
                await self._raise_without_session()
                continue
            await self._wait(refresh)
            if refresh.error is not None:
                raise copy_to_raise_unsent(refresh.error) from refresh.error.__cause__
            if refresh.succeeded:
                return
            # It was canceled with the session that it ran in: another one does it.

    def _needs_refresh(self) -> bool:
        if not self.generation or self._is_stale:
            return True
        here = self._on_loop_now()
        at, posix = here.expires_at, here.expires_at_posix
        if at is None or posix is None:
            return False
        # By the wall clock too: the loop's may stand still while the machine sleeps.
        return current_time() >= at or time.time() >= posix

    def _on_loop_now(self) -> _OnLoop:
        """Return what belongs to the running loop, with the expiry of the newest token."""
        here = self._on_loop()
        if here.generation != self.generation:
            here.generation, at = self.generation, self._expires_at
            here.expires_at = None if at is None else current_time() + at - time.time()
            here.expires_at_posix = at
        return here

    def _on_loop(self) -> _OnLoop:
        return self._by_loop.setdefault(current_token().native_token, _OnLoop())

    @uninterruptible
    def _join(self) -> Refresh | None:
        """Return the refresh that runs, or begin one. Return ``None`` if there is no session.

        Or if a refresh has just ended on another loop.
        """
        here = self._on_loop()
        with self._lock:
            running = self._running
            if running is not None and not running.is_lost():
                return running
            if not self._needs_refresh():
                return None
            # The newest session that isn't about to close.
            owner = next((each for each in reversed(here.owners) if each.fault is None), None)
            if owner is None:
                return None
            refresh = self._running = Refresh(lambda: owner.fault is not None)
        owner.task_group.start_soon(self._run, here, refresh, owner, name="anygql: refresh")
        return refresh

    async def _raise_without_session(self) -> None:
        """Say that no session can refresh the token, if it still needs that."""
        if not self._needs_refresh():
            return
        server = self._on_loop().server
        if not server:
            raise RuntimeError(
                "no session is open that has these credentials: write Client(…, auth=auth)"
            )
        fault = closed(server)
        await cancelled_first(fault)
        fault.unsent = True
        raise fault

    async def _wait(self, refresh: Refresh) -> None:
        """Wait until a refresh is over.

        If it runs on another loop, which keeps it waiting for longer than it may take, it is left.
        """
        if refresh.runs_here:
            await refresh.wait()
            return
        with move_on_after(self._timeout):
            await refresh.wait()
            return
        self._leave(refresh)

    def _leave(self, refresh: Refresh) -> None:
        with self._lock:
            if self._running is refresh:
                self._running = None

    @uninterruptible
    async def _run(self, here: _OnLoop, refresh: Refresh, owner: CredentialsOwner) -> None:
        """Get a new token, and tell all who wait."""
        _refreshing.set(self)
        opening.set(None)
        try:
            await self._renew_in_time(owner.description, here.owners.get(owner))
            refresh.succeeded = True
        except Exception as exc:  # noqa: BLE001 - raised to all who wait
            refresh.error = exc
        except BaseException:
            here.owners.pop(owner, None)  # its session is being closed, which may take a while
            raise
        finally:
            self._leave(refresh)
            refresh.end()

    async def _renew_in_time(self, server: str, session: Callable[[], Session] | None) -> None:
        with move_on_after(self._timeout):
            await self._renew(server, session)
            return
        raise TransportTimeout(
            f"{server}: no token within {self._timeout:g} s (the timeout of Refreshing)"
        )

    async def _renew(self, server: str, session: Callable[[], Session] | None) -> None:
        if not self.generation and self._first is not None:
            token = await resolve(self._first, "token", server)
            if token is not None:
                self._take(token, self._expiry_of(token))
                if not self._needs_refresh():
                    return
        given: list[Any] = [self._token] if self._token_parameter == "" else []
        named: dict[str, Any] = (
            {self._token_parameter: self._token} if self._token_parameter else {}
        )
        if self._takes_session and session is not None:
            named["session"] = session()
        token = await resolve(partial(self._refresh, *given, **named), "refresh", server)
        if token is None:
            raise TypeError("refresh must return the new token, not None")
        at = self._expiry_of(token)
        if at is not None and time.time() >= at:
            # Else every use of it would be preceded by a refresh.
            logger.warning(
                "%s: the token that refresh returned is to be refreshed already, as expires says: "
                "it is used until the server refuses it. Is a clock wrong?",
                server,
            )
            at = None
        self._take(token, at)

    def _take(self, token: _T, expires_at: float | None) -> None:
        with self._lock:
            self._token = token
            self._expires_at = expires_at
            self._is_stale = False
            self.generation += 1
        self._on_loop_now()  # now, since the loop's clock may be a virtual one

    def _expiry_of(self, token: _T) -> float | None:
        """Return the POSIX time from which a token is to be refreshed, if that is known."""
        at = None if self._expires is None else self._expires(token)
        if isinstance(at, datetime):
            if at.tzinfo is None:
                raise TypeError("expires returned a datetime without a zone: give it tzinfo=UTC")
            at = at.timestamp()
        elif at is not None and not isinstance(at, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                "expires returns POSIX seconds, a datetime or None, not " + type(at).__name__
            )
        elif at is not None and math.isnan(at):
            raise ValueError("expires returned nan: return None if the time isn't known")
        elif at is not None and at < _EARLIEST_POSIX_TIME:
            at += time.time() - current_time()
        return at


def _parameters(function: Callable[..., object]) -> tuple[str | None, bool]:
    """Return how a function takes the last token, and whether it takes the session by name.

    The token's parameter is the first of any other name than ``session``; or ``token``, if it has
    none but by name. It is given by name: ``""`` says by position, ``None`` not at all.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin that doesn't tell
        return None, False
    kinds = inspect.Parameter
    takes_session, token = False, None
    for each in parameters:
        if each.kind is kinds.POSITIONAL_ONLY:
            token = "" if token is None else token
        elif each.kind in {kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY}:
            if each.name == "session":
                takes_session = True
            elif token is None and (each.kind is not kinds.KEYWORD_ONLY or each.name == "token"):
                token = each.name
    return token, takes_session
