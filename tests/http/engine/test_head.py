"""The head of a request, and what ``transport_args`` say of one call."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any

import pytest

from anygql.http.engine.head import CallOptions, head_lines, param_pairs
from anygql.http.engine.target import parse_target
from anygql.version import VERSION

TARGET = parse_target("http://a:8080/x", None)


def head(*headers: Any, method: str = "POST", target: Any = TARGET) -> list[bytes]:
    return head_lines(method, target, "/x", list(headers)).split(b"\r\n")


def test_a_head() -> None:
    agent = f"User-Agent: anygql/{VERSION}".encode()
    assert head() == [b"POST /x HTTP/1.1", b"Host: a:8080", agent, b""]
    assert head(("X", " é \t"), ("Y", b"\xe9"), ("Z", "")) == [
        b"POST /x HTTP/1.1",
        b"Host: a:8080",
        b"X: \xe9",
        b"Y: \xe9",
        b"Z: ",
        agent,
        b"",
    ]


def test_host_and_user_agent_may_be_the_user_s() -> None:
    lines = head(("hOST", "b"), ("user-agent", "me"))
    assert lines == [b"POST /x HTTP/1.1", b"hOST: b", b"user-agent: me", b""]


def test_credentials_for_a_proxy() -> None:
    line = b"Proxy-Authorization: Basic dTpw"
    assert line in head(target=parse_target("http://a", "http://u:p@proxy"))
    assert line not in head(target=parse_target("https://a", "http://u:p@proxy"))


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\x1b", "\x7f", "\N{SNOWMAN}", "\u2028"])
@pytest.mark.parametrize("where", ["in", "before", "behind"])
def test_what_cannot_be_sent(bad: str, where: str) -> None:
    value = {"in": f"s3{bad}cret", "before": f"{bad}s3cret", "behind": f"s3cret{bad}"}[where]
    values = [value, value.encode("latin-1")] if bad < "\x80" else [value]
    for each in values:
        with pytest.raises(ValueError) as caught:
            head(("X", each))
        assert "cret" not in str(caught.value)
    with pytest.raises(ValueError) as caught:
        head((f"X{bad}" if where == "behind" else f"{bad}X", "s3cret"))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "X:", "X Y", "é", "X(", '"X"'])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="a name that can't be sent"):
        head((name, "x"))


@pytest.mark.parametrize("name", ["Content-Length", "content-length", "Transfer-Encoding"])
def test_framing_is_the_client_s(name: str) -> None:
    with pytest.raises(ValueError, match="says where the body ends"):
        head((name, "5"))


@pytest.mark.parametrize("pair", [("X", 5), ("X", None), (5, "x"), (b"X", "x")])
def test_what_is_no_text(pair: Any) -> None:
    with pytest.raises(TypeError, match="names and values are str"):
        head(pair)


@pytest.mark.parametrize(
    ("params", "pairs"),
    [
        (None, ()),
        ({}, ()),
        ({"a": "b", "c": 1, "d": True, "e": None, "f": 1.5}, "a=b c=1 d=true e= f=1.5"),
        ({"a": ["b", False], "c": ()}, "a=b a=false"),
        ([("a", "b"), ("a", "c")], "a=b a=c"),
    ],
)
def test_params(params: Any, pairs: Any) -> None:
    if isinstance(pairs, str):
        pairs = tuple(tuple(pair.split("=")) for pair in pairs.split(" "))
    assert param_pairs(params) == pairs


@pytest.mark.parametrize("params", ["a=b", b"a=b", 5])
def test_what_are_no_params(params: Any) -> None:
    with pytest.raises(TypeError, match="mapping or pairs"):
        param_pairs(params)


def test_options_of_a_call() -> None:
    assert CallOptions.parse({}) is CallOptions.parse({"headers": {}, "progress": None})
    assert not CallOptions.parse({}).has_timeout
    options = CallOptions.parse({"timeout": None, "follow_redirects": 1, "cookies": {"a": "b"}})
    assert options.has_timeout
    assert options.timeout is None
    assert options.follow_redirects is True
    assert options.cookies == {"a": "b"}
    assert CallOptions.parse({"timeout": 1.5}).timeout == 1.5
    jar = CookieJar()
    assert CallOptions.parse({"cookies": jar}).cookies is jar
    assert CallOptions.parse({"auth": ("ü", b"p")}).authorization == "Basic w7w6cA=="


@pytest.mark.parametrize("timeout", [-1, -1.0, 0, float("nan")])
def test_time_limits_that_are_none(timeout: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        CallOptions.parse({"timeout": timeout})


@pytest.mark.parametrize(
    "args",
    [
        {"extensions": {"trace": print}},
        {"auth": object()},
        {"auth": "u:p"},
        {"auth": ("u",)},
        {"auth": ("u", None)},
        {"timeout": (1, 2)},
        {"timeout": "5"},
        {"cookies": "a=b"},
        {"cookies": [("a", "b")]},
    ],
)
def test_what_only_httpx_knows(args: Any) -> None:
    with pytest.raises(TypeError, match=r"client=httpx\.AsyncClient"):
        CallOptions.parse(args)
