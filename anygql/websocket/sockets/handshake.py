"""The opening handshake (RFC 6455 §4): the request, and what is made of the response.

trio-websocket builds and checks its own, but for what users give, and for refusals.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha1
from os import urandom
from typing import Any

import msgspec
from anyio.abc import ByteStream

from ...exceptions import TransportProtocolError, TransportServerError
from ...net.errors import NotHTTP
from ...net.headers import basic_auth, check_header, is_token, user_agent
from ...net.http1 import ResponseHead, read_body, read_head
from ...net.retry_after import retry_after
from ...net.statuses import is_rate_limit, is_retryable_status
from ...net.urls import redact
from ...protocols.base import hide_secrets
from ...protocols.close_codes import CloseCode
from ...results.answers import read_refusal, server_words, without_markup
from .opening import Address, Opening

__all__ = [
    "build_request",
    "check_subprotocols",
    "check_upgrade",
    "new_key",
    "read_upgrade",
    "request_headers",
    "wrong_upgrade",
]

#: What the server's answer to a key is made with (§1.3).
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

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


def new_key() -> str:
    """Return a new value of ``Sec-WebSocket-Key``."""
    return b64encode(urandom(16)).decode()


def build_request(address: Address, opening: Opening, key: str, extensions: str | None) -> bytes:
    """Return the request of the handshake (§4.1). The caller's headers replace ours.

    Args:
        address: The parts of the opening's URL.
        opening: The WebSocket to open.
        key: The value of ``Sec-WebSocket-Key``.
        extensions: The extensions that are offered, ``None`` for none.

    Raises:
        ValueError: A header or a subprotocol can't be sent.
    """
    given = request_headers(opening.headers)
    check_subprotocols(opening.subprotocols)
    headers = [
        ("Host", address.authority),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", "13"),
    ]
    if address.user is not None:
        headers.append(("Authorization", basic_auth(*address.user)))
    if extensions is not None:
        headers.append(("Sec-WebSocket-Extensions", extensions))
    if opening.subprotocols:
        headers.append(("Sec-WebSocket-Protocol", ", ".join(opening.subprotocols)))
    replaced = {name.lower() for name, _ in given}
    ours = [(name, value) for name, value in headers if name.lower() not in replaced]
    lines = [f"GET {address.resource} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (*ours, *given)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def read_upgrade(stream: ByteStream, opening: Opening) -> ResponseHead:
    """Read the server's response to the handshake, and the bytes that came behind it.

    What a status of 101 comes with is checked elsewhere. Raises ``TransportServerError`` for
    another status, ``TransportProtocolError``, ``EndOfStream``, and the errors of a broken stream.
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


def check_upgrade(opening: Opening, response: ResponseHead, key: str) -> None:
    """Check that a response with the status 101 opens the WebSocket (§4.1).

    Raises ``TransportProtocolError`` if it doesn't.
    """
    if not response.head.startswith(b"HTTP/1.1 "):
        raise wrong_upgrade(opening, "it is of HTTP/1.0")
    headers = response.headers
    options = headers.get("connection", "").lower().split(",")
    if "upgrade" not in map(str.strip, options):
        raise wrong_upgrade(opening, "its Connection header is missing or wrong")
    if headers.get("upgrade", "").lower() != "websocket":
        raise wrong_upgrade(opening, "its Upgrade header is missing or wrong")
    expected = sha1((key + _GUID).encode(), usedforsecurity=False).digest()
    if headers.get("sec-websocket-accept") != b64encode(expected).decode():
        raise wrong_upgrade(opening, "its Sec-WebSocket-Accept header is missing or wrong")


def wrong_upgrade(opening: Opening, problem: str) -> TransportProtocolError:
    """Return the error for a response that should have opened the WebSocket, and doesn't."""
    return TransportProtocolError(
        f"{redact(opening.url)} answered the WebSocket handshake with 101, but {problem}"
    )


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
