"""Headers: the forms they are given in, and what can't be sent."""

from __future__ import annotations

from typing import Any

import pytest

from anygql.net.headers import basic_auth, check_header, is_token, pairs, user_agent
from anygql.version import VERSION


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, []),
        ({}, []),
        ({"A": "1", "B": "2"}, [("A", "1"), ("B", "2")]),
        ([("A", "1"), ("A", "2")], [("A", "1"), ("A", "2")]),
        (iter([("A", "1")]), [("A", "1")]),
    ],
)
def test_pairs(given: Any, expected: list[tuple[str, str]]) -> None:
    assert pairs(given) == expected


@pytest.mark.parametrize("value", ["", "a b", "\ta", "caf\xe9", "x" * 10_000])
def test_values_that_can_be_sent(value: str) -> None:
    check_header("X-Some", value)


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\x7fb", "\u017c"])
def test_values_that_can_t(value: str) -> None:
    with pytest.raises(ValueError, match="'X-Some'") as caught:
        check_header("X-Some", value)
    assert value not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "\xe9", "a,b"])
def test_names_that_can_t(name: str) -> None:
    assert not is_token(name)
    with pytest.raises(ValueError, match="can't be the name of a header"):
        check_header(name, "1")


def test_what_we_send() -> None:
    assert user_agent() == f"anygql/{VERSION}"
    assert basic_auth("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
