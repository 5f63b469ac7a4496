"""HTTP responses: the GraphQL result in one, or the error that says why there is none.

GraphQL over HTTP, "Response": a body of the type ``application/graphql-response+json`` comes from
the GraphQL server at any status. One of the type ``application/json`` may come from anything
between that server and us. But most servers answer an invalid operation with 400 and
``application/json``, so with a status of 4xx or 500 it is trusted if it has well-formed errors.
Whatever the type, errors alone don't make an answer of a status that speaks of the request's sender
or moment (``REFUSALS``).
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from email.message import Message
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

from ..exceptions import BODY_LIMIT, TransportError, TransportProtocolError, TransportServerError
from ..json import JSON, MsgspecJSON
from ..net.retry_after import retry_after
from ..net.statuses import is_rate_limit
from ..results.answers import (
    NotAResult,
    are_graphql_errors,
    errors_in,
    first_line,
    read_result,
    server_words,
    without_markup,
)
from ..results.result import ExecutionResult, Origin, ResultWithOrigin, read_undecoded
from .accept import ACCEPT_JSON, GRAPHQL_JSON

__all__ = [
    "REFUSALS",
    "Response",
    "batch_results",
    "decoded_text",
    "is_json",
    "media_type",
]

_E = TypeVar("_E", bound=TransportError)

#: Statuses after which the same request may succeed.
RETRYABLE = frozenset({429, 502, 503, 504})

#: Statuses that say who may ask, or when. GraphQL errors that come with one are its explanation.
REFUSALS = frozenset({401, 403, 407, 408, 425, 429, 502, 503, 504})

#: The types that a GraphQL answer has; the last is of before the specification.
_ANSWER_TYPES = frozenset({GRAPHQL_JSON, ACCEPT_JSON, "application/graphql+json"})

#: Codecs of Python's own, which are no charsets: some of them warn, or know no "replace".
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})

_ADVICE = {
    401: "Check the credentials in headers= or the client's auth",
    403: "Check the credentials in headers= or the client's auth",
    404: "Check the URL's path",
    405: "Check the URL's path, and that it takes this method",
    406: "It has none of the media types that were asked for",
    413: "The request is larger than it takes",
    415: "It does not take this kind of request",
}


@lru_cache(maxsize=256)
def _parsed(content_type: str) -> tuple[str, dict[str, str]]:
    parsed = Message()
    parsed["content-type"] = content_type
    pairs: list[tuple[str, Any]] = [*parsed.get_params([])[1:]]
    # A value with a language and encoding of its own (RFC 2231), which HTTP has not, is a tuple.
    parameters = {name.lower(): value for name, value in pairs if isinstance(value, str)}
    return parsed.get_content_type(), parameters


def media_type(headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the media type of a body, in lower case or ``""``, and its parameters."""
    content_type = headers.get("content-type", "")
    return _parsed(content_type) if content_type else ("", {})


def is_json(media_type: str) -> bool:
    """Return whether a body of this media type may be a GraphQL answer at any status."""
    return media_type in _ANSWER_TYPES


