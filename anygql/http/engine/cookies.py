"""The cookies of a session, kept by the standard library's rules (RFC 6265 as browsers have it)."""

from __future__ import annotations

from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.request import Request

__all__ = ["Cookies", "cookie_header"]


class _Response:
    """As much of a response as the jar looks at."""

    def __init__(self, values: list[str]) -> None:
        self._message = Message()
        for value in values:
            self._message["Set-Cookie"] = value

    def info(self) -> Message:
        """Return the headers."""
        return self._message


class Cookies:
    """A jar, filled by responses."""

    def __init__(self) -> None:
        # RFC 6265 §5.4: a cookie without a domain is for the host that set it, not for those below.
        strict = DefaultCookiePolicy.DomainStrictNonDomain
        self._jar = CookieJar(DefaultCookiePolicy(strict_ns_domain=strict))

    def take(self, url: str, values: list[str]) -> None:
        """Take the values of ``Set-Cookie`` in a response to a request for ``url``."""
        response: Any = _Response(values)
        self._jar.extract_cookies(response, Request(url))  # noqa: S310 - nothing is opened

    def header(self, url: str) -> str:
        """Return the ``Cookie`` of a request for ``url``; ``""`` if there is none."""
        return cookie_header(self._jar, url)


def cookie_header(jar: CookieJar, url: str) -> str:
    """Return the ``Cookie`` that a jar has for a request for ``url``; ``""`` if there is none."""
    request = Request(url)  # noqa: S310 - nothing is opened
    jar.add_cookie_header(request)
    return request.get_header("Cookie") or ""
