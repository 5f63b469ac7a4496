"""The ways in which AppSync lets a client in, each as headers for one request.

https://docs.aws.amazon.com/appsync/latest/devguide/security-authz.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, TypeAlias, cast

from ..net.authorization import Authorization
from ..net.headers import pairs
from ..net.options import Provider, resolve
from .chain import CredentialChain, configured_region
from .sigv4 import Credentials, amz_date, signed_headers
from .urls import host_of, region_of

__all__ = [
    "IAM",
    "ApiKey",
    "AppSyncAuthorization",
    "Token",
    "check_authorization",
    "realtime_headers",
]

#: What an ``IAM`` function may return: the access key, the secret key, and perhaps the session
#: token; or an object with ``access_key``, ``secret_key`` and ``token``, such as botocore's.
AnyCredentials: TypeAlias = Sequence[str | None] | Any

#: Headers that AWS has in the signatures of the real-time endpoint. They can't be sent over HTTP,
#: where they would say something of the body.
_REALTIME = {
    "accept": "application/json, text/javascript",
    "content-encoding": "amz-1.0",
    "content-type": "application/json; charset=UTF-8",
}


class AppSyncAuthorization:
    """The base of AppSync's ways to authorize."""

    @property
    def is_refreshable(self) -> bool:
        """Whether it may say something else next time."""
        return False

    async def headers(self, url: str, body: bytes, /) -> dict[str, str]:
        """Return the headers that authorize one POST request, ``host`` among them.

        Args:
            url: The URL of the request.
            body: The exact bytes of its body.
        """
        raise NotImplementedError

    def httpx(self) -> Any:
        """Return the same for a client of your own: ``httpx.AsyncClient(auth=…)``, or httpx2's."""
        from .httpx_auth import httpx_auth

        return httpx_auth(self)


class ApiKey(AppSyncAuthorization):
    """An API key of AppSync's. Its ``repr`` doesn't show the key.

    Args:
        key: The key, such as ``"da2-…"``.

    Raises:
        TypeError: The key is no ``str``.
    """

    def __init__(self, key: str) -> None:
        self._key = _checked_text(key, "an API key")

    async def headers(self, url: str, body: bytes, /) -> dict[str, str]:
        """Return the headers that authorize one POST request, ``host`` among them.

        Args:
            url: The URL of the request.
            body: The exact bytes of its body.
        """
        return {"host": host_of(url), "x-amz-date": amz_date(), "x-api-key": self._key}

    def __repr__(self) -> str:
        return "ApiKey(…)"


class Token(AppSyncAuthorization):
    """A token of a Cognito user pool, of OpenID Connect, or for a Lambda authorizer.

    Its ``repr`` doesn't show the token.

    Args:
        token: The token as it is sent, without ``Bearer``; or a function or async function that
            returns it, called for each request, each attempt to connect and each subscription.

    Raises:
        TypeError: The token is neither a ``str`` nor a function.
    """

    def __init__(self, token: Provider[str]) -> None:
        self._token = token if callable(token) else _checked_text(token, "a token")

    @property
    def is_refreshable(self) -> bool:
        """Whether there may be another token next time."""
        return callable(self._token)

    async def headers(self, url: str, body: bytes, /) -> dict[str, str]:
        """Return the headers that authorize one POST request, ``host`` among them.

        Args:
            url: The URL of the request.
            body: The exact bytes of its body.

        Raises:
            Exception: What your function raises.
        """
        token = await resolve(self._token, "token", host_of(url))
        return {"host": host_of(url), "Authorization": _checked_text(token, "a token")}

    def __repr__(self) -> str:
        return "Token(…)"


