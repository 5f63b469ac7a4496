"""Which protocols are offered to the server, and which of them the server has chosen."""

from __future__ import annotations

from collections.abc import Iterable

from ..exceptions import TransportProtocolError
from .base import SubscriptionProtocol
from .close_codes import CloseCode
from .graphql_transport_ws import GRAPHQL_TRANSPORT_WS
from .graphql_ws import GRAPHQL_WS

__all__ = ["negotiated_protocol", "protocols_to_offer"]

#: In the order in which they are offered. If the legacy protocol came first, Mercurius and
#: Strawberry would choose it, and PostGraphile would close with 4406.
_KNOWN: tuple[SubscriptionProtocol, ...] = (GRAPHQL_TRANSPORT_WS, GRAPHQL_WS)


def protocols_to_offer(choice: str | SubscriptionProtocol) -> tuple[SubscriptionProtocol, ...]:
    """Return the protocols to offer.

    ``choice`` is ``"auto"``, the name of a protocol, or a protocol value. Raises ``ValueError`` for
    an unknown name.
    """
    if not isinstance(choice, str):
        if not isinstance(choice, SubscriptionProtocol):  # pyright: ignore[reportUnnecessaryIsInstance]
            if isinstance(choice, type) and issubclass(choice, SubscriptionProtocol):
                raise TypeError(f"a protocol is a value: write {choice.__name__}(…)")
            raise TypeError(f"a protocol is a name or a protocol value, not {choice!r}")
        return (choice,)
    if choice == "auto":
        return _KNOWN
    for protocol in _KNOWN:
        if choice in protocol.subprotocols:
            return (protocol,)
    if choice == "phoenix":
        from .phoenix import PHOENIX  # few clients speak it

        return (PHOENIX,)
    known = f"{_names(_KNOWN)}, 'phoenix'"
    raise ValueError(f"unknown protocol {choice!r}: use 'auto', {known}, or a protocol value")


def negotiated_protocol(
    offered: Iterable[SubscriptionProtocol], name: str | None, server: str = "the server"
) -> SubscriptionProtocol:
    """Return the offered protocol whose subprotocol the server named.

    A server that named none is taken to speak the only protocol that was offered, unless that must
    be chosen, or else the default one. Raises ``TransportProtocolError`` (4406) if the protocol was
    not offered.
    """
    offered = tuple(offered)
    for protocol in offered:
        if name in protocol.subprotocols or (name is None and protocol.is_default):
            return protocol
    if name is None and len(offered) == 1 and not offered[0].must_be_chosen:
        return offered[0]
    choice = "named no subprotocol" if name is None else f"chose the subprotocol {name!r}"
    raise TransportProtocolError(
        f"{server} {choice}, but was offered {_names(offered) or 'none'}",
        code=CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
        reason="subprotocol not acceptable",
    )


def _names(protocols: Iterable[SubscriptionProtocol]) -> str:
    return ", ".join(repr(name) for protocol in protocols for name in protocol.subprotocols)
