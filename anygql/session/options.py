"""The options of ``Client`` and ``Client.connect``, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import msgspec
from msgspec.structs import replace

from ..concurrency.locks import LoopLock
from ..exceptions import TransportError
from ..net.options import check_seconds, refuse_options, seconds
from ..schema.shared import SharedSchema
from .events import SessionEvent
from .hints import CONNECT_HINTS
from .policy import is_retryable
from .preparation import Conversions
from .retry import Policy

if TYPE_CHECKING:
    from ..schema.introspection import IntrospectionOptions
    from .auth.refreshing import Refreshing
    from .interceptors.observing import SessionObserver
    from .interceptors.operation import Interceptor, SubscriptionInterceptor

__all__ = ["ConnectOptions", "PermanentOptions", "SessionOptions"]


class PermanentOptions(TypedDict, total=False):
    """The options of a permanent session. ``Client.connect`` describes each, with its default."""

    retry_connect: Policy
    retry_execute: Policy
    retry_subscribe: Policy
    retry_mutations: bool
    lazy: bool
    idle_timeout: float | None
    first_connect_timeout: float | None


class ConnectOptions(PermanentOptions, total=False):
    """The options of one session: plain if there are none, or permanent.

    To type checkers ``reconnecting`` is ``True``, since a plain session takes none of the others.
    """

    reconnecting: Literal[True]


class SessionOptions(msgspec.Struct, frozen=True):
    """The options of a session, whatever its transport."""

    execute_timeout: float | None = 10
    reconnecting: bool = False
    retry_connect: Policy = True
    retry_execute: Policy = True
    retry_subscribe: Policy = True
    retry_mutations: bool = False
    lazy: bool = False
    idle_timeout: float | None = None
    first_connect_timeout: float | None = None
    is_retryable: Callable[[Exception], bool] = is_retryable
    on_event: Callable[[SessionEvent], object] | None = None
    batch_interval: float = 0
    batch_max: int = 10
    interceptors: tuple[Interceptor, ...] = ()
    attempt_interceptors: tuple[Interceptor, ...] = ()
    subscription_interceptors: tuple[SubscriptionInterceptor, ...] = ()
    #: What follows one session, if one of its interceptors does.
    observer: SessionObserver | None = None
    #: The credentials to refresh, if there are any.
    auth: Refreshing[Any] | None = None
    conversions: Conversions = msgspec.field(default_factory=Conversions)
    schema: SharedSchema = msgspec.field(default_factory=SharedSchema)
    #: Held by the session that asks for the schema, while the others wait.
    fetching: LoopLock = msgspec.field(default_factory=LoopLock)
    #: What a session asks for when it opens while the schema is unknown. `None`: nothing.
    fetch_schema: IntrospectionOptions | None = None

    def __post_init__(self) -> None:
        for name in ("execute_timeout", "idle_timeout", "first_connect_timeout"):
            seconds(name, getattr(self, name))
        check_seconds("batch_interval", self.batch_interval)
        if self.batch_interval < 0:
            raise ValueError(
                f"batch_interval must be 0 s (none) or more, not {self.batch_interval}"
            )
        if self.batch_max < 1:
            raise ValueError(f"batch_max must be at least 1 request, not {self.batch_max}")
        if self.idle_timeout is not None and not self.lazy:
            raise ValueError("idle_timeout needs lazy=True: who would connect again?")
        if self.reconnecting:
            return
        for name in ("retry_connect", "retry_execute", "retry_subscribe"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(  # noqa: TRY004 - the type is fine, but not without the other
                    f"{name} needs reconnecting=True: a plain session fails fast"
                )
        for name in ("lazy", "retry_mutations", "first_connect_timeout"):
            if getattr(self, name):
                raise ValueError(f"{name} needs reconnecting=True")

    def decide(self, error: Exception, *, retryable: bool) -> bool:
        """Return whether an error may be retried, given whether the policy calls it retryable.

        The user's ``is_retryable`` decides, if there is one.
        """
        if isinstance(error, TransportError):
            error.retryable = retryable
        return retryable if self.is_retryable is is_retryable else self.is_retryable(error)

    def for_session(
        self, *, reconnecting: bool, **options: Unpack[PermanentOptions]
    ) -> SessionOptions:
        """Return the client's options together with those of one session.

        Raises ``TypeError`` for an unknown name, as a call of spelled-out parameters would.
        """
        known = ConnectOptions.__annotations__
        if unknown := {name: value for name, value in options.items() if name not in known}:
            refuse_options("connect()", unknown, CONNECT_HINTS, known)
        return replace(self, reconnecting=reconnecting, **options)
