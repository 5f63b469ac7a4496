"""Media types: what is asked for in ``Accept``, and what a server says when it has none of them."""

from __future__ import annotations

__all__ = [
    "ACCEPT",
    "ACCEPT_INCREMENTAL",
    "ACCEPT_JSON",
    "ACCEPT_STREAM",
    "EVENT_STREAM",
    "GRAPHQL_JSON",
    "PLAIN_TEXT",
    "accept_for",
    "wants_event_stream_alone",
]

GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
PLAIN_TEXT = "text/plain"

#: For one operation of an event stream that is shared: its results don't come as the response.
ACCEPT_JSON = "application/json"

#: GraphQL over HTTP, "Legacy Watershed".
ACCEPT = f"{GRAPHQL_JSON}, {ACCEPT_JSON};q=0.9"

#: Apollo Server picks the format of ``@defer`` by these, and answers 406 without them.
ACCEPT_INCREMENTAL = (
    f"multipart/mixed;incrementalSpec=v0.2, multipart/mixed;deferSpec=20220824, {ACCEPT}"
)

#: Strawberry takes all of it for one media type with parameters, so that has to come first.
ACCEPT_STREAM = (
    f"multipart/mixed;subscriptionSpec=1.0;q=0.9, {EVENT_STREAM}, "
    f"{GRAPHQL_JSON};q=0.8, {ACCEPT_JSON};q=0.7"
)

#: How a server may say that it does not know what to make of an ``Accept``.
_NOT_ACCEPTABLE = frozenset({404, 406})


def accept_for(*, incremental: bool) -> str:
    """Return the ``Accept`` of a query or mutation, whose result may come in parts."""
    return ACCEPT_INCREMENTAL if incremental else ACCEPT


def wants_event_stream_alone(status: int, accepted: str) -> bool:
    """Return whether a subscription is to be sent again, with ``text/event-stream`` alone.

    Some handlers compare the whole of ``Accept`` with the one type that they know. What the user
    chose to accept would only be sent again unchanged.
    """
    return status in _NOT_ACCEPTABLE and accepted == ACCEPT_STREAM
