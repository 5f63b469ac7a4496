"""What an HTTP answer says: a GraphQL result, or why it is none.

GraphQL over HTTP, "Response": a body of the type ``application/graphql-response+json`` is the
GraphQL server's own at any status. One of the type ``application/json`` may come from anything
between it and us, and is trusted with a 2xx status only.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from typing import Any, TypeGuard, cast

from ..exceptions import BODY_LIMIT, TransportError, TransportProtocolError, TransportServerError
from ..json import JSON
from ..net.retry_after import retry_after
from ..results.result import ExecutionResult
from .accept import GRAPHQL_JSON, PLAIN_TEXT

__all__ = ["Response", "as_result", "batch_results", "is_mapping", "media_type"]


#: Statuses after which the same request may succeed.
RETRYABLE = frozenset({429, 502, 503, 504})

#: How much of a server's own words goes into a message, in characters.
_QUOTED = 200

#: Python's own, which are no charsets: some of them warn, or know no "replace".
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


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


@lru_cache(maxsize=256)
def _parsed(content_type: str) -> tuple[str, dict[str, str]]:
    parsed = Message()
    parsed["content-type"] = content_type
    # A value that says its own language and encoding (RFC 2231) comes as a tuple: not in HTTP.
    given: list[tuple[str, Any]] = [*parsed.get_params([])[1:]]
    parameters = {name.lower(): value for name, value in given if isinstance(value, str)}
    return parsed.get_content_type(), parameters


def media_type(headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The media type of a body, in lower case, and its parameters; ``""`` if it has none."""
    content_type = headers.get("content-type", "")
    return _parsed(content_type) if content_type else ("", {})


def as_result(payload: object) -> ExecutionResult | None:
    """The result that decoded JSON is, if it is one (specification §7.1); null ≡ absent."""
    if not is_mapping(payload):
        return None
    errors: Any = payload.get("errors")
    data: Any = payload.get("data")
    if errors is not None and not isinstance(errors, list):
        return None
    if data is not None and not isinstance(data, Mapping):
        return None
    if "data" not in payload and not errors:
        return None
    return ExecutionResult(data, cast("list[Any] | None", errors), payload.get("extensions"))


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with (the start of) its body. ``server``: who gave it, fit for messages."""

    server: str
    status: int
    reason: str
    headers: Mapping[str, str]
    #: What ``media_type`` says of the headers.
    media: tuple[str, Mapping[str, str]]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it has a 2xx status."""
        return 200 <= self.status < 300

    @property
    def trusted(self) -> bool:
        """Whether the body is the GraphQL server's own word."""
        return self.ok or self.media[0] == GRAPHQL_JSON

    def result(self, json: JSON) -> ExecutionResult:
        """The one result that it is; raises ``TransportServerError`` or
        ``TransportProtocolError``."""
        payload = self.payload(json)
        result = as_result(payload)
        if result is None:
            raise self.refused(payload) if not self.ok else self.not_graphql(_what(payload))
        return result

    def payload(self, json: JSON) -> Any:
        """The JSON value that it is; raises likewise."""
        if not self.trusted:
            raise self.refused(self._guess(json))
        if not self.body.strip():
            raise self.not_graphql("an empty body") if self.ok else self.refused(None)
        try:
            return json.decode(self._utf8())
        except (ValueError, LookupError, RecursionError) as exc:
            if not self.ok:
                raise self.refused(None) from exc
            kind = self.media[0]
            what = "JSON that breaks off or is malformed" if "json" in kind else _named(kind)
            raise self.not_graphql(what) from exc

    def refused(self, payload: object) -> TransportServerError:
        """What its status means; ``payload``: its body if that is JSON."""
        result = as_result(payload)
        errors = (result.errors if result is not None else None) or []
        error = TransportServerError(
            f"{self.server} answered {self.status} {self.reason}".rstrip() + self._words(errors),
            code=self.status,
            reason=self.reason,
            retryable=self.status in RETRYABLE,
            headers=self.headers,
            body=self.text,
            errors=errors,
        )
        error.retry_after = retry_after(self.headers)
        return error

    def not_graphql(self, what: str) -> TransportProtocolError:
        """The error of an answer that is something else."""
        return TransportProtocolError(
            f"{self.server} answered with {what}, which is no GraphQL response. Is this the URL "
            "of its GraphQL endpoint?",
            code=self.status,
            reason=self.reason,
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

    def _guess(self, json: JSON) -> Any:
        if not self.media[0].endswith("json"):
            return None
        try:
            return json.decode(self._utf8())
        except (ValueError, LookupError, RecursionError):
            return None

    def _words(self, errors: list[Any]) -> str:
        said: Any = errors[0].get("message") if errors and is_mapping(errors[0]) else None
        if said is None and self.media[0] == PLAIN_TEXT:
            said = self.text.strip().partition("\n")[0]
        if said and isinstance(said, str):
            return f": {_cut(said)}"
        if 300 <= self.status < 400:
            return ". Use the URL that it redirects to, or a client with follow_redirects=True"
        return f". {_ADVICE[self.status]}" if self.status in _ADVICE else ""


@lru_cache(maxsize=64)
def _known_charset(name: str) -> str:
    try:
        known = codecs.lookup(name).name
        b"?".decode(known, "replace")  # of bytes to text, not one of the others ("hex")
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if known.replace("_", "-") in _NO_CHARSETS else known


def _cut(said: str) -> str:
    return f"{said[: _QUOTED - 1]}…" if len(said) > _QUOTED else said


def _what(payload: object) -> str:
    if isinstance(payload, list):
        return "a JSON array"
    if is_mapping(payload):
        return "a JSON object without data and errors"
    return "a JSON value"


def _named(kind: str) -> str:
    return _cut(kind) or "something without a content type"


def batch_results(
    answer: Response, json: JSON, count: int
) -> list[ExecutionResult | TransportError]:
    """The results of a batch, in order; an entry that is none is its error.

    Raises what is wrong with the whole.
    """
    payload = answer.payload(json)
    if not isinstance(payload, list):
        raise _not_a_batch(answer, payload)
    entries = cast("list[Any]", payload)
    if len(entries) != count:
        raise TransportProtocolError(
            f"{answer.server} answered a batch of {count} with {len(entries)} results",
            code=answer.status,
        )
    return [_entry(answer, index, entry) for index, entry in enumerate(entries)]


def _not_a_batch(answer: Response, payload: object) -> TransportError:
    if not answer.ok:
        return answer.refused(payload)
    result = as_result(payload)
    error = result.errors[0] if result is not None and result.errors else None
    message: Any = error.get("message") if is_mapping(error) else None
    said = f": {_cut(message)}" if isinstance(message, str) else ""
    return TransportProtocolError(
        f"{answer.server} answered a batch with one result{said}. Does it take batches?",
        code=answer.status,
    )


def _entry(answer: Response, index: int, entry: object) -> ExecutionResult | TransportError:
    result = as_result(entry)
    if result is not None:
        return result
    return TransportProtocolError(
        f"{answer.server}: entry {index} of its answer to a batch is {_what(entry)}, which is no "
        "GraphQL response",
        code=answer.status,
    )
