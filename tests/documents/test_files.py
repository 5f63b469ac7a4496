"""Uploads, without any I/O: variables and files in, the fields of a request out.

An id or name with a number is about that point of the multipart request specification: 1 the order.
2 files are null in the variables. 3 map values are arrays. 4 one file at many paths is sent once.
5 paths through lists and input objects. 6 batches prefix the path. 7 unique field names.
"""

from __future__ import annotations

import io
import json
from collections import UserDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anygql.documents.files import (
    FileVar,
    UploadField,
    extract_batch_files,
    extract_files,
    upload_fields,
)
from anygql.json import MsgspecJSON

A, B = FileVar(b"a", filename="a.txt"), FileVar(b"b", filename="b.txt")


class Chunks:
    """An async iterator of bytes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


@dataclass
class Input:
    file: Any
    title: str = "t"


class Node(msgspec.Struct, rename="camel", tag_field="kind", tag="node"):
    the_file: Any
    left_out: Any = msgspec.UNSET


EXTRACTED = [
    pytest.param({"file": A}, {"file": None}, [(A, ["variables.file"])], id="2-3-single"),
    pytest.param(
        {"files": [A, B]},
        {"files": [None, None]},
        [(A, ["variables.files.0"]), (B, ["variables.files.1"])],
        id="5-list",
    ),
    pytest.param(
        {"input": {"images": [{"file": A, "alt": "x"}, {"file": None}]}},
        {"input": {"images": [{"file": None, "alt": "x"}, {"file": None}]}},
        [(A, ["variables.input.images.0.file"])],
        id="5-input-objects",
    ),
    pytest.param(
        {"a": A, "b": [B, A], "c": {"d": (A,)}},
        {"a": None, "b": [None, None], "c": {"d": [None]}},
        [(A, ["variables.a", "variables.b.1", "variables.c.d.0"]), (B, ["variables.b.0"])],
        id="4-many-paths",
    ),
    pytest.param(
        UserDict({"in": UserDict({"file": A, "n": 1})}),
        {"in": {"file": None, "n": 1}},
        [(A, ["variables.in.file"])],
        id="5-mappings",
    ),
    pytest.param(
        {"in": Input(A)},
        {"in": {"file": None, "title": "t"}},
        [(A, ["variables.in.file"])],
        id="5-dataclass",
    ),
    pytest.param(
        {"in": [Node(A)]},
        {"in": [{"kind": "node", "theFile": None}]},
        [(A, ["variables.in.0.theFile"])],
        id="5-struct",
    ),
    pytest.param({"a": [[[A]]]}, {"a": [[[None]]]}, [(A, ["variables.a.0.0.0"])], id="5-deep"),
]


@pytest.mark.parametrize(("variables", "nulled", "files"), EXTRACTED)
def test_extracting(variables: Any, nulled: Any, files: Any) -> None:
    before = repr(variables)
    assert extract_files(variables) == (nulled, files)
    assert repr(variables) == before
    MsgspecJSON().encode(nulled)


@pytest.mark.parametrize(
    "variables",
    [
        None,
        {},
        {"a": [1, "text", b"bytes", None, {"b": (1.5, {2})}], "c": Input(None), "d": Node(1)},
        UserDict({"a": UserDict()}),
    ],
)
def test_variables_without_files_are_given_back_as_they_are(variables: Any) -> None:
    nulled, files = extract_files(variables)
    assert nulled is variables
    assert files == []


def test_what_holds_no_file_is_shared() -> None:
    variables = {"file": A, "rest": {"a": [1, 2, 3]}}
    nulled, _ = extract_files(variables)
    assert nulled["rest"] is variables["rest"]


def test_equal_files_are_not_the_same() -> None:
    first, second = FileVar(b"x"), FileVar(b"x")
    _, files = extract_files({"a": first, "b": second})
    assert [file for file, _ in files] == [first, second]
    assert first is not second


def test_variables_within_themselves() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="within itself"):
        extract_files({"a": loop})


def test_6_batches_prefix_the_path() -> None:
    batch = [{"a": A}, None, {"b": [A, B]}]
    assert extract_batch_files(batch) == (
        [{"a": None}, None, {"b": [None, None]}],
        [(A, ["0.variables.a", "2.variables.b.0"]), (B, ["2.variables.b.1"])],
    )


def test_the_fields_of_a_request() -> None:
    variables, files = extract_files({"a": A, "more": [B, A]})
    operations = json.dumps({"query": "…", "variables": variables}).encode()
    fields = upload_fields(operations, files)
    assert [field.name for field in fields] == ["operations", "map", "0", "1"]  # 1, 7
    assert fields[0] == UploadField("operations", operations)
    assert isinstance(fields[1].value, bytes)
    assert json.loads(fields[1].value) == {  # 3
        "0": ["variables.a", "variables.more.1"],
        "1": ["variables.more.0"],
    }
    assert fields[2].value is A  # 4: once
    assert fields[3].value is B


def test_7_names_are_unique() -> None:
    _, files = extract_files({"files": [FileVar(b"") for _ in range(300)]})
    fields = upload_fields(b"{}", files)
    assert len({field.name for field in fields}) == 302


def put(tree: Any, path: str, value: Any) -> None:
    """What a server does with an entry of the map."""
    *before, last = path.split(".")
    for key in before:
        tree = tree[int(key)] if isinstance(tree, list) else tree[key]
    key = int(last) if isinstance(tree, list) else last
    assert tree[key] is None
    tree[key] = value


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([A, B, None, 1, "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from("abc"), VALUES))
def test_a_server_puts_the_files_back(variables: dict[str, Any]) -> None:
    nulled, files = extract_files(variables)
    operations = {"variables": json.loads(MsgspecJSON().encode(nulled))}
    for file, paths in files:
        for path in paths:
            put(operations, path, file)
    assert operations["variables"] == variables


NAMED_FILE = io.BytesIO(b"x")
NAMED_FILE.name = "/tmp/dir/photo.png"
NUMBERED_FILE = io.BytesIO(b"x")
NUMBERED_FILE.name = 3  # type: ignore[assignment]

NAMED = [
    pytest.param(FileVar("/some/dir/a.png"), "a.png", "image/png", id="path"),
    pytest.param(FileVar(Path("dir/é.txt")), "é.txt", "text/plain", id="path-object"),
    pytest.param(FileVar("/some/dir/"), "file", "application/octet-stream", id="path-of-folder"),
    pytest.param(FileVar(b"x"), "file", "application/octet-stream", id="bytes"),
    pytest.param(FileVar(bytearray(b"x")), "file", "application/octet-stream", id="bytearray"),
    pytest.param(FileVar(io.BytesIO(b"x")), "file", "application/octet-stream", id="file"),
    pytest.param(FileVar(NAMED_FILE), "photo.png", "image/png", id="named-file"),
    pytest.param(FileVar(NUMBERED_FILE), "file", "application/octet-stream", id="numbered-file"),
    pytest.param(FileVar(Chunks()), "file", "application/octet-stream", id="chunks"),
    pytest.param(FileVar("a.png", filename="b.json"), "b.json", "application/json", id="given"),
    pytest.param(FileVar("a.png", content_type="x/y"), "a.png", "x/y", id="given-type"),
]


@pytest.mark.parametrize(("file", "filename", "content_type"), NAMED)
def test_names_and_types(file: FileVar, filename: str, content_type: str) -> None:
    assert file.filename == filename
    assert file.content_type == content_type
    assert repr(file).startswith(f"<FileVar {filename!r}")


def test_the_content_is_not_shown() -> None:
    assert repr(FileVar(b"secret", filename="a")) == "<FileVar 'a', 6 bytes>"
    assert "secret" not in repr(extract_files({"a": FileVar(b"secret")}))


def test_what_can_be_sent_again() -> None:
    assert FileVar(b"x").replayable
    assert FileVar("x").replayable
    assert not FileVar(io.BytesIO(b"x")).replayable
    assert not FileVar(Chunks()).replayable


@pytest.mark.parametrize("file", [None, 3, [b"x"], {}], ids=repr)
def test_what_is_no_file(file: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(file).__name__}"):
        FileVar(file)


def test_a_text_file_is_refused() -> None:
    with pytest.raises(TypeError, match="binary mode"):
        FileVar(io.StringIO("x"))  # type: ignore[arg-type]
