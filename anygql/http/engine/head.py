"""The head of a request, checked before anything is sent, and what a user may say of one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from ...net.headers import basic_auth, check_header, is_token, user_agent
from ...net.options import seconds
from ..authorization import is_authorization
from .target import Target

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

__all__ = ["CallOptions", "HeaderPairs", "check_sendable", "head_lines", "param_pairs"]

HeaderPairs: TypeAlias = "list[tuple[str, str | bytes]]"

#: Headers that say where the body ends: the client's own business.
_FRAMING = frozenset({"content-length", "transfer-encoding"})

_ABSENT = -1.0  # no time limit of the call's own


class CallOptions(msgspec.Struct, frozen=True):
    """What ``transport_args`` say of one request, beside its headers.

    Our own client takes less than httpx: what only httpx knows needs a ``client=``.
    """

    params: tuple[tuple[str, str], ...] = ()
    cookies: Mapping[str, str] | CookieJar | None = None
    authorization: str | None = None
    follow_redirects: bool = False
    #: Seconds, ``None`` for no limit; negative if the call doesn't say.
    timeout: float | None = _ABSENT

    @property
    def has_timeout(self) -> bool:
        """Whether the call has a time limit of its own."""
        return self.timeout != _ABSENT

    @classmethod
    def parse(cls, args: Mapping[str, Any]) -> CallOptions:
        """Check ``transport_args``. Raise ``TypeError`` for what only httpx can do."""
        if not args or not args.keys() - {"headers", "progress"}:
            return _NONE
        if "extensions" in args:
            raise _needs_client("extensions", args["extensions"])
        timeout = _ABSENT
        if "timeout" in args:
            timeout = args["timeout"]
            if timeout is not None and not isinstance(timeout, int | float):
                raise _needs_client("timeout", timeout)
            seconds("timeout", timeout)
        return cls(
            param_pairs(args.get("params")),
            _cookies(args.get("cookies")),
            _authorization(args.get("auth")),
            bool(args.get("follow_redirects", False)),
            timeout,
        )


_NONE = CallOptions()


def _needs_client(name: str, value: object) -> TypeError:
    return TypeError(
        f"transport_args[{name!r}] can't be a {type(value).__name__} without a client of your own: "
        "give HTTPTransport(…, client=httpx.AsyncClient())"
    )


def param_pairs(params: Any) -> tuple[tuple[str, str], ...]:
    """Return what is to be added to the query of a URL: a mapping or pairs. Raise ``TypeError``."""
    if params is None:
        return ()
    if isinstance(params, str | bytes) or not hasattr(params, "__iter__"):
        raise TypeError(f"params are a mapping or pairs, not {type(params).__name__}")
    items = params.items() if hasattr(params, "items") else params
    pairs: list[tuple[str, str]] = []
    for name, value in items:
        values = cast("list[Any]", value) if isinstance(value, list | tuple) else [value]
        pairs += [(str(name), _primitive(one)) for one in values]
    return tuple(pairs)


def _primitive(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cookies(cookies: Any) -> Mapping[str, str] | CookieJar | None:
    is_jar = hasattr(cookies, "add_cookie_header")
    if cookies is not None and not is_jar and not isinstance(cookies, Mapping):
        raise _needs_client("cookies", cookies)
    return cast("Mapping[str, str] | CookieJar | None", cookies)


def _authorization(auth: Any) -> str | None:
    if auth is None or is_authorization(auth):  # of which `send` takes care
        return None
    if isinstance(auth, tuple):
        pair = cast("tuple[Any, ...]", auth)
        if len(pair) == 2 and all(isinstance(part, str | bytes) for part in pair):
            return basic_auth(*(_text(part) for part in pair))
    raise _needs_client("auth", cast("object", auth))


def _text(part: str | bytes) -> str:
    return part.decode() if isinstance(part, bytes) else part


def head_lines(method: str, target: Target, request_target: str, headers: HeaderPairs) -> bytes:
    """Return the head of a request, without what says where its body ends.

    Args:
        method: The method.
        target: Where the request goes.
        request_target: The target of the request line.
        headers: All other headers.

    Raises:
        ValueError: Something in it can't be sent. The message has no value of a header.
        TypeError: A header is no text.
    """
    names = {str(name).lower() for name, _ in headers}
    lines = [f"{method} {request_target} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {target.host}")
    for name, value in headers:
        _check_types(name, value)
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        text = text.strip(" \t")
        check_sendable(target, name, text)
        lines.append(f"{name}: {text}")
    if "user-agent" not in names:
        lines.append(f"User-Agent: {user_agent()}")
    proxy = target.origin.proxy
    if target.origin.is_forwarded and proxy is not None and proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join([*lines, ""]).encode("latin-1")


def check_sendable(target: Target, name: str, value: str) -> None:
    """Raise ``ValueError`` for a header that can't be sent. The message never has its value."""
    if not is_token(name):
        raise ValueError(f"{target.shown}: a header has a name that can't be sent")
    try:
        check_header(name, value)
    except ValueError as error:
        raise ValueError(f"{target.shown}: {error}") from None
    if name.lower() in _FRAMING:
        raise ValueError(
            f"{target.shown}: the header {name!r} says where the body ends, which the client does: "
            "leave it out"
        )


def _check_types(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str | bytes):
        raise TypeError(
            f"the header {name!r} is a {type(value).__name__}: names and values are str"
        )
