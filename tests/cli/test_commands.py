"""The other commands, in this process: schema, check, upload, batch, completion, help."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from graphql import build_schema, graphql_sync

from anygql import load_schema
from anygql.cli.help import help_text
from anygql.cli.mocking import add_mocks
from anygql.cli.root import CLI
from tests.cli.conftest import Command, Served
from tests.support.http_peer import http, peer

COMMANDS = [
    "execute",
    "subscribe",
    "schema",
    "check",
    "upload",
    "batch",
    "doctor",
    "serve",
    "completion",
]

OLD = """
type Query { "The first." a(b: Int = 3): String @deprecated(reason: "old") c: E } enum E { X Y }
"""
NEW = "type Query { a(b: Int): String c: E d: Int } enum E { X Y Z }\n"
BROKEN = "type Query { c: E } enum E { X }\n"


def test_help(command: Command) -> None:
    listed = command("--help").out
    assert listed == help_text()  # which is printed without click, too
    for name in COMMANDS:
        assert f"  {name} " in listed
        assert CLI.get_command(None, name) is not None  # type: ignore[arg-type]
    assert "Usage: anygql schema diff" in command("schema", "diff", "-h").out
    assert command("--version").out.startswith("anygql ")
    for name in COMMANDS:
        shown = command(name, "--help").out
        assert max(map(len, shown.splitlines())) <= 100


@pytest.fixture
def schemas(folder: Path) -> None:
    for name, text in (("old", OLD), ("new", NEW), ("broken", BROKEN)):
        (folder / f"{name}.graphql").write_text(text)


def test_fetching_a_schema(command: Command, served: Served, folder: Path) -> None:
    sdl = command("schema", "fetch", served.url).out
    assert load_schema(sdl).type_map["Subscription"]
    assert '"""A greeting."""' in sdl
    assert command("schema", "fetch", "demo_app:schema").out == sdl
    plain = command("schema", "fetch", served.url, "--no-descriptions").out
    assert "A greeting." not in plain
    ran = command("schema", "fetch", served.url, "--json", "-o", "schema.json")
    assert (ran.out, ran.err) == ("", "written to schema.json\n")
    assert "__schema" in json.loads((folder / "schema.json").read_text())
    assert command("schema", "show", "schema.json", "Mutation.increment").out == (
        '"""Add to the counter."""\nincrement(by: Int! = 1): Int!\n'
    )


@pytest.mark.usefixtures("schemas")
def test_showing_a_schema(
    command: Command, monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    assert command("schema", "show", "old.graphql", "E").out == "enum E {\n  X\n  Y\n}\n"
    assert command("schema", "show", "old.graphql", "E.X").out == "X\n"
    assert command("schema", "show", "--schema", "old.graphql", "Query.a").out == (
        '"""The first."""\na(b: Int = 3): String @deprecated(reason: "old")\n'
    )
    assert "type Query" in command("schema", "show", "demo_app:schema").out
    monkeypatch.setenv("ANYGQL_URL", served.url)
    assert command("schema", "show", "Query.add").out.endswith("add(a: Int!, b: Int!): Int!\n")
    ran = command("schema", "show", "old.graphql", "Qery", code=2)
    assert "no type 'Qery'. Did you mean 'Query'?" in ran.err
    assert "Query has no 'x'" in command("schema", "show", "old.graphql", "Query.x", code=2).err


@pytest.mark.usefixtures("schemas")
def test_comparing_schemas(command: Command) -> None:
    same = command("schema", "diff", "old.graphql", "old.graphql")
    assert (same.out, same.err) == ("", "no breaking and no dangerous changes\n")
    added = command("schema", "diff", "old.graphql", "new.graphql")
    assert "dangerous: " in added.out
    given = ("schema", "diff", "old.graphql", "new.graphql", "--fail-on", "dangerous")
    assert command(*given, code=7).out == added.out
    broken = command("schema", "diff", "old.graphql", "broken.graphql", code=7)
    assert "breaking: " in broken.out
    command("schema", "diff", "old.graphql", "broken.graphql", "--fail-on", "nothing")
    assert (
        "nothing.graphql" in command("schema", "diff", "old.graphql", "nothing.graphql", code=2).err
    )


@pytest.mark.usefixtures("schemas")
def test_checking_documents(command: Command, folder: Path) -> None:
    docs = folder / "docs"
    docs.mkdir()
    (docs / "parts.graphql").write_text("fragment Part on Query { c }\n")
    (docs / "good.graphql").write_text("query Good { c ...Part }\n")
    (docs / "node_modules").mkdir()
    (docs / "node_modules" / "other.graphql").write_text("not ours")
    good = command("check", "--schema", "old.graphql", "docs")
    assert (good.out, good.err) == ("", "2 documents: 0 errors, 0 warnings\n")
    (docs / "old.gql").write_text("{\n  a\n}\n")
    (docs / "app.py").write_text(
        'from anygql import gql\n\nONE = gql("{ nothing }")\nTWO = gql("""\n  { c(x: 1) }\n""")\n'
        "THREE = other('{ nothing }')\n"
    )
    (docs / "bad.graphql").write_text("{ c { ")
    ran = command("check", "--schema", "old.graphql", "docs", code=7)
    assert [line.partition("docs/")[2] for line in ran.out.splitlines()] == [
        "app.py:3:14: error: Cannot query field 'nothing' on type 'Query'.",
        "app.py:5:7: error: Unknown argument 'x' on field 'Query.c'.",
        "bad.graphql:1:7: error: Syntax Error: Expected Name, found <EOF>.",
        "old.gql:2:3: warning: The field Query.a is deprecated. old",
    ]
    assert ran.err == "6 documents: 3 errors, 1 warning\n"
    command("check", "--schema", "old.graphql", "docs/old.gql")
    command("check", "--schema", "old.graphql", "docs/old.gql", "--strict", code=7)
    command("check", "--schema", "demo_app:schema", "docs/good.graphql", code=7)
    assert "missing" in command("check", "--schema", "old.graphql", "missing.gql", code=2).err
    assert "say where the schema is" in command("check", "docs", code=2).err


@pytest.mark.usefixtures("schemas")
def test_checking_a_folder_without_documents(command: Command, folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / "docs" / "app.py").write_text("X = 1\n")
    (folder / "docs" / "empty.graphql").write_text("\n")
    (folder / "good.graphql").write_text("{ c }\n")
    ran = command("check", "--schema", "old.graphql", "good.graphql", "docs", code=2)
    assert ran.out == ""
    assert "docs: no documents in this folder: no *.graphql, no *.gql, and no gql" in ran.err
    ran = command("check", "--schema", "old.graphql", "docs/app.py", "docs/empty.graphql")
    assert ran.err == "0 documents: 0 errors, 0 warnings\n"


UPLOAD = "mutation ($file: Upload!, $files: [Upload!], $n: Int) { upload(file: $file) }"


def test_uploading_files(command: Command, portal: BlockingPortal, folder: Path) -> None:
    (folder / "a.txt").write_text("the first")
    (folder / "b.bin").write_bytes(b"the second")
    with portal.wrap_async_context_manager(peer(http('{"data":{"upload":1}}'))) as server:
        given = ("upload", server.url, "-q", UPLOAD, "-V", "n=1", "-f", "variables.file=@a.txt")
        more = ("-f", "variables.files.0=@b.bin;type=image/png", "-f", "variables.files.1=@a.txt")
        ran = command(*given, *more)
        body = server.requests[0].body
    assert (ran.out, ran.err) == ('{"upload":1}\n', "")
    assert b'"variables":{"n":1,"file":null,"files":[null,null]}' in body
    assert b"image/png" in body
    assert b"the first" in body
    assert b"the second" in body


UPLOAD_MISTAKES = [
    ("file=@missing", "there is no file 'missing'"),
    ("file=a.txt", "write variables.NAME=@PATH"),
    ("files.1=@a.txt", "the variables have no place for it"),
    ("n.x=@a.txt", "the variables have no place for it"),
]


@pytest.mark.parametrize(("given", "message"), UPLOAD_MISTAKES)
def test_files_that_can_not_be(command: Command, folder: Path, given: str, message: str) -> None:
    (folder / "a.txt").write_text("")
    arguments = ("-q", UPLOAD, "-V", "n=1", "-f", f"variables.{given}")
    assert message in command("upload", "http://x/", *arguments, code=2).err
    ran = command("upload", "ws://x/", *arguments[:-1], "variables.file=@a.txt", code=2)
    assert "files go over HTTP" in ran.err


def test_batches(command: Command, served: Served, folder: Path) -> None:
    operations: list[dict[str, Any]] = [
        {"query": "query ($n: String!) { hello(name: $n) }", "variables": {"n": str(number)}}
        for number in range(25)
    ]
    (folder / "in.ndjson").write_text("\n\n".join(map(json.dumps, operations)))
    ran = command("batch", served.url, "in.ndjson", "--size", "7")
    results = [json.loads(line) for line in ran.out.splitlines()]
    assert results == [{"data": {"hello": f"Hello {number}!"}} for number in range(25)]
    (folder / "in.ndjson").write_text(json.dumps({"query": "{ fail }"}))
    ran = command("batch", served.url, "in.ndjson", code=1)
    assert json.loads(ran.out)["errors"][0]["message"] == "this field always fails"
    assert ran.err == "1 of 1 have errors\n"


def test_a_batch_is_one_request_over_http(
    command: Command, portal: BlockingPortal, folder: Path
) -> None:
    (folder / "in.ndjson").write_text('{"query": "{ a }"}\n{"query": "{ b }"}\n')
    answer = http('[{"data":{"a":1}},{"data":{"b":2}}]')
    with portal.wrap_async_context_manager(peer(answer)) as server:
        ran = command("batch", server.url, "in.ndjson")
        assert [each["query"] for each in server.requests[0].json] == ["{ a }", "{ b }"]
    assert ran.out == '{"data":{"a":1}}\n{"data":{"b":2}}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: "),
        ('{"query": "{"}', "line 2: Syntax Error"),
        ('{"query": 1}', "line 2: "),
        ("{}", "line 2: "),
        ('{"query": "subscription { a }"}', "line 2: a subscription has many results"),
    ],
)
def test_mistakes_in_a_batch(command: Command, folder: Path, line: str, message: str) -> None:
    (folder / "in.ndjson").write_text('{"query": "{ a }"}\n' + line)
    ran = command("batch", "ws://127.0.0.1:1/", "in.ndjson", code=2)
    assert message in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(command: Command, folder: Path, shell: str) -> None:
    script = command("completion", shell).out
    assert "_ANYGQL_COMPLETE" in script
    if shutil.which(shell) is not None:
        (folder / "script").write_text(script)
        subprocess.run([shell, "-n", "script"], check=True, timeout=30)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("anygql sch", "schema"), ("anygql schema d", "diff"), ("anygql execute --ba", "--backend")],
)
def test_what_is_completed(words: str, wanted: str) -> None:
    from click.shell_completion import BashComplete

    *given, incomplete = words.split()[1:]
    found = BashComplete(CLI, {}, "anygql", "_ANYGQL_COMPLETE").get_completions(given, incomplete)
    assert [item.value for item in found] == [wanted]


MOCKED = """
type Query {
  id: ID! name: String n: Int f: Float b: Boolean e: E list: [Thing!]! any: Any when: When
}
enum E { FIRST SECOND }
scalar When
interface Any { id: ID! }
type Thing implements Any { id: ID! size: Int }
"""


def test_mocked_values() -> None:
    schema = build_schema(MOCKED)
    add_mocks(schema, 1)
    query = "{ id name n f b e list { size } any { __typename id } when }"
    result = graphql_sync(schema, query)
    assert result.errors is None
    assert result.data is not None
    assert (result.data["b"], result.data["e"]) == (True, "FIRST")
    assert isinstance(result.data["n"], int)
    assert isinstance(result.data["f"], float)
    assert result.data["name"].startswith("name ")
    assert len(result.data["list"]) == 2
    assert result.data["any"]["__typename"] == "Thing"
