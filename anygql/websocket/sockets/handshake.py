"""The part of the opening handshake (RFC 6455 §4) that both WebSocket engines share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from anyio.abc import ByteStream

from ...exceptions import TransportProtocolError, TransportServerError
from ...net.errors import NotHTTP
from ...net.headers import check_header, is_token, user_agent
from ...net.http1 import ResponseHead, read_body, read_head
from ...net.retry_after import retry_after
from ...net.statuses import is_rate_limit, is_retryable_status
from ...net.urls import redact
from ...protocols.base import hide_secrets
from ...protocols.close_codes import CloseCode
from ...results.answers import read_refusal, server_words, without_markup
from .opening import Opening

__all__ = ["check_subprotocols", "read_upgrade", "request_headers"]

#: Headers that the handshake itself sends. A second one of the same name would break it.
RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-protocol",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)


def request_headers(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the caller's headers, checked, with a ``User-Agent``.

    Raises ``ValueError`` for a header that can't be sent, with its name, never its value.
    """
    checked = [(name, value.strip(" \t")) for name, value in headers]
    for name, value in checked:
        check_header(name, value)
        if name.lower() in RESERVED:
            raise ValueError(f"the header {name!r} belongs to the WebSocket handshake")
    if not any(name.lower() == "user-agent" for name, _ in checked):
        checked.append(("User-Agent", user_agent()))
    return checked


def check_subprotocols(names: Sequence[str]) -> None:
    """Raise ``ValueError`` for a name that a subprotocol can't have (RFC 6455 §4.1)."""
    for name in names:
        if not is_token(name):
            raise ValueError(f"{name!r} can't be the name of a subprotocol")


async def read_upgrade(stream: ByteStream, opening: Opening) -> ResponseHead:
    """Read the server's response to the handshake, and the bytes that came behind it.

    The WebSocket engine checks the upgrade itself. Raises ``TransportServerError`` for another
    status than 101, ``TransportProtocolError``, ``EndOfStream``, and the errors of a broken stream.
    """
    try:
        response = await read_head(stream)
    except NotHTTP as error:
        raise TransportProtocolError(
            f"{redact(opening.url)} doesn't speak HTTP: {error}. Is this its port, and should the "
            "URL begin with ws:// or wss://?"
        ) from error
    if response.status != 101:
        raise _refused(opening, response, await read_body(stream, response))
    _check_negotiated(opening, response)
    return response


def _refused(opening: Opening, response: ResponseHead, body: str) -> TransportServerError:
    payload = _decoded(body)
    words = server_words(payload)
    wait = retry_after(response.headers)
    is_limit = is_rate_limit(response.status, wait)
    error = TransportServerError(
        f"{redact(opening.url)} answered {response.status} to the WebSocket handshake"
        f"{'' if is_limit else _advice(response.status, opening.advice)}"
        f"{f'. It says: {words}' if words else ''}",
        code=response.status,
        retryable=is_retryable_status(response.status) or is_limit,
        headers=response.headers,
        body=body,
        errors=_errors(payload),
    )
    error.retry_after = wait
    return error


def _advice(status: int, of_protocol: str) -> str:
    advice = _advice_by_status(status)
    return f"{advice}. {of_protocol}" if of_protocol and status in {403, 404} else advice


def _advice_by_status(status: int) -> str:
    if 300 <= status < 400:
        return ". Redirects are not followed: use the URL that it redirects to"
    if status == 401:
        return ". Check the credentials in headers"
    if status == 403:  # Starlette's servers answer so for a path that they don't know
        return ". Check the path and the credentials in headers"
    if status < 300 or status in {400, 404, 426}:
        return ". Check that WebSockets are served at this path"
    return ""


def _decoded(body: str) -> object:
    """Return the JSON value in a refusal's body, or its text without markup."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return without_markup(body)


def _errors(payload: object) -> list[Any]:
    if not isinstance(payload, Mapping) or not payload.get("errors"):  # pyright: ignore[reportUnknownMemberType]
        return []
    return read_refusal(payload).errors or []  # pyright: ignore[reportUnknownArgumentType]


def _check_negotiated(opening: Opening, response: ResponseHead) -> None:
    chosen = response.headers.get("sec-websocket-protocol")
    if chosen is None or chosen in opening.subprotocols:
        return
    names = [hide_secrets(name, opening.subprotocols) for name in opening.subprotocols]
    offered = ", ".join(names) or "none"
    chosen = hide_secrets(chosen, opening.subprotocols)
    raise TransportProtocolError(
        f"{redact(opening.url)} chose the subprotocol {chosen[:100]!r}, which was not offered "
        f"(offered: {offered})",
        code=CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
        reason="subprotocol not acceptable",
    )
