"""GraphQL responses as ``multipart/mixed``: subscriptions, and results that come incrementally.

https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol, and
the "Incremental Delivery over HTTP" RFC of GraphQL over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias, cast

import msgspec

from ...exceptions import ProtocolViolation
from ...json import JSON, MsgspecJSON, checked_utf8
from ...protocols.close_codes import CloseCode
from ...protocols.events import Complete, Error, Next
from ...results.answers import read_refusal
from ...results.incremental import IncrementalMerge
from ...results.result import UndecodedResult, is_undecoded_object
from .multipart import MultipartParser, Part
from .parser import StreamParser
from .payloads import BadPayload, payload_reader, read_payload

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
        """Whether the last delimiter has come, and no fault before it."""
        return self._reader.finished and self._fault is None

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


class _Message(msgspec.Struct):
    """A part of a subscription, if it is a result and nothing else."""

    payload: UndecodedResult
    errors: Any = None


_READ_UNDECODED = msgspec.json.Decoder(_Message).decode


def _read_undecoded(body: bytes) -> UndecodedResult | None:
    """Read a part's result, and leave its data as JSON text; ``None`` for any other part."""
    try:
        message = _READ_UNDECODED(checked_utf8(body))
    except (ValueError, RecursionError):
        return None
    is_result = message.errors is None and is_undecoded_object(message.payload)
    return message.payload if is_result else None


class MultipartSubscription(StreamParser[_Event]):
    """The response to a subscription in Apollo's format, whose events have the given ``id``.

    ``{}`` is a heartbeat, which is no event. ``payload`` is a result; ``errors`` beside it (or
    beside a null) end the subscription. A part that is itself a result is read as one, which
    PostGraphile 5 sends with ``hasNext``. Nothing is read after the end of the operation. The
    limits are those of ``MultipartParser``. With ``takes_json``, the data of results are left as
    JSON text.
    """

    def __init__(
        self, content_type: str, id: str, json: JSON, *, takes_json: bool = False, **limits: int
    ) -> None:
        self._takes_json = takes_json and type(json) is MsgspecJSON
        self._reader = MultipartParser(content_type, **limits)
        self._message = payload_reader(dict[str, Any], json)
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
        result = _read_undecoded(part.body) if self._takes_json else None
        if result is not None:
            yield Next(self._id, result)
            return
        message = self._message(part.body)
        if "payload" not in message:
            yield from self._plain_events(message)
            return
        payload: Any = message["payload"]
        errors: Any = message.get("errors")
        if payload is not None:
            yield Next(self._id, read_payload(payload, "$.payload"))
        if errors or (errors is not None and payload is None):
            yield self._refusal(errors)

    def _plain_events(self, message: dict[str, Any]) -> Iterator[_Event]:
        has_next: Any = message.get("hasNext")
        errors: Any = message.get("errors")
        if "data" in message or (errors and has_next is not None):
            yield Next(self._id, read_payload(message))
        elif errors is not None:
            yield self._refusal(errors)
        elif message and has_next is None:
            read_payload(message)  # raises
        if has_next is False:
            yield Complete(self._id)

    def _refusal(self, errors: object) -> Error:
        if not isinstance(errors, list):
            raise BadPayload("$.errors is not a list", {"errors": errors})
        errors = cast("list[object]", errors)
        return Error(self._id, read_refusal(errors).errors or [])
