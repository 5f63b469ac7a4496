"""URLs, as requests need them."""

from __future__ import annotations

import pytest

from anygql import TransportInvalidURL
from anygql.http.engine.target import parse_target


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("http://a", ("a", 80), "a", "/"),
        ("http://a:80/", ("a", 80), "a", "/"),
        ("http://A.Example:8080/X", ("a.example", 8080), "a.example:8080", "/X"),
        ("https://a:443/x?y=z#f", ("a", 443), "a", "/x?y=z"),
        ("https://a:80", ("a", 80), "a:80", "/"),
        ("http://u:p@a/x", ("a", 80), "a", "/x"),
        ("http://a/é?é=ü b", ("a", 80), "a", "/%C3%A9?%C3%A9=%C3%BC%20b"),
        ("http://a/%41%zz;x=[y]", ("a", 80), "a", "/%41%zz;x=[y]"),
        ('http://a/"<>\\^`{|}', ("a", 80), "a", "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("http://a?x", ("a", 80), "a", "/?x"),
        ("http://[::1]:5/x", ("::1", 5), "[::1]:5", "/x"),
        ("http://[fe80::1%25eth0]/x", ("fe80::1%eth0", 80), "[fe80::1]", "/x"),
        ("http://bücher.example/", ("xn--bcher-kva.example", 80), "xn--bcher-kva.example", "/"),
    ],
)
def test_a_url(url: str, origin: tuple[str, int], host: str, target: str) -> None:
    found = parse_target(url, None)
    assert (found.origin.host, found.origin.port) == origin
    assert found.origin.secure == url.startswith("https")
    assert found.host == host
    assert found.request_target([]) == target
    assert "p@" not in found.plain_url + found.shown


def test_parameters_are_added() -> None:
    params = [("b", "c d"), ("e", "&=é")]
    assert (
        parse_target("http://a/x?y", None).request_target(params) == "/x?y&b=c%20d&e=%26%3D%C3%A9"
    )
    assert parse_target("http://a/x", None).request_target(params[:1]) == "/x?b=c%20d"


@pytest.mark.parametrize(
    "url",
    [
        *("", "a", "ftp://a", "ws://a", "http://", "http:///x", "http://a:b/", "http://a:99999/"),
        *("http://[::1/", "http://a\r\n/", "http://a/\r\nX: y", "http://a/\0", "http://a/?\n"),
        *("\x01http://a", "http://a\t/", "http://" + "é" * 64 + ".x/", "http://a..é/"),
        b"http://a",
        None,
    ],
)
def test_what_is_no_url(url: object) -> None:
    with pytest.raises(TransportInvalidURL) as caught:
        parse_target(url, None)
    assert "\n" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    for url in ("http://u:s3cret@a/x?s3cret#s3cret", "http://u:s3cret@a/\r?s3cret"):
        try:
            shown = parse_target(url, None).shown
        except TransportInvalidURL as error:
            shown = str(error)
        assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("http://a/x", "http://a:80/y", True),
        ("http://a", "https://a", True),
        ("http://a:80", "https://a:443", True),
        ("https://a", "http://a", False),
        ("http://a:8080", "https://a:8443", False),
        ("http://a", "http://a:8080", False),
        ("http://a", "http://b", False),
        ("http://A", "http://a", True),
    ],
)
def test_whether_two_are_of_one_origin(before: str, after: str, same: bool) -> None:
    assert parse_target(before, None).is_same_origin(parse_target(after, None)) == same


def test_through_a_proxy() -> None:
    plain = parse_target("http://u:p@a:8080/x?y", "http://proxy:3128")
    assert plain.origin.is_forwarded
    assert plain.request_target([("z", "1")]) == "http://a:8080/x?y&z=1"
    assert plain.full_url([("z", "1")]) == "http://a:8080/x?y&z=1"
    secure = parse_target("https://a/x", "http://proxy:3128")
    assert not secure.origin.is_forwarded
    assert secure.request_target([]) == "/x"
    assert secure.full_url([]).endswith("/x")
    assert plain.origin != parse_target("http://a:8080/x", None).origin
    assert parse_target("http://a", "http://u:p@proxy", is_direct=True).origin.proxy is None
    with pytest.raises(TransportInvalidURL, match="proxy"):
        parse_target("http://a", "socks5://proxy")


def test_the_environment_s_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://plain:1")
    monkeypatch.setenv("https_proxy", "http://secure:2")
    monkeypatch.setenv("ws_proxy", "http://sockets:3")
    monkeypatch.setenv("no_proxy", "direct.example, other.example:8080")

    def proxy(url: str, proxy: bool | None = True) -> str | None:
        found = parse_target(url, proxy).origin.proxy
        return found and found.host

    assert proxy("http://a") == "plain"
    assert proxy("https://a") == "secure"
    assert proxy("http://a", None) is None
    assert proxy("http://direct.example") is None
    assert proxy("http://x.direct.example") is None
    assert proxy("http://other.example:8080") is None
    assert proxy("http://other.example") == "plain"
    assert proxy("http://localhost") is None
    assert proxy("http://127.0.0.1") is None
    assert proxy("http://[::1]") is None
    monkeypatch.delenv("https_proxy")
    assert proxy("https://a") is None
    monkeypatch.setenv("all_proxy", "any:3")
    assert proxy("https://a") == "any"
