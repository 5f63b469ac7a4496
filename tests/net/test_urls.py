"""What of a URL is shown, and which URLs can be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from anygql import Client, WebSocketTransport
from anygql.exceptions import TransportInvalidURL
from anygql.net.urls import check_url, redact


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://h/a", "ws://h/a"),
        ("wss://me:hush@h:1/a?token=hush#hush", "wss://h:1/a"),
        ("ws://me:hu/sh@h/a", "ws://h/a"),
        ("ws://me:hu@sh@h/a", "ws://h/a"),
        ("ws://[::1]:8/a@b", "ws://[::1]:8/a@b"),
        ("//me:hush@h/a", "h/a"),
        ("ws://h/a\r\nb\x85c\u2028d?e", "ws://h/a\ufffd\ufffdb\ufffdc\ufffdd"),
        ("", ""),
    ],
)
def test_what_is_shown(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize("url", ["ws://h", "wss://h:1/a?b", "ws://me:x@[::1]/"])
def test_urls_that_can_be_used(url: str) -> None:
    assert check_url(url, ("ws", "wss")) == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "a URL is a str, not NoneType"),
        ("http://me:hush@h/", r"'http://h/': the URL must begin with ws:// or wss://"),
        ("h/a", "the URL must begin with"),
        ("ws:///a", "the URL names no host"),
        ("ws://me:hush@h:hush/", "can't be read"),
        ("ws://h:99999/", "can't be read"),
        ("ws://[::1/", "can't be read"),
    ],
)
def test_urls_that_can_t(url: object, message: str) -> None:
    with pytest.raises(TransportInvalidURL, match=message) as caught:
        check_url(url, ("ws", "wss"))
    assert "hush@" not in str(caught.value)


@dataclass
class URL:
    """A URL as yarl, pydantic and others have it."""

    text: str
    scheme: str = ""
    host: str = ""

    def __str__(self) -> str:
        return self.text


@pytest.mark.parametrize("make", [httpx.URL, URL])
def test_urls_of_other_libraries_are_taken(make: Callable[[str], object]) -> None:
    given = make("http://user:secret@host/graphql?token=x")
    assert check_url(given, ("http",)) == "http://user:secret@host/graphql?token=x"
    client = Client(given)  # type: ignore[arg-type]
    assert "http://host/graphql" in repr(client)
    assert "secret" not in repr(client)
    WebSocketTransport(make("ws://host/graphql"))  # type: ignore[arg-type]


@pytest.mark.parametrize("url", [" http://host/", "ws://host/ ", "\thttps://host/"])
def test_blanks_around_a_url_are_named(url: str) -> None:
    with pytest.raises(TransportInvalidURL, match="blanks around it"):
        Client(url)
