"""HTTP responses: the GraphQL result in one, or the error that says why there is none.

GraphQL over HTTP, "Response": a body of the type ``application/graphql-response+json`` comes from
the GraphQL server at any status. One of the type ``application/json`` may come from anything
between that server and us, and is trusted with a 2xx status only.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from typing import Any, TypeGuard, cast

from ..exceptions import BODY_LIMIT, TransportError, TransportProtocolError, TransportServerError
from ..json import JSON
from ..net.retry_after import retry_after
from ..results.result import ExecutionResult
from .accept import GRAPHQL_JSON, PLAIN_TEXT

__all__ = ["Response", "as_result", "batch_results", "media_type"]


#: Statuses after which the same request may succeed.
RETRYABLE = frozenset({429, 502, 503, 504})

#: Maximum length of what a message quotes of a response, in characters.
_QUOTE_LIMIT = 200

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


def _is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


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


def as_result(payload: object) -> ExecutionResult | None:
    """Return decoded JSON as a result, or ``None`` if it is none (specification §7.1).

    A null ``data`` or ``errors`` counts as absent.
    """
    if not _is_mapping(payload):
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
    """An HTTP response with its body, or the start of it."""

    #: The server, fit for messages.
    server: str
    status: int
    reason: str
    headers: Mapping[str, str]
    #: The media type and its parameters, by ``media_type``.
    media: tuple[str, Mapping[str, str]]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_trusted(self) -> bool:
        """Whether the body comes from the GraphQL server itself."""
        return self.ok or self.media[0] == GRAPHQL_JSON

    def result(self, json: JSON) -> ExecutionResult:
        """Return the GraphQL result in the response.

        Raises:
            TransportServerError: The status says that there is none.
            TransportProtocolError: The body is something else.
        """
        payload = self.payload(json)
        result = as_result(payload)
        if result is not None:
            return result
        if not self.ok:
            raise self.refused(payload)
        raise self.not_graphql(_describe_json(payload))

    def payload(self, json: JSON) -> Any:
        """Return the JSON value in the response. Raise as ``result`` does."""
        if not self.is_trusted:
            raise self.refused(self._untrusted_payload(json))
        if not self.body.strip():
            raise self.not_graphql("an empty body") if self.ok else self.refused(None)
        try:
            return json.decode(self._utf8())
        except (ValueError, LookupError, RecursionError) as exc:
            if not self.ok:
                raise self.refused(None) from exc
            raise self.not_graphql(_describe_undecodable(self.media[0])) from exc

    def refused(self, payload: object) -> TransportServerError:
        """Return the error that the status means. ``payload`` is the body, if that is JSON."""
        result = as_result(payload)
        errors = (result.errors if result is not None else None) or []
        status = f"{self.status} {self.reason}".rstrip()
        error = TransportServerError(
            f"{self.server} answered {status}{self._explanation(errors)}",
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
        """Return the error of a response that is ``what`` instead of a GraphQL response."""
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

    def _untrusted_payload(self, json: JSON) -> Any:
        if not self.media[0].endswith("json"):
            return None
        try:
            return json.decode(self._utf8())
        except (ValueError, LookupError, RecursionError):
            return None

    def _explanation(self, errors: list[Any]) -> str:
        """Return the end of an error's message: the server's own message, or advice."""
        message = _first_message(errors)
        if message is None and self.media[0] == PLAIN_TEXT:
            message = self.text.strip().partition("\n")[0]
        if message:
            return f": {_shorten(message)}"
        if 300 <= self.status < 400:
            return ". Use the URL that it redirects to, or a client with follow_redirects=True"
        return f". {_ADVICE[self.status]}" if self.status in _ADVICE else ""


@lru_cache(maxsize=64)
def _known_charset(name: str) -> str:
    try:
        known = codecs.lookup(name).name
        b"?".decode(known, "replace")  # from bytes to text, unlike "hex" and others
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if known.replace("_", "-") in _NO_CHARSETS else known


def _first_message(errors: Sequence[Any] | None) -> str | None:
    message: Any = errors[0].get("message") if errors and _is_mapping(errors[0]) else None
    return message if isinstance(message, str) else None


def _shorten(text: str) -> str:
    return f"{text[: _QUOTE_LIMIT - 1]}…" if len(text) > _QUOTE_LIMIT else text


def _describe_json(payload: object) -> str:
    if isinstance(payload, list):
        return "a JSON array"
    if _is_mapping(payload):
        return "a JSON object without data and errors"
    return "a JSON value"


def _describe_undecodable(media_type: str) -> str:
    if "json" in media_type:
        return "JSON that breaks off or is malformed"
    return _shorten(media_type) or "something without a content type"


def batch_results(
    response: Response, json: JSON, count: int
) -> list[ExecutionResult | TransportError]:
    """Return the results of a batch of ``count`` operations, in order.

    What is wrong with one entry stands in its place. Raise what is wrong with the whole response.
    """
    payload = response.payload(json)
    if not isinstance(payload, list):
        raise _not_a_batch(response, payload)
    entries = cast("list[Any]", payload)
    if len(entries) != count:
        raise TransportProtocolError(
            f"{response.server} answered a batch of {count} with {len(entries)} results",
            code=response.status,
        )
    return [_entry(response, index, entry) for index, entry in enumerate(entries)]


def _not_a_batch(response: Response, payload: object) -> TransportError:
    if not response.ok:
        return response.refused(payload)
    result = as_result(payload)
    message = _first_message(result.errors) if result is not None else None
    explanation = f": {_shorten(message)}" if message is not None else ""
    return TransportProtocolError(
        f"{response.server} answered a batch with one result{explanation}. Does it take batches?",
        code=response.status,
    )


def _entry(response: Response, index: int, entry: object) -> ExecutionResult | TransportError:
    result = as_result(entry)
    if result is not None:
        return result
    return TransportProtocolError(
        f"{response.server}: entry {index} of its answer to a batch is {_describe_json(entry)}, "
        "which is no GraphQL response",
        code=response.status,
    )
