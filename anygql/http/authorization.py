"""Authorization that depends on a request's body: ``auth`` of a transport, or of one call."""

from __future__ import annotations

from dataclasses import replace
from inspect import isawaitable
from typing import Any

from ..net.authorization import Authorization, credentials_in, is_refreshable
from ..net.headers import pairs
from ..net.options import resolve
from .endpoint import HTTPEndpoint
from .requests import HTTPRequest

__all__ = [
    "UNAUTHORIZED",
    "EachOnce",
    "SameCredentials",
    "authorization_headers",
    "check_auth",
    "is_authorization",
    "refreshable_auth",
    "split_auth",
]

#: The status of a request without the right credentials (RFC 9110 §15.5.2).
UNAUTHORIZED = 401


def is_authorization(auth: object) -> bool:
    """Return whether this is an object with ``headers(url, body)``, and no kind of httpx's."""
    return callable(getattr(auth, "headers", None))


def check_auth(auth: object, *, gets: bool) -> None:
    """Raise for what is no ``auth``, or goes with no option that makes other requests than POSTs.

    Raises:
        TypeError: It has no ``headers(url, body)``.
        ValueError: There are ``gets``, requests without a body.
    """
    if not is_authorization(auth):
        raise TypeError(
            "auth is an object with `async headers(url, body)`, such as anygql.appsync.IAM(), not "
            f"{type(auth).__name__}. For an auth of httpx's, give your own client: "
            "client=httpx.AsyncClient(auth=…)"
        )
    if gets:
        raise ValueError(
            "auth is for POST requests: leave out use_get_for_queries and single_connection"
        )


def split_auth(
    request: HTTPRequest, endpoint: HTTPEndpoint
) -> tuple[HTTPRequest, Authorization | None]:
    """Return what authorizes a request, and the request without it.

    ``auth`` of the call comes before that of the transport.
    """
    if "auth" not in request.args:
        return request, endpoint.auth
    auth: Any = request.args["auth"]
    if not is_authorization(auth):
        return request, None
    args = {name: value for name, value in request.args.items() if name != "auth"}
    return replace(request, args=args), auth


async def authorization_headers(
    auth: Authorization, request: HTTPRequest, url: str, server: str
) -> list[tuple[str, str]]:
    """Return the headers that authorize a request, without ``Host``, which the client sends.

    Args:
        auth: What authorizes it.
        request: The request.
        url: The URL as it is sent.
        server: A description of the server, for messages.

    Raises:
        TypeError: The request has files, or what came are no headers.
        Exception: What ``auth`` raises.
    """
    body = request.body
    if body is not None and not isinstance(body, bytes):
        raise TypeError(
            f"{server}: files can't be sent with auth=, which needs the whole body before it is "
            "sent: files are streamed"
        )
    headers = await resolve(lambda: auth.headers(url, body or b""), "auth", server)
    return [(name, value) for name, value in pairs(headers) if name.lower() != "host"]


class SameCredentials(Exception):
    """An authorization says once more what was refused."""


class EachOnce:
    """The authorization of one request, which is sent once with each set of credentials.

    Args:
        auth: What authorizes it.
    """

    def __init__(self, auth: Authorization) -> None:
        self._auth = auth
        self._refused: list[tuple[str, object]] | None = None

    async def headers(self, url: str, body: bytes, /) -> list[tuple[str, str]]:
        """Return the headers that authorize the request.

        Raises ``SameCredentials`` if they have the credentials of last time.

        Args:
            url: The URL of the request.
            body: The exact bytes of its body.
        """
        given: Any = self._auth.headers(url, body)
        headers = pairs(await given if isawaitable(given) else given)
        credentials = credentials_in(headers)
        if credentials == self._refused:
            raise SameCredentials
        self._refused = credentials
        return headers


def refreshable_auth(request: HTTPRequest, endpoint: HTTPEndpoint) -> Authorization | None:
    """Return what authorizes a request, if it may say something else next time."""
    _, auth = split_auth(request, endpoint)
    return auth if auth is not None and is_refreshable(auth) else None