def decoded_text(body: bytes) -> str:
    """Return the start of a body, if that is text in UTF-8; or ``""``."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body[: 4 * BODY_LIMIT])
    except UnicodeDecodeError:
        return ""


class Response(msgspec.Struct, frozen=True):
    """An HTTP response with its body, or the start of it."""

    #: The server, fit for messages.
    server: str
    status: int
    reason: str
    headers: Mapping[str, str]
    #: The media type and its parameters, by ``media_type``.
    media: tuple[str, Mapping[str, str]]
    body: bytes
    #: The URL, fit for messages, of a GET that a redirect has made of the request; or ``""``.
    asked_nothing: str = ""

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def result(self, json: JSON, *, takes_json: bool = False) -> ExecutionResult:
        """Return the GraphQL result in the response.

        Args:
            json: How JSON becomes values.
            takes_json: Whether the data may be left as JSON text.

        Raises:
            TransportServerError: The status says that there is none.
            TransportProtocolError: The body is something else.
        """
        if takes_json and self.ok and type(json) is MsgspecJSON and self._charset() == "utf-8":
            result = read_undecoded(self.body)
            if result is not None:
                return self.with_origin(result)
        return self.read(self.payload(json))

    def read(self, payload: object) -> ExecutionResult:
        """Return the GraphQL result that ``payload`` is, the body. Raise as ``result`` does."""
        try:
            result = read_result(payload)
        except NotAResult as what:
            raise self.not_a_result(str(what), payload) from None
        if not self.is_answer(result):
            raise self.refused(payload)
        if self.asked_nothing and result.data is None:
            raise self.not_a_result("GraphQL errors", payload)
        return self.with_origin(result)

    def with_origin(self, result: ExecutionResult) -> ExecutionResult:
        """Return a result that came by this response, with its headers."""
        text = self.text if result.errors else ""
        return ResultWithOrigin.make(result, Origin(self.status, self.headers, text))

    def is_answer(self, result: ExecutionResult) -> bool:
        """Return whether a result with this status is the GraphQL server's answer."""
        if self.ok:
            return True
        if self.status in REFUSALS:
            return self.media[0] == GRAPHQL_JSON and result.data is not None
        if self.media[0] == GRAPHQL_JSON:
            return True
        return (
            is_json(self.media[0])
            and (400 <= self.status <= 500)
            and are_graphql_errors(result.errors)
        )

    def payload(self, json: JSON) -> Any:
        """Return the JSON value in the response. Raise as ``result`` does."""
        if not self.ok:
            if not is_json(self.media[0]):
                raise self.refused(self.shown_payload(json))
            try:
                return json.decode(self._utf8())
            except (ValueError, LookupError, RecursionError) as exc:
                raise self.refused() from exc
        if not self.body.strip():
            raise self.not_graphql("an empty body")
        try:
            return json.decode(self._utf8())
        except (ValueError, LookupError, RecursionError) as exc:
            raise self.not_graphql(_describe_undecodable(self.media[0])) from exc

    def not_a_result(self, what: str, payload: object) -> TransportError:
        """Return the error of a response with JSON that is ``what`` instead of a result."""
        return self.not_graphql(what, payload) if self.ok else self.refused(payload)

    def refused(self, payload: object = None) -> TransportServerError:
        """Return the error that the status means. ``payload`` is the body, if that is JSON."""
        status = f"{self.status} {self.reason}".rstrip()
        wait = retry_after(self.headers)
        words = self._words(payload)
        explanation = f": {words}" if words and words not in status else ""
        is_limit = is_rate_limit(self.status, wait)
        error = self.error(
            TransportServerError,
            f"{self.server} answered {status}{explanation}{self._advice(is_limit=is_limit)}",
            payload,
        )
        error.retryable = self.status in RETRYABLE or is_limit
        error.retry_after = wait
        return error

    def not_graphql(self, what: str, payload: object = None) -> TransportProtocolError:
        """Return the error of a response that is ``what`` instead of a GraphQL response."""
        words = self._words(payload)
        return self.error(
            TransportProtocolError,
            f"{self.server} answered with {what}, which is no GraphQL response"
            f"{f' ({words})' if words else ''}."
            f"{self._redirect_advice() or ' Is this the URL of its GraphQL endpoint?'}",
            payload,
        )

    def error(self, kind: type[_E], message: str, payload: object = None) -> _E:
        """Return an error that this response has caused. ``payload`` is the body, if JSON."""
        return kind(
            message,
            code=self.status,
            reason=self.reason,
            headers=self.headers,
            body=self.text,
            errors=errors_in(payload),
        )

    @property
    def text(self) -> str:
        """The first characters of the body."""
        return self.body[: 4 * BODY_LIMIT].decode(self._charset(), "replace")[:BODY_LIMIT]

    def _charset(self) -> str:
        return _known_charset(self.media[1].get("charset", "utf-8"))

    def _utf8(self) -> bytes:
        body = self.body.removeprefix(codecs.BOM_UTF8)
        charset = self._charset()
        return body if charset == "utf-8" else body.decode(charset).encode()

    def shown_payload(self, json: JSON) -> Any:
        """Return the JSON value in a refusal; ``None`` if it has another type, or is broken."""
        if not self.media[0].endswith("json"):
            return None
        try:
            return json.decode(self._utf8())
        except (ValueError, LookupError, RecursionError):
            return None

    def _words(self, payload: object) -> str:
        """Return the first line of what the server says, in JSON or in text."""
        if payload is not None:
            return server_words(payload)
        return first_line(without_markup(self.text))

    def _advice(self, *, is_limit: bool) -> str:
        """Return the end of a refusal's message: what to do about it."""
        if 300 <= self.status < 400:
            return ". Use the URL that it redirects to, or a client with follow_redirects=True"
        if self.asked_nothing:
            return f".{self._redirect_advice()}"
        advice = "" if is_limit else _ADVICE.get(self.status, "")
        return f". {advice}" if advice else ""

    def _redirect_advice(self) -> str:
        if not self.asked_nothing:
            return ""
        return (
            f" A redirect turned the POST into a GET of {self.asked_nothing}, which asks nothing: "
            "use the URL that takes the POST"
        )


