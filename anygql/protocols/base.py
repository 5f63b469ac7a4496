"""The interface of a protocol: text in, events out; requests in, text out.

A protocol is two classes. A ``SubscriptionProtocol`` is the value that a transport is given: what
to offer to the server, and what may be asked of it. It makes a ``Codec`` for each connection, which
reads and writes the messages, and has the connection's state. Neither knows an event loop or a
socket, so a table of messages tests them.

Subclass both. What has a default here need not be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..documents.recognizer import OperationKind
from ..documents.request import GraphQLRequest
from ..json import JSON
from .events import Event, Malformed, Next

__all__ = ["ALL_OPERATIONS", "Codec", "Prepared", "Secret", "SubscriptionProtocol", "hide_secrets"]

#: Every kind of operation.
ALL_OPERATIONS: frozenset[OperationKind] = frozenset({"query", "mutation", "subscription"})


class Secret(str):
    """The name of a subprotocol that holds a credential: its ``repr`` doesn't show it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def hide_secrets(text: str, names: Iterable[str]) -> str:
    """Return a text without those of ``names`` that are secrets."""
    for name in names:
        if isinstance(name, Secret) and name:
            text = text.replace(str.__str__(name), "***")
    return text


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt to connect is made with. Its ``repr`` shows none of it: it may be secret.

    Attributes:
        url: The URL to connect to, ``ws://`` or ``wss://``.
        subprotocols: The names to offer, the preferred one first. Make a ``Secret`` of one that
            holds a credential. Default: none, and no ``Sec-WebSocket-Protocol`` is sent.
        headers: Headers for the handshake, after those of the transport. Default: none.
        init_payload: The payload for ``Codec.connection_init``, in place of the transport's.
            Default: ``None``, the transport's.
        advice: A sentence for the error of a handshake that is refused with 403 or 404. Default:
            none.
    """

    url: str
    subprotocols: Sequence[str] = ()
    headers: Sequence[tuple[str, str]] = ()
    init_payload: Any = None
    advice: str = ""

    def __repr__(self) -> str:
        return "<Prepared>"


class Codec:
    """A protocol as one connection speaks it, with the protocol's state.

    Of a subclass, ``connection_init``, ``subscribe``, ``complete`` and ``receive`` are required.
    Ids are the connection's: each operation has one, which no other of the connection has had.
    """

    __slots__ = ()

    #: Whether the server sends ``KeepAlive`` events. If so, ``keep_alive_timeout`` counts from the
    #: first of them, not from the acknowledgement.
    has_keep_alive_messages: bool = False

    #: Seconds of silence after which the connection is dead, where the server has said so by the
    #: time of the ``Ack``; ``None`` if it hasn't. A shorter one of the user's wins.
    keep_alive_timeout: float | None = None

    #: Whether the server has said all that is waited for once ``terminate``'s messages are sent.
    #: While false, messages are still received, within ``close_timeout``.
    is_terminated: bool = True

    def connection_init(self, payload: Any) -> bytes:
        """Return the message that opens the connection; a ``None`` payload is left out.

        Raises ``TypeError`` naming the part of the payload that has no JSON form.
        """
        raise NotImplementedError

    def subscribe(self, id: str, request: GraphQLRequest, authorization: Any = None) -> bytes:
        """Return the message that starts an operation.

        Args:
            id: The operation's id.
            request: The request.
            authorization: What the protocol's ``authorize`` has returned for this operation.

        Raises:
            TypeError: The protocol can't carry the request, or a variable has no JSON form. The
                message names it, and says what to do instead. The operation hasn't begun then.
        """
        raise NotImplementedError

    def complete(self, id: str) -> bytes | None:
        """Return the message that ends an operation early.

        Returns ``None`` if there is nothing to say, or not yet: ``receive`` may return it in a
        ``Say`` later. Called once at most for an operation, and only if its message was written.
        """
        raise NotImplementedError

    def forget(self, id: str) -> None:
        """Forget an operation that was given up before its message was written.

        Nothing comes for it, and ``complete`` is not called.
        """

    def ping(self, payload: Any = None) -> bytes | None:
        """Return the message that asks for a ``Pong``.

        Returns ``None`` if the protocol has no such message. The WebSocket's own ping remains.
        """
        return None

    def pong(self, payload: Any = None) -> bytes | None:
        """Return the answer to a ``Ping``, or ``None`` if the protocol has none."""
        return None

    def terminate(self) -> Sequence[bytes]:
        """Return the messages that precede the closing handshake. Called once at most.

        It isn't called for a connection that the peer has refused, or that is dead.
        """
        return ()

    def receive(self, message: bytes | str) -> Event:
        """Return the event in a text message.

        A message that means several events, or none, is a ``Several``. Raises ``ProtocolViolation``
        if it is malformed, or may not come yet.
        """
        raise NotImplementedError

    def receive_many(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        """Return the events in several messages, one for each.

        Where a message is malformed, iterating raises ``ProtocolViolation``, after the events of
        the messages before it.
        """
        return map(self.receive, messages)

    def receive_undecoded(self, messages: Sequence[bytes | str]) -> Iterable[Event]:
        """Return the events in several messages, as ``receive_many`` does.

        Results may be ``UndecodedNext``. Whether their data are an object has not been checked.
        """
        return self.receive_many(messages)

    def reread(self, message: bytes | str) -> Next | Malformed:
        """Read again a message that ``receive_many`` has read as a ``Next``, checking the result.

        Only a codec that leaves the checking out needs it, since nearly all results are plain
        objects. It is asked for results whose data are no object.
        """
        raise NotImplementedError("the codec made a Next of what is no result: use result_event()")

    def increment(self, message: bytes | str) -> Mapping[str, Any]:
        """Return the whole payload of a message that ``receive`` has read as a ``Next``.

        Only a protocol with incremental delivery needs it: its payloads hold more than a result.
        """
        raise NotImplementedError


class SubscriptionProtocol:
    """A protocol as a value to hand to the transport. It may be used by many connections."""

    #: The names in ``Sec-WebSocket-Protocol`` by which a server may choose this protocol. None of
    #: them is secret. They are offered, unless ``prepare`` says otherwise.
    subprotocols: Sequence[str] = ()

    #: Whether a server that names no subprotocol is taken to speak this one of those offered.
    is_default: bool = False

    #: Whether a server that names no subprotocol is refused, even if no other protocol is offered.
    must_be_chosen: bool = False

    #: The schemes of the URLs that the transport takes.
    url_schemes: tuple[str, ...] = ("ws", "wss")

    #: The kinds of operations that the server runs over this protocol.
    operations: frozenset[OperationKind] = ALL_OPERATIONS

    #: Whether results may come in parts (``@defer``, ``@stream``).
    is_incremental: bool = True

    #: Whether requests may have ``extensions``.
    takes_extensions: bool = True

    #: What to write in the place of ``init_payload``, if the protocol has no such thing.
    instead_of_init_payload: str = ""

    #: Whether what ``prepare`` returns may change from one attempt to the next, so that another
    #: attempt may succeed after a refusal.
    asks_anew: bool = False

    #: Whether ``authorize`` is to be called.
    authorizes: bool = False

    #: Seconds from an answered ping to the next, where the user gives no ``ping_interval``.
    default_ping_interval: float | None = None

    #: The ``pong_timeout`` where the user gives none, as a share of the ``ping_interval``.
    default_pong_share: float = 0.5

    #: Seconds within which a ``Started`` must follow each subscription. One for which none comes
    #: fails with a ``TransportTimeout``, and a permanent session subscribes again.
    start_timeout: float | None = None

    def codec(self, json: JSON) -> Codec:
        """Return a new codec, for one connection.

        Args:
            json: The encoder and decoder of values.
        """
        raise NotImplementedError

    def check_url(self, url: str) -> None:
        """Raise ``ValueError`` for a URL that can't be used. Called when a transport is made.

        Args:
            url: The transport's URL, checked for ``url_schemes``; a function of the user's isn't.
        """

    async def prepare(self, url: str) -> Prepared:
        """Return what to make the next attempt to connect with. Called before each attempt.

        This is the place to derive a URL, to ask for credentials, and to sign. It counts for
        ``connect_timeout``. It may be canceled at any time, and nothing has been sent then. Run
        what blocks in ``anyio.to_thread.run_sync``.

        Args:
            url: The transport's URL, checked for ``url_schemes``.

        Raises:
            Exception: After an ``OSError``, or a ``TransportError`` that is ``retryable``, a
                permanent session tries again. Any other exception ends it.
        """
        return Prepared(url=url, subprotocols=self.subprotocols)

    async def authorize(
        self,
        request: GraphQLRequest,
        transport_args: Mapping[str, Any] | None,
        *,
        url: str,
        json: JSON,
    ) -> Any:
        """Return the authorization of one operation, for ``Codec.subscribe``.

        Called if ``authorizes``, before an operation is sent, and again each time that it is sent
        again. It may be canceled at any time, and nothing has been sent then.

        Args:
            request: The request.
            transport_args: The caller's ``transport_args``.
            url: The transport's URL, that ``prepare`` was asked for.
            json: The encoder and decoder of values.

        Raises:
            TypeError: The protocol doesn't know what is in ``transport_args``.
            Exception: As for ``prepare``.
        """
        return None
