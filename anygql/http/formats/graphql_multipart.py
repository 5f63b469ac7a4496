"""GraphQL responses as ``multipart/mixed``: subscriptions, and results that come incrementally.

https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol, and
the "Incremental Delivery over HTTP" RFC of GraphQL over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from ...exceptions import ProtocolViolation
from ...json import JSON
from ...protocols.close_codes import CloseCode
from ...protocols.events import Complete, Error, Next
from ...results.incremental import IncrementalMerge
from ...results.result import ExecutionResult
from ..responses import as_result
from .multipart import MultipartParser, Part
from .parser import StreamParser
from .payloads import payload_reader

__all__ = ["IncrementalMultipart", "MultipartPayloads", "MultipartSubscription"]


_Event: TypeAlias = Next | Error | Complete


def _require_json(part: Part) -> None:
    kind = part.media_type
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise ProtocolViolation(
            CloseCode.BAD_REQUEST, f"a part of the multipart answer is {kind[:80]!r}, not JSON"
        )


class MultipartPayloads(StreamParser[dict[str, Any]]):
    """The payloads of an incremental response, each the JSON object of a part.

    Parts without a body are skipped. The limits are those of ``MultipartParser``.
    """

    def __init__(self, content_type: str, json: JSON, **limits: int) -> None:
        self._reader = MultipartParser(content_type, **limits)
        self._payload = payload_reader(dict[str, Any], json)

    @property
    def finished(self) -> bool:
        """Whether the last delimiter has come."""
        return self._reader.finished

    def close(self) -> None:
        """Raise ``CutOff`` if the body is incomplete, after its last byte.

        If the merge has all that it needs (``has_next`` is false), don't call this.
        """
        self._raise_fault()
        self._reader.close()

    def _read(self, data: bytes, found: list[dict[str, Any]]) -> None:
        for part in self._reader.feed(data):
            if part.body.strip():
                _require_json(part)
                found.append(self._payload(part.body))


class IncrementalMultipart:
    """The response to one query or mutation: each ``Next`` has the whole result so far."""

    def __init__(self, content_type: str, json: JSON) -> None:
        self._payloads = MultipartPayloads(content_type, json)
        self._merge = IncrementalMerge()
        self._has_begun = False
        self.finished = False

    def feed(self, data: bytes) -> list[_Event]:
        """Return the events that the bytes complete. Raise ``ProtocolViolation``."""
        found: list[_Event] = []
        for payload in self._payloads.feed(data):
            if self.finished:
                break
            if not self._has_begun and as_result(payload) is None:
                raise ProtocolViolation(
                    CloseCode.BAD_REQUEST, "the first part of the answer is no GraphQL response"
                )
            self._has_begun = True
            found.append(Next("", self._merge.add(payload)))
            if not self._merge.has_next:
                self.finished = True
                found.append(Complete(""))
        if self._payloads.finished and not self.finished:
            if not self._has_begun:
                raise ProtocolViolation(CloseCode.BAD_REQUEST, "the multipart answer is empty")
            self.finished = True
            found.append(Complete(""))
        return found

    def close(self) -> None:
        """Raise ``CutOff`` if the result is incomplete, after the last byte."""
        if not self.finished:
            self._payloads.close()


class _Message(msgspec.Struct, rename="camel"):
    """Any part of a subscription.

    In Apollo's format it has a ``payload``, or ``errors`` that end the subscription. In
    PostGraphile 5's it is a result with ``hasNext``.
    """

    payload: ExecutionResult | msgspec.UnsetType | None = msgspec.UNSET
    errors: list[Any] | None = None
    data: Any = msgspec.UNSET
    extensions: Any = None
    has_next: bool | None = None


class MultipartSubscription(StreamParser[_Event]):
    """The response to a subscription in Apollo's format, whose events have the given ``id``.

    ``{}`` is a heartbeat, which is no event. ``payload`` is a result; ``errors`` beside it (or
    beside a null) end the subscription. A part that is itself a result is read as one. Nothing is
    read after the end of the operation. The limits are those of ``MultipartParser``.
    """

    def __init__(self, content_type: str, id: str, json: JSON, **limits: int) -> None:
        self._reader = MultipartParser(content_type, **limits)
        self._message = payload_reader(_Message, json)
        self._id = id
        #: Whether the server has ended the operation.
        self.finished = False

    def close(self) -> None:
        """Raise ``CutOff`` if the operation has not ended, after the last byte."""
        self._raise_fault()
        if not self.finished:
            self._reader.close()

    def _read(self, data: bytes, found: list[_Event]) -> None:
        if self.finished:
            return
        for part in self._reader.feed(data):
            for event in self._events(part):
                found.append(event)
                if not isinstance(event, Next):
                    self.finished = True
                    return
        if self._reader.finished:
            found.append(Complete(self._id))
            self.finished = True

    def _events(self, part: Part) -> Iterator[_Event]:
        if not part.body.strip():
            return
        _require_json(part)
        message = self._message(part.body)
        if message.payload is msgspec.UNSET:
            yield from self._plain_events(message)
            return
        if message.payload is not None:
            yield Next(self._id, message.payload)
        if message.errors:
            yield Error(self._id, message.errors)

    def _plain_events(self, message: _Message) -> Iterator[_Event]:
        has_data = message.data is not msgspec.UNSET
        if has_data or (message.errors and message.has_next is not None):
            data = message.data if has_data else None
            yield Next(self._id, ExecutionResult(data, message.errors, message.extensions))
        elif message.errors:
            yield Error(self._id, message.errors)
        if message.has_next is False:
            yield Complete(self._id)