@lru_cache(maxsize=64)
def _known_charset(name: str) -> str:
    try:
        known = codecs.lookup(name).name
        b"?".decode(known, "replace")  # from bytes to text, unlike "hex" and others
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if known.replace("_", "-") in _NO_CHARSETS else known


def _describe_undecodable(media_type: str) -> str:
    if "json" in media_type:
        return "JSON that breaks off or is malformed"
    return first_line(media_type) or "something without a content type"


def batch_results(
    response: Response, json: JSON, count: int
) -> list[ExecutionResult | TransportError]:
    """Return the results of a batch of ``count`` operations, in order.

    What is wrong with one entry stands in its place. If the server refuses the batch as a whole
    with a GraphQL answer, that is the result of each operation. Raise what else is wrong with the
    whole response.
    """
    payload = response.payload(json)
    if not isinstance(payload, list):
        return [_refusal_of_batch(response, payload)] * count
    came = cast("list[Any]", payload)
    entries = [_entry(entry) for entry in came]
    if not response.ok and (len(entries) != count or not _are_answers(response, entries)):
        raise response.refused(came)
    if len(entries) != count:
        raise response.error(
            TransportProtocolError,
            f"{response.server} answered a batch of {count} with {len(entries)} results",
            came,
        )
    return [
        response.with_origin(entry)
        if isinstance(entry, ExecutionResult)
        else _bad_entry(response, index, str(entry), came[index])
        for index, entry in enumerate(entries)
    ]


def _refusal_of_batch(response: Response, payload: object) -> ExecutionResult:
    """Return the one result that refuses a whole batch; raise if the answer is no such result."""
    if response.ok:
        words = server_words(payload)
        raise response.error(
            TransportProtocolError,
            f"{response.server} answered a batch with one result{f': {words}' if words else ''}. "
            "Does it take batches?",
            payload,
        )
    refusal = response.read(payload)
    if refusal.data is not None or not refusal.errors:
        raise response.refused(payload)
    return refusal


def _entry(entry: object) -> ExecutionResult | NotAResult:
    try:
        return read_result(entry)
    except NotAResult as what:
        return what


def _are_answers(response: Response, entries: list[ExecutionResult | NotAResult]) -> bool:
    """Return whether the entries of a response that is not 2xx are the GraphQL server's."""
    results = [entry for entry in entries if isinstance(entry, ExecutionResult)]
    return len(results) == len(entries) and any(map(response.is_answer, results))


def _bad_entry(response: Response, index: int, what: str, entry: object) -> TransportError:
    words = server_words(entry)
    return response.error(
        TransportProtocolError,
        f"{response.server}: entry {index} of its answer to a batch is {what}, "
        f"which is no GraphQL response{f' ({words})' if words else ''}",
        entry,
    )
