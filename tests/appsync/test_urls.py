"""Where an API's real-time endpoint is, and what a signature says of its HTTP endpoint."""

from __future__ import annotations

import pytest

from anygql.appsync.urls import connect_url, host_of, realtime_url, region_of

ID = "abcdefghijklmnopqrstuvwxyz"
API = f"{ID}.appsync-api.eu-west-1.amazonaws.com"
CHINA = f"{ID}.appsync-api.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize(
    ("endpoint", "realtime"),
    [
        (
            f"https://{API}/graphql",
            f"wss://{ID}.appsync-realtime-api.eu-west-1.amazonaws.com/graphql",
        ),
        (
            f"https://{CHINA}/graphql",
            f"wss://{ID}.appsync-realtime-api.cn-north-1.amazonaws.com.cn/graphql",
        ),
        ("https://api.example.org/graphql", "wss://api.example.org/graphql/realtime"),
        ("https://api.example.org/graphql/", "wss://api.example.org/graphql/realtime"),
        ("https://api.example.org:8443/g?a=b", "wss://api.example.org:8443/g/realtime?a=b"),
        ("http://127.0.0.1:20002/graphql", "ws://127.0.0.1:20002/graphql/realtime"),
        # No id of an API's: somebody's own domain.
        (
            "https://short.appsync-api.eu-west-1.amazonaws.com/graphql",
            "wss://short.appsync-api.eu-west-1.amazonaws.com/graphql/realtime",
        ),
        (f"https://{API}.example.org/graphql", f"wss://{API}.example.org/graphql/realtime"),
    ],
)
def test_the_realtime_endpoint(endpoint: str, realtime: str) -> None:
    assert realtime_url(endpoint) == realtime


def test_parameters_are_percent_encoded_and_follow_the_endpoints_own() -> None:
    url = realtime_url("https://api.example.org/graphql?a=b%20c", header="a+/=", payload="e30=")
    assert url == (
        "wss://api.example.org/graphql/realtime?a=b%20c&header=a%2B%2F%3D&payload=e30%3D"
    )


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (f"https://{API}/graphql", "eu-west-1"),
        (f"https://{API.upper()}:443/graphql", "eu-west-1"),
        (f"https://{CHINA}/graphql", "cn-north-1"),
        (f"https://{ID}.appsync-api.us-gov-west-1.amazonaws.com/graphql", "us-gov-west-1"),
        ("https://api.example.org/graphql", None),
        ("http://127.0.0.1:20002/graphql", None),
    ],
)
def test_the_region(url: str, region: str | None) -> None:
    assert region_of(url) == region


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (f"https://{API}/graphql", API),
        ("https://user:pass@Example.org:443/", "example.org"),
        ("http://example.org:443/", "example.org:443"),
        ("http://[::1]:80/", "[::1]"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_the_host(url: str, host: str) -> None:
    assert host_of(url) == host


def test_what_the_handshake_is_signed_for() -> None:
    assert connect_url(f"https://{API}/graphql") == f"https://{API}/graphql/connect"
    assert connect_url("https://api.example.org/g/?a=b") == "https://api.example.org/g/connect?a=b"