class IAM(AppSyncAuthorization):
    """Signatures with AWS credentials (Signature Version 4).

    Its ``repr`` doesn't show the credentials.

    Args:
        credentials: The access key, the secret key and, if there is one, the session token; or a
            function or async function that returns them, called for each signature. An object with
            ``access_key``, ``secret_key`` and ``token`` will do, too. Default: what botocore
            finds, asked in a worker thread; this needs ``anygql[aws]``.
        region: The AWS region. Default: the one in the endpoint's host. For a custom domain, the
            one that AWS is configured for: ``AWS_REGION``, ``AWS_DEFAULT_REGION``, or botocore's
            configuration.

    Raises:
        TypeError: The credentials have the wrong shape.
        ModuleNotFoundError: There are no credentials, and no botocore to find them.
    """

    #: Requests that it authorizes get no headers from anywhere else.
    signs = True

    def __init__(
        self, credentials: Provider[AnyCredentials] | None = None, region: str | None = None
    ) -> None:
        if credentials is None:
            if find_spec("botocore") is None:
                raise ModuleNotFoundError(
                    "IAM() without credentials needs botocore to find them: install anygql[aws], "
                    "or give IAM(credentials=…)"
                )
            credentials = CredentialChain().find
        self._credentials: Any = (
            credentials if callable(credentials) else _checked_credentials(credentials)
        )
        self._region = region
        self._configured: str | None = None

    @property
    def is_refreshable(self) -> bool:
        """Whether there may be other credentials next time."""
        return callable(self._credentials)

    def region_of(self, url: str) -> str:
        """Return the region to sign for.

        Args:
            url: The HTTP endpoint.

        Raises:
            ValueError: Neither the URL nor any configuration names one.
        """
        region = self._region or region_of(url) or self._configured_region()
        if region is None:
            raise ValueError(
                f"the AWS region is unknown: {host_of(url)} doesn't name it. Write IAM(region=…), "
                "or set AWS_REGION"
            )
        return region

    def _configured_region(self) -> str | None:
        if self._configured is None:
            self._configured = configured_region()
        return self._configured

    async def headers(self, url: str, body: bytes, /) -> dict[str, str]:
        """Return the headers that authorize one POST request, ``host`` among them.

        Args:
            url: The URL of the request.
            body: The exact bytes of its body.

        Raises:
            ValueError: The region is unknown.
            TransportConnectionFailed: botocore could not get credentials.
            Exception: What your function raises.
        """
        return await self.sign(url, body, {})

    async def sign(self, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Return ``headers``, signed, with those that authorize one POST request.

        Args:
            url: The URL of the request.
            body: The exact bytes of its body.
            headers: Other headers to sign.

        Raises:
            Exception: As ``headers`` does.
        """
        region = self.region_of(url)
        found = await resolve(self._credentials, "credentials", host_of(url))
        return signed_headers(
            _checked_credentials(found), url, body, region=region, date=amz_date(), headers=headers
        )

    def __repr__(self) -> str:
        return f"IAM(region={self._region!r})" if self._region else "IAM()"


async def _called(auth: Authorization, url: str, body: bytes) -> Mapping[str, str]:
    """Return what an authorization of any kind says of one POST request.

    Raises:
        TypeError: It returned no headers.
        Exception: What it raises.
    """
    found = await resolve(lambda: auth.headers(url, body), "auth", host_of(url))
    return dict(pairs(found))


async def realtime_headers(auth: Authorization, url: str, body: bytes) -> dict[str, str]:
    """Return the headers that authorize one message of the real-time endpoint.

    Raises as ``Authorization.headers`` does.
    """
    if isinstance(auth, IAM):
        return await auth.sign(url, body, _REALTIME)
    return {"host": host_of(url), **await _called(auth, url, body)}


def check_authorization(auth: object, url: str | None = None) -> None:
    """Raise for what can't authorize, or not for this endpoint.

    Raises:
        TypeError: It is no authorization.
        ValueError: It is for AWS credentials, and the region is unknown.
    """
    if not callable(getattr(auth, "headers", None)):
        raise TypeError(
            "auth is ApiKey(…), Token(…), IAM(…) or an object with `async headers(url, body)`, "
            f"not {type(auth).__name__}"
        )
    if isinstance(auth, IAM) and url is not None:
        auth.region_of(url)


def _checked_text(value: object, what: str) -> str:
    """Return a secret text. The message has nothing of it."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{what} must not be empty")
    return value


def _checked_credentials(found: Any) -> Credentials:
    """Return credentials of any form. The message has nothing of them."""
    if hasattr(found, "access_key"):
        found = (found.access_key, found.secret_key, getattr(found, "token", None))
    is_sequence = isinstance(found, list | tuple)
    given = [*cast("Sequence[Any]", found)] if is_sequence else []
    access, secret, token = [*given, None, None, None][:3]
    if not (
        len(given) in {2, 3}
        and isinstance(access, str)
        and isinstance(secret, str)
        and isinstance(token, str | None)
    ):
        raise TypeError(
            "AWS credentials are the access key, the secret key and perhaps the session token, "
            f"not {type(cast('object', found)).__name__}"
        )
    return Credentials(access, secret, token)
