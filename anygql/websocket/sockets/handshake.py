"""The part of the opening handshake (RFC 6455 §4) that both WebSocket engines share."""

from __future__ import annotations

from collections.abc import Sequence

from anyio.abc import ByteStream

from ...exceptions import TransportProtocolError, TransportServerError
from ...net.errors import NotHTTP
from ...net.headers import check_header, is_token, user_agent
from ...net.http1 import ResponseHead, read_body, read_head
from ...net.retry_after import retry_after
from ...net.statuses import is_retryable_status
from ...net.urls import redact
from ...protocols.close_codes import CloseCode
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


async def read_upgrade(stream: ByteStream, opening: Opening) -> bytes:
    """Read the server's response to the handshake; return it, and the bytes that came behind it.

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
    return response.head + response.rest


def _refused(opening: Opening, response: ResponseHead, body: str) -> TransportServerError:
    advice = ""
    if 300 <= response.status < 400:
        advice = ". Redirects are not followed: use the URL that it redirects to"
    elif response.status in {401, 403}:
        advice = ". Check the credentials in headers"
    elif response.status < 300 or response.status in {400, 404, 426}:
        advice = ". Check that WebSockets are served at this path"
    error = TransportServerError(
        f"{redact(opening.url)} answered {response.status} to the WebSocket handshake{advice}",
        code=response.status,
        retryable=is_retryable_status(response.status),
        headers=response.headers,
        body=body,
    )
    error.retry_after = retry_after(response.headers)
    return error


def _check_negotiated(opening: Opening, response: ResponseHead) -> None:
    chosen = response.headers.get("sec-websocket-protocol")
    if chosen is None or chosen in opening.subprotocols:
        return
    offered = ", ".join(opening.subprotocols) or "none"
    raise TransportProtocolError(
        f"{redact(opening.url)} chose the subprotocol {chosen[:100]!r}, which was not offered "
        f"(offered: {offered})",
        code=CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
        reason="subprotocol not acceptable",
    )
