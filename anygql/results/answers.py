"""The one reader of what servers answer: results, refusals, and the server's own words.

It reads decoded JSON, whatever transport the JSON came by. It is strict where a mistake could be
taken for a result, and lenient in the shape of what is an error anyway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, cast

from ..json import is_mapping
from .result import ExecutionResult

__all__ = [
    "MAX_WORDS",
    "NotAResult",
    "are_graphql_errors",
    "describe_json",
    "errors_in",
    "first_line",
    "read_refusal",
    "read_result",
    "server_words",
    "without_markup",
]

#: Maximum length of a server's own words in a message or log, in characters.
MAX_WORDS = 200

#: Where servers put a text that says what is wrong, the most telling first.
_TEXT_KEYS = (
    *("message", "error_message", "Message", "errorMessage", "error_description", "error"),
    *("errors", "detail", "description", "reason", "msg", "fault", "faultstring"),
)

#: How deep texts are looked for. A peer may nest its JSON as deep as it likes.
_MAX_DEPTH = 4

#: The error of a refusal that holds none.
_NO_REASON = "the server refused the operation, and gave no reason"


class NotAResult(ValueError):
    """JSON that is no GraphQL result; the message says what it is instead."""


def read_result(payload: object, *, any_data: bool = False) -> ExecutionResult:
    """Read decoded JSON as a result (specification §7.1).

    A null ``errors`` counts as absent. Errors win over data that can't be data. With ``any_data``,
    data may be of any type: within a stream of results, they are taken as they come.

    Raises:
        NotAResult: There is neither ``data`` nor a non-empty list of ``errors``, or one of them
            has a type that it can't have.
    """
    if not is_mapping(payload):
        raise NotAResult(describe_json(payload))
    errors: Any = payload.get("errors")
    if errors is not None and not isinstance(errors, list):
        raise NotAResult(f"a JSON object whose 'errors' is {describe_json(errors)}, not a list")
    has_data = "data" in payload
    data: Any = payload.get("data")
    if not has_data and not errors:
        raise NotAResult("a JSON object without data and errors")
    if not (any_data or data is None or is_mapping(data) or errors):
        raise NotAResult(f"a JSON object whose 'data' is {describe_json(data)}, not an object")
    listed = cast("list[Any] | None", errors)
    if not has_data:
        return ExecutionResult(errors=listed, extensions=payload.get("extensions"))
    return ExecutionResult(data, listed, payload.get("extensions"))


def read_refusal(payload: object) -> ExecutionResult:
    """Read the payload of a message that refuses an operation, in whatever shape it came.

    The result has at least one error, so that a refusal never looks like success.
    """
    errors = _errors_in(payload, 0)
    return ExecutionResult(errors=errors or [{"message": _NO_REASON}])


def errors_in(payload: object) -> list[Any]:
    """Return the errors in something that is no result, or what reads as such; or ``[]``."""
    listed: Any = payload.get("errors") if is_mapping(payload) else None
    if listed and isinstance(listed, list):
        return cast("list[Any]", listed)
    return _errors_in(payload, 0) if server_words(payload) else []


def _errors_in(payload: object, depth: int) -> list[Any]:
    # An empty value of any type says as little as none: `{}`, `[]`, `""`, `false`.
    if depth > _MAX_DEPTH or not payload or (isinstance(payload, str) and not payload.strip()):
        return []
    if isinstance(payload, list):
        entries = cast("list[Any]", payload)
        return [
            error
            for entry in entries
            for error in (
                _errors_in(entry, depth + 1) if _wraps_errors(entry) or not entry else [entry]
            )
        ]
    if _wraps_errors(payload):
        return _errors_in(payload["errors"], depth + 1)
    if is_mapping(payload) and not isinstance(payload.get("message"), str):
        words = server_words(payload)
        return [{**payload, "message": words} if words else dict(payload)]
    if isinstance(payload, str):
        return [{"message": payload}]
    return [payload]


def _wraps_errors(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether this is an object that only wraps errors, and is none itself."""
    return is_mapping(value) and "errors" in value and not isinstance(value.get("message"), str)


def are_graphql_errors(errors: object) -> TypeGuard[list[Mapping[str, Any]]]:
    """Return whether this is a well-formed list of errors (specification §7.1.2): not empty, and
    each an object with a text as ``message``."""
    return (
        isinstance(errors, list)
        and bool(cast("list[Any]", errors))
        and all(
            is_mapping(error) and isinstance(error.get("message"), str)
            for error in cast("list[Any]", errors)
        )
    )


def server_words(payload: object, limit: int = MAX_WORDS) -> str:
    """Return the first line of what a server says in ``payload``, cut at ``limit``; or ``""``.

    The text is looked for where servers put it: the payload itself, ``message``, ``error``,
    ``errors``, and the like, and the same within those.
    """
    return first_line(_text_in(payload, 0), limit)


def first_line(text: str, limit: int = MAX_WORDS) -> str:
    """Return the first line of ``text`` that isn't blank, cut at ``limit``.

    Characters that can't be seen are replaced: the line goes into messages and logs.
    """
    # A text may be very long, and only its beginning is looked at.
    start = text.lstrip()[: 8 * limit]
    line = start.splitlines()[0].strip() if start else ""
    if not line.isprintable():
        line = "".join(
            c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in line
        )
    return f"{line[: limit - 1]}…" if len(line) > limit else line


# What a page holds beside its text. Each pattern stops at the next "<", or at the end. They are
# compiled when they are first used: few clients ever see a page.
_INLINE = r"(?i)</?(?:a|b|code|em|i|span|strong|tt|u)\b[^<>]*>"
_UNSEEN = r"(?is)<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)|<[a-z!/?][^<>]*(?:>|\Z)"


def without_markup(text: str) -> str:
    """Return the text of a page, line by line; a text without markup as it is."""
    if "<" not in text:
        return text
    import html  # only for a page in the place of an answer

    lines = html.unescape(re.sub(_UNSEEN, " ", re.sub(_INLINE, "", text))).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines)


def _text_in(payload: object, depth: int) -> str:
    if isinstance(payload, str):
        return payload
    if depth > _MAX_DEPTH:
        return ""
    if is_mapping(payload):
        inner: Sequence[Any] = [payload[key] for key in _TEXT_KEYS if key in payload]
        # Errors under names that the server has chosen: `{"errors": {"base": ["…"]}}`.
        named = payload.get("errors")
        if is_mapping(named):
            inner = [*inner, *named.values()]
    elif isinstance(payload, list):
        inner = cast("list[Any]", payload)
    else:
        return ""
    for value in inner:
        if (text := _text_in(value, depth + 1)).strip():
            return text
    return ""


def describe_json(value: object) -> str:
    """Return what kind of JSON value this is, with an article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a JSON boolean"
        case str():
            return "a JSON string"
        case int() | float():
            return "a JSON number"
        case list():
            return "a JSON array"
        case _:
            return "a JSON object" if is_mapping(value) else "a JSON value"
