"""The file of a recording."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import anygql
from anygql import TransportConnectionFailed, TransportError, TransportQueryError
from anygql.testing import cassette
from anygql.testing.cassette import (
    Arrival,
    Cassette,
    ConnectionRecord,
    OperationRecord,
    read_cassette,
    write_cassette,
)
from anygql.testing.tape import Tape

ERRORS = [
    error
    for error in vars(anygql.exceptions).values()
    if inspect.isclass(error) and issubclass(error, TransportError)
]


def recording() -> Cassette:
    operation = OperationRecord(
        kind="query",
        name="Größe",
        document=["query Größe {", "  größe", "}"],
        at=0.5,
        results=[Arrival(0.25, {"größe": 2**70})],
    )
    return Cassette(1, "http://h", connections=[ConnectionRecord(at=0.0, operations=[operation])])


def test_it_is_readable_and_stable(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cassette.json"
    write_cassette(recording(), path)
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert '          "document": [\n            "query Größe {",\n' in text
    assert "secrets" not in text
    assert read_cassette(path) == recording()
    write_cassette(read_cassette(path), path)
    assert path.read_text(encoding="utf-8") == text
    assert [each.name for each in path.parent.iterdir()] == ["cassette.json"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "cassette.json"
    write_cassette(recording(), path)
    before = path.read_bytes()

    def interrupt(*_args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*((cassette.os, step) if step == "fsync" else (Path, step)), interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_cassette(Cassette(1, "other"), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no cassette that a Recorder has written"),
        ('{"anygql_cassette": 1', "no cassette that a Recorder has written"),
        ("[" * 100_000, "no cassette that a Recorder has written"),
        ('{"a": 1}', "missing required field"),
        ('{"anygql_cassette": 2, "recorded_from": ""}', "version 2, and this anygql reads"),
    ],
)
def test_what_is_no_cassette(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "cassette.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_cassette(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cassette\.json"):
        read_cassette(tmp_path / "cassette.json")


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_come_back_as_they_were(kind: Any) -> None:
    error = kind("what happened", code=400, headers={"a": "b"}, body="c", errors=[{"message": "d"}])
    error.unsent, error.retry_after = True, 2.0
    again = Tape("", []).failure(error).to_error()
    assert type(again) is kind
    assert again.args == error.args
    assert vars(again) == vars(error) | {"retryable": error.retryable} or vars(again) == vars(error)
    assert again.retryable == error.retryable


def test_particular_errors() -> None:
    tape = Tape("", ["token"])
    error = TransportQueryError("x", data={"a": 1}, extensions={"token": "t"})
    again = tape.failure(error).to_error()
    assert isinstance(again, TransportQueryError)
    assert (again.data, again.extensions) == ({"a": 1}, {"token": "REDACTED"})
    final = TransportConnectionFailed("x", retryable=False, body='{"token": "t"}', reason="r")
    again = tape.failure(final).to_error()
    assert (again.retryable, again.body, again.reason) == (False, '{"token": "REDACTED"}', "r")

    class Own(TransportConnectionFailed):
        pass

    assert type(tape.failure(Own("x")).to_error()) is TransportConnectionFailed
