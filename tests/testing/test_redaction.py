"""What a recording leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from anygql import FileVar
from anygql.testing import SECRET_NAMES
from anygql.testing.redaction import REDACTED, Redaction


@pytest.fixture
def redaction() -> Redaction:
    return Redaction(SECRET_NAMES)


@pytest.mark.parametrize(
    "name",
    ["Authorization", "accessToken", "X-Api-Key", "api_key", "newPassword", "Set-Cookie", "JWT"],
)
def test_secret_names(redaction: Redaction, name: str) -> None:
    assert redaction.is_secret(name)


@pytest.mark.parametrize("name", ["name", "tokenCount", "nextToken", "pageToken", "isSecretive"])
def test_other_names(redaction: Redaction, name: str) -> None:
    assert not redaction.is_secret(name)


def test_own_names() -> None:
    redaction = Redaction(["pin", "Tax-ID"])
    assert redaction.names == ("pin", "Tax-ID")
    assert redaction.is_secret("userTaxId")
    assert not redaction.is_secret("password")
    assert not Redaction([]).is_secret("password")
    with pytest.raises(TypeError, match="several names, not one text"):
        Redaction("password")


def test_the_shape_is_kept(redaction: Redaction) -> None:
    value: dict[str, Any] = {
        "user": {"name": "ada", "password": "hunter2", "passwordless": "x"},
        "credentials": {"id": 7, "parts": ["a", None, True]},
        "pages": [{"nextToken": "n", "token": "t"}],
    }
    assert redaction.value(value) == {
        "user": {"name": "ada", "password": REDACTED, "passwordless": "x"},
        "credentials": {"id": 0, "parts": [REDACTED, None, True]},
        "pages": [{"nextToken": "n", "token": REDACTED}],
    }
    file = FileVar(b"1", filename="a.txt")
    assert redaction.value({"a": file}) == {"a": {"file": "a.txt", "content_type": "text/plain"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ a(password: "hunter2") }', '{ a(password: "REDACTED") }'),
        ('{ a(in: {token:"a\\"b", n: "x"}) }', '{ a(in: {token:"REDACTED", n: "x"}) }'),
        ('{ a(secret: """x\n"y" """) }', '{ a(secret: "REDACTED") }'),
        ('{"password": "x", "a": 1}', '{"password": "REDACTED", "a": 1}'),
        ('{"password": "cut of', '{"password": "REDACTED"'),
        ("{ password: passwordField }", "{ password: passwordField }"),
        ("Bearer abcdefgh12345 was wrong", "Bearer REDACTED was wrong"),
        ('{ a(url: "https://u:p@h/x") }', '{ a(url: "https://REDACTED@h/x") }'),
        (
            "see https://ghp_1@h?access_token=x&a=b",
            "see https://REDACTED@h?access_token=REDACTED&a=b",
        ),
        (
            "s3://b/k?X-Amz-Signature=1a&X-Amz-Date=2",
            "s3://b/k?X-Amz-Signature=REDACTED&X-Amz-Date=2",
        ),
        ("https://h/@ada?pageToken=3#token=4", "https://h/@ada?pageToken=3#token=4"),
        ("the bearer of news", "the bearer of news"),
        ("{ a(id: 1) }", "{ a(id: 1) }"),
    ],
)
def test_texts(redaction: Redaction, text: str, expected: str) -> None:
    assert redaction.text(text) == expected


def test_names_that_a_document_gives(redaction: Redaction) -> None:
    document = """
        mutation Login($user: String!, $p: String!, $q: [Token]) {
          login(user: $user, password: $p, in: {apiKey: $q}) { t: accessToken name: title }
        }
    """
    assert redaction.secret_variables(document) == {"p", "q"}
    assert redaction.secret_aliases(document) == {"t"}
    value = {"t": ["x", 5], "text": "x", "name": "Bearer abcdefgh is wrong"}
    assert redaction.value(value, {"t"}) == {
        "t": [REDACTED, 0],
        "text": "x",
        "name": "Bearer REDACTED is wrong",
    }
