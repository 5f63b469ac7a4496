"""Media types: which are asked for in ``Accept``, and how a server refuses them."""

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

#: For one operation of a shared event stream, which carries the results in place of the response.
ACCEPT_JSON = "application/json"

#: GraphQL over HTTP, "Legacy Watershed".
ACCEPT = f"{GRAPHQL_JSON}, {ACCEPT_JSON};q=0.9"

#: Apollo Server picks the format of ``@defer`` by these, and answers 406 without them.
ACCEPT_INCREMENTAL = (
    f"multipart/mixed;incrementalSpec=v0.2, multipart/mixed;deferSpec=20220824, {ACCEPT}"
)

#: Strawberry reads all of it as one media type with parameters, so its type has to come first.
ACCEPT_STREAM = (
    f"multipart/mixed;subscriptionSpec=1.0;q=0.9, {EVENT_STREAM}, "
    f"{GRAPHQL_JSON};q=0.8, {ACCEPT_JSON};q=0.7"
)

#: Statuses by which servers refuse an ``Accept`` that they can't read.
_NOT_ACCEPTABLE = frozenset({404, 406})


def accept_for(*, incremental: bool) -> str:
    """Return the ``Accept`` of a query or mutation; ``incremental`` if it has ``@defer``."""
    return ACCEPT_INCREMENTAL if incremental else ACCEPT


def wants_event_stream_alone(status: int, accepted: str) -> bool:
    """Return whether a subscription is to be sent again, with ``text/event-stream`` alone.

    Some handlers compare the whole of ``Accept`` with the one type that they know. An ``Accept`` of
    the user's is never replaced.
    """
    return status in _NOT_ACCEPTABLE and accepted == ACCEPT_STREAM
