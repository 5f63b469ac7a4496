"""Which cookies a session sends where."""

from __future__ import annotations

import warnings
from http.cookiejar import CookieJar

import pytest

from anygql.http.engine.cookies import Cookies, cookie_header


@pytest.mark.parametrize(
    ("set_cookie", "to", "sent"),
    [
        ("a=b", "https://api.example.com/x", "a=b"),
        ("a=b; Path=/", "https://api.example.com/y", "a=b"),
        ("a=b; Path=/x", "https://api.example.com/x/y", "a=b"),
        ("a=b; Path=/x", "https://api.example.com/y", ""),
        ("a=b; Path=/x", "https://api.example.com/xy", ""),
        ("a=b", "https://other.example.com/x", ""),
        ("a=b", "https://sub.api.example.com/x", ""),
        ("a=b; Domain=example.com", "https://other.example.com/x", "a=b"),
        ("a=b; Domain=.example.com", "https://other.example.com/x", "a=b"),
        ("a=b; Domain=example.com", "https://anexample.com/x", ""),
        ("a=b; Domain=other.example", "https://other.example/x", ""),
        ("a=b; Domain=com", "https://other.com/x", ""),
        ("a=b; Secure", "https://api.example.com/x", "a=b"),
        ("a=b; Secure", "http://api.example.com/x", ""),
        ("a=b; Max-Age=0", "https://api.example.com/x", ""),
        ("a=b; Max-Age=60; HttpOnly; SameSite=Lax", "https://api.example.com/x", "a=b"),
        ("a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "https://api.example.com/x", ""),
        ("a=b; Expires=nonsense", "https://api.example.com/x", "a=b"),
        ("a=b; Max-Age=" + "9" * 30, "https://api.example.com/x", "a=b"),
        ('a="b c"; Path=/', "https://api.example.com/x", 'a="b c"'),
        ("a=\xe9", "https://api.example.com/x", "a=\xe9"),
        ("", "https://api.example.com/x", ""),
        (";;=;", "https://api.example.com/x", ""),
    ],
)
def test_where_a_cookie_goes(set_cookie: str, to: str, sent: str) -> None:
    cookies = Cookies()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cookies.take("https://api.example.com/x", [set_cookie])
        assert cookies.header(to) == sent


def test_several() -> None:
    cookies = Cookies()
    cookies.take("http://127.0.0.1:8000/x", ["a=1", "b=2; Path=/", "a=3"])
    assert sorted(cookies.header("http://127.0.0.1:8000/x").split("; ")) == ["a=3", "b=2"]
    cookies.take("http://127.0.0.1:8000/x", ["a=; Max-Age=0"])
    assert cookies.header("http://127.0.0.1:8000/x") == "b=2"


def test_an_empty_jar() -> None:
    assert cookie_header(CookieJar(), "http://a/") == ""
