"""``anygql execute``, in this process: arguments, formats and exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from anygql.cli.arguments import read_headers, read_variables
from anygql.documents.request import as_request
from anygql.testing import GraphQLServer, demo_schema
from tests.cli.conftest import Command, Served
from tests.support.http_peer import http, peer

HELLO = "query Hello($name: String) { hello(name: $name) }"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_query_over_a_websocket(command: Command, served: Served, backend: str) -> None:
    ran = command(served.url, "-q", HELLO, "-V", "name=Ada", "--backend", backend)
    assert ran.out == '{"hello":"Hello Ada!"}\n'
    assert ran.err == ""
    assert served.received() == ["connection_init", "subscribe"]


@pytest.mark.parametrize(
    "arguments", [["demo_app:schema"], ["execute", "demo_app:schema"]], ids=["short", "long"]
)
def test_a_schema_in_a_module(command: Command, arguments: list[str]) -> None:
    assert command(*arguments, "-q", "{ add(a: 1, b: 2) }").out == '{"add":3}\n'


def test_the_document_from_a_file_or_stdin(
    command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "q.graphql").write_text("\ufeff" + HELLO, encoding="utf-8")
    wanted = '{"hello":"Hello world!"}\n'
    assert command("demo_app:schema", "q.graphql", "-V", "name=world").out == wanted
    assert command("demo_app:schema", "-q", "@q.graphql", "-V", "name=world").out == wanted
    for arguments in (["-"], []):
        monkeypatch.setattr("sys.stdin", io.StringIO("{ hello }"))
        assert command("demo_app:schema", *arguments).out == wanted


def test_the_url_of_the_environment(
    command: Command, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYGQL_URL", served.url)
    for arguments in (["execute", "-q", "{ hello }"], ["-q", "{ hello }"]):
        assert command(*arguments).out == '{"hello":"Hello world!"}\n'


def test_phoenix_channels(command: Command, portal: BlockingPortal) -> None:
    server = GraphQLServer(demo_schema(), protocols=["phoenix"])
    with portal.wrap_async_context_manager(server):
        url = portal.call(server.listen)
        arguments = [url, "--protocol", "phoenix", "--init-payload", '{"token": "s3cret"}', "-vv"]
        ran = command(*arguments, "-q", "{ hello }")
        assert ran.out == '{"hello":"Hello world!"}\n'
        assert "phx_join" in ran.err
        assert "s3cret" not in ran.err
        assert server.connections[0].path.endswith("?vsn=2.0.0&token=s3cret")
    ran = command(
        "ws://x/", "--protocol", "phoenix", "--init-payload", '{"a": []}', "-q", "{ a }", code=2
    )
    assert "--init-payload: params['a'] is a text, a number or a boolean, not list" in ran.err


def test_an_endpoint_of_pyproject(command: Command, served: Served, folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        f'[tool.anygql.endpoints.demo]\nurl = "{served.url}"\ninit_payload = {{ user = "me" }}\n'
        '[tool.anygql.endpoints.wrong]\nurl = "ws://x"\nheader = 1\n'
    )
    assert command("@demo", "-q", "{ hello }").out == '{"hello":"Hello world!"}\n'
    assert served.server.connections[-1].received[0]["payload"] == {"user": "me"}
    ran = command("@other", "-q", "{ hello }", code=2)
    assert ran.err == (
        "error: no pyproject.toml here has [tool.anygql.endpoints.other] (anygql execute --help)\n"
    )
    assert "unknown key 'header'" in command("@wrong", "-q", "{ hello }", code=2).err


FORMATS = [
    ("compact", '{"__type":{"fields":[{"name":"setCounter"},{"name":"increment"}]}}\n'),
    (
        "json",
        """{
  "__type": {
    "fields": [
      {
        "name": "setCounter"
      },
      {
        "name": "increment"
      }
    ]
  }
}
""",
    ),
]


@pytest.mark.parametrize(("form", "wanted"), FORMATS)
def test_formats(command: Command, form: str, wanted: str) -> None:
    query = '{ __type(name: "Mutation") { fields { name } } }'
    assert command("demo_app:schema", "-q", query, "-o", form).out == wanted


def test_formats_of_lists(command: Command) -> None:
    query = '{ __type(name: "Mutation") { fields { name description isDeprecated } } }'
    given = ("demo_app:schema", "-q", query, "--path", "data.__type.fields")
    assert [
        json.loads(line)["name"] for line in command(*given, "-o", "ndjson").out.split()[:0]
    ] == []
    rows = command(*given, "-o", "ndjson").out.splitlines()
    assert [json.loads(row)["name"] for row in rows] == ["setCounter", "increment"]
    assert [line.split() for line in command(*given, "-o", "table").out.splitlines()] == [
        ["name", "description", "isDeprecated"],
        ["setCounter", "Set", "the", "counter.", "false"],
        ["increment", "Add", "to", "the", "counter.", "false"],
    ]
    ran = command("demo_app:schema", "-q", "{ hello }", "--path", "hello", "-o", "raw")
    assert ran.out == "Hello world!\n"


def test_a_path_into_a_list(command: Command) -> None:
    query = '{ __type(name: "Mutation") { fields { name } } }'
    given = ("demo_app:schema", "-q", query, "-o", "raw", "--path")
    assert command(*given, "__type.fields.1.name").out == "increment\n"
    assert "the data have no '7' there" in command(*given, "__type.fields.7.name", code=2).err
    ran = command(*given, "__type.felds", code=2)
    assert "selects no 'felds'" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("__type.fields[0].name", '"setCounter"'),
        ("data.__type.fields[].name | [1]", '"increment"'),
        ("length(__type.fields)", "2"),
        ("__type.fields[7]", "null"),
    ],
)
def test_a_path_by_jmespath(command: Command, path: str, out: str) -> None:
    query = '{ __type(name: "Mutation") { fields { name } } }'
    assert command("demo_app:schema", "-q", query, "--path", path).out == f"{out}\n"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("hello[", "Incomplete expression"),
        ("nope(hello)", "Unknown function"),
        ("length(counter)", "invalid type"),
        ("", "cannot be empty"),
    ],
)
def test_an_expression_that_can_t_be_read(command: Command, path: str, why: str) -> None:
    ran = command("demo_app:schema", "-q", "{ hello counter }", "--path", path, code=2)
    assert why in ran.err
    assert ran.err.count("\n") == 1


def test_jmespath_may_be_missing(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jmespath", None)
    assert command("demo_app:schema", "-q", "{ hello }", "--path", "data.hello").code == 0
    ran = command("demo_app:schema", "-q", "{ hello }", "--path", "length(hello)", code=2)
    assert "pip install jmespath" in ran.err


def test_errors_of_the_answer(command: Command) -> None:
    ran = command("demo_app:schema", "-q", "{ hello fail }", code=1)
    assert ran.out == '{"hello":"Hello world!","fail":null}\n'
    assert ran.err == "error: this field always fails (at fail)\n"
    assert command("demo_app:schema", "-q", "{ hello fail }", "--allow-partial").out == ran.out
    nothing = command("demo_app:schema", "-q", "{ nothing }", "--allow-partial", code=1)
    assert nothing.out == ""
    assert nothing.err == "error: Cannot query field 'nothing' on type 'Query'.\n"


MISTAKES = [
    (
        ["demo_app:schema", "-q", "{ hello"],
        "Syntax Error: Expected Name, found <EOF>. (line 1, column 8)",
    ),
    (["demo_app:schema", "-q", "{ hello }", "q.graphql"], "give -q or a file, not both"),
    (["demo_app:schema", "-q", "{ hello }", "-V", "name"], "write NAME=JSON"),
    (["demo_app:schema", "-q", "{ hello }", "--variables", "{"], "--variables: this is no JSON"),
    (["demo_app:schema", "-q", "{ hello }", "--variables", "[]"], "must be a JSON object"),
    (["demo_app:schema", "missing.graphql"], "missing.graphql: No such file"),
    (["demo_app:other", "-q", "{ hello }"], "has no attribute 'other'"),
    (["no_such_module:schema", "-q", "{ hello }"], "can't import it: No module named"),
    (["json:loads", "-q", "{ hello }"], "a local schema is a graphql.GraphQLSchema"),
    (["ftp://example.org/", "-q", "{ hello }"], "the URL must begin with https:// or http://"),
    (["ws://:0/", "-q", "{ hello }"], "the URL names no host"),
    (["execute", "-q", "{ hello }"], "give a URL, or set ANYGQL_URL"),
    (["execute", "q.graphql"], "and 'q.graphql' is none"),
    (["exeucte"], "'exeucte' is neither a command nor a URL. Did you mean 'execute'?"),
    (["--nonsense"], "No such option"),
    (["demo_app:schema", "-q", "{ a }", "--timeout", "0"], "0"),
    (["ws://x/", "-q", "{ a }", "-H", "hidden-secret"], "-H: write 'Name: value'"),
    (["ws://x/", "-q", "{ a }", "--bearer", "my.secret"], "takes the name of an environment"),
    (["ws://x/", "-q", "{ a }", "--api-key", "NO_SUCH"], "the environment has no NO_SUCH"),
    (["http://x/", "-q", "{ a }", "--init-payload", "{}"], "are for ws:// URLs"),
    (["ws://x/", "-q", "{ a }", "--ca", "missing.pem"], "File 'missing.pem' does not exist"),
    (["demo_app:schema", "-q", " "], "-q: the document is empty"),
    (["raising:schema", "-q", "{ a }"], "raising:schema: its import ended with RuntimeError: no"),
    (["leaving:schema", "-q", "{ a }"], "leaving:schema: its import ended with SystemExit: 0"),
    (["schema", "show", "missing.graphql"], "there is no file 'missing.graphql'"),
    (["completion"], "Choose from: bash, zsh, fish"),
    (["serve", "--schema", "broken.graphql"], "broken.graphql: the SDL text does not parse"),
    (["serve", "--host", "203.0.113.1"], "203.0.113.1, port 0: "),
    (["demo_app:schema", "-q", "query($a: Int!) { add(a: $a, b: 1) }"], "requires $a (Int!)"),
    (["demo_app:schema", "-q", "query A { a } query B { b }"], "say which with operation_name"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_line(
    command: Command, folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "raising.py").write_text('raise RuntimeError("no")')
    (folder / "leaving.py").write_text("import sys\nsys.exit(0)")
    (folder / "broken.graphql").write_text("type Query {")
    ran = command(*arguments, code=2)
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert any(part in ran.err for part in message.split("|")), ran.err
    assert "secret" not in ran.err


def test_nobody_is_there(command: Command) -> None:
    for scheme in ("ws", "http"):
        ran = command(f"{scheme}://127.0.0.1:1/graphql", "-q", "{ hello }", code=3)
        assert ran.err.count("\n") == 1
        assert "127.0.0.1:1" in ran.err


def test_the_time_limit(command: Command, served: Served) -> None:
    command(served.url, "-q", "{ hello }")  # the first command may take longer: it imports
    query = "{ slow(seconds: 60) }"
    ran = command(served.url, "-q", query, "--timeout", "0.5", code=5)
    assert ran.err == "error: not done within 0.5 s\n"
    assert served.received()[-1] == "complete"


@pytest.mark.parametrize(
    ("status", "code"), [(400, 1), (415, 1), (500, 1), (401, 4), (403, 4), (429, 3), (503, 3)]
)
def test_a_status_with_a_list_of_errors(
    command: Command, portal: BlockingPortal, status: int, code: int
) -> None:
    answer = http('{"errors": [{"message": "not so"}]}', status=f"{status} X")
    with portal.wrap_async_context_manager(peer(answer)) as server:
        ran = command(server.url, "-q", "{ a }", code=code)
    assert ran.out == ""
    assert "not so" in ran.err


def test_a_handshake_that_is_refused(command: Command, served: Served) -> None:
    for status, code in ((401, 4), (403, 4), (404, 3)):
        served.server.refuse_with = status
        try:
            ran = command(served.url, "-q", "{ hello }", code=code)
        finally:
            served.server.refuse_with = None
        assert str(status) in ran.err


def variables(whole: str | None, *single: str, document: str) -> dict[str, Any]:
    return read_variables(whole, single, as_request(document))


def test_variables(folder: Path) -> None:
    document = "query ($id: ID!, $text: String, $n: Int, $list: [Int], $o: In) { f }"
    (folder / "v.json").write_text('{"n": 1, "text": "one"}')
    (folder / "text.txt").write_text("a text")
    read = variables(
        "@v.json", "id=001", "n=2", "list=[1,2]", 'o={"a":null}', "unknown=true", document=document
    )
    assert read == {
        "n": 2,
        "text": "one",
        "id": "001",
        "list": [1, 2],
        "o": {"a": None},
        "unknown": True,
    }
    assert variables(None, "text=null", "id=7", document=document) == {"text": "null", "id": "7"}
    assert variables(None, 'text="quoted"', document=document) == {"text": "quoted"}
    assert variables(None, "n:=2", "o=no json", document=document) == {"n": "2", "o": "no json"}
    assert variables(None, "text=@text.txt", document=document) == {"text": "a text"}
    assert variables(None, "text:=@text.txt", document=document) == {"text": "@text.txt"}
    big = variables(None, "n=123456789012345678901234567890", document=document)
    assert big == {"n": 123456789012345678901234567890}


def test_headers(folder: Path) -> None:
    (folder / "h.txt").write_text("A: 1\n\nB: x: y\n")
    assert read_headers(["@h.txt", "C:3"]) == {"A": "1", "B": "x: y", "C": "3"}


class TestPages:
    SCHEMA = """
from graphql import build_schema
schema = build_schema('''
type Query { items(first: Int = 2, after: String): Items }
type Items { nodes: [Item], pageInfo: Info! }
type Item { id: Int!, bad: Int }
type Info { hasNextPage: Boolean!, endCursor: String }
''')
def items(root, info, first, after=None):
    begin = int(after or 0)
    def bad(info):
        raise ValueError("no such thing")
    nodes = [{"id": n, "bad": bad if n == 3 else n} for n in range(begin, min(5, begin + first))]
    end = begin + first
    return {"nodes": nodes, "pageInfo": {"hasNextPage": end < 5, "endCursor": str(end)}}
schema.query_type.fields["items"].resolve = items
"""
    QUERY = """query ($after: String) {
      items(after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"""

    @pytest.fixture(autouse=True)
    def module(self, folder: Path) -> None:
        (folder / "paged_app.py").write_text(self.SCHEMA)

    def test_one_document_is_printed(self, command: Command) -> None:
        ran = command("paged_app:schema", "-q", self.QUERY, "--paginate", "items")
        assert json.loads(ran.out) == {
            "items": {
                "nodes": [{"id": number} for number in range(5)],
                "pageInfo": {"hasNextPage": False, "endCursor": "6"},
            }
        }
        assert ran.err == ""

    def test_or_a_line_for_each_node(self, command: Command) -> None:
        given = ("-q", self.QUERY, "--paginate", "items", "-o", "ndjson")
        out = command("paged_app:schema", *given).out
        assert out == "".join(f'{{"id":{number}}}\n' for number in range(5))

    def test_pages_with_errors_are_kept(self, command: Command) -> None:
        query = self.QUERY.replace("id", "id bad", 1)
        ran = command("paged_app:schema", "-q", query, "--paginate", "items", code=1)
        bad = [node["bad"] for node in json.loads(ran.out)["items"]["nodes"]]
        assert bad == [0, 1, 2, None, 4]
        assert ran.err == "error: no such thing (at items.nodes.1.bad)\n"

    def test_a_cursor_that_does_not_move(self, command: Command) -> None:
        query = (
            self.QUERY.replace("items(after: $after)", "items")
            .replace("query", "query", 1)
            .replace(
                "{\n      items", "{ other: items(after: $after) { nodes { id } }\n      items"
            )
        )
        ran = command("paged_app:schema", "-q", query, "--paginate", "items", code=6)
        assert ran.err.startswith("error: the cursor doesn't move: page 2 of 'items'")
        assert ran.out == ""

    def test_what_the_document_lacks(self, command: Command) -> None:
        ran = command(
            "paged_app:schema", "-q", "{ items { nodes { id } } }", "--paginate", "items", code=2
        )
        assert "needs pageInfo { hasNextPage endCursor }" in ran.err


STATUSES = [
    (http('{"data":{"a":1}}'), 0),
    (http('{"data":null}'), 1),
    (http('{"errors":[{"message":"no"}]}', "400 Bad Request"), 1),
    (http("who?", "401 Unauthorized"), 4),
    (http("no", "403 Forbidden"), 4),
    (http("later", "503 Service Unavailable"), 3),
    (http("<html>", kind="text/html"), 6),
    (http('{"neither": 1}'), 6),
]


def test_answers_over_http(command: Command, portal: BlockingPortal) -> None:
    with portal.wrap_async_context_manager(peer(*(answer for answer, _ in STATUSES))) as server:
        for _, code in STATUSES:
            ran = command(server.url, "-q", "{ a }", code=code)
            assert ran.err.count("\n") == (code != 0)
    assert [request.json["query"] for request in server.requests] == ["{ a }"] * len(STATUSES)


def test_headers_are_sent(
    command: Command, portal: BlockingPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "of mine")
    monkeypatch.setenv("ANYGQL_TOKEN", "t0ken")
    monkeypatch.setenv("ANYGQL_HEADERS", '{"X-All": "yes"}')
    with portal.wrap_async_context_manager(peer(http('{"data":{"a":1}}'))) as server:
        command(server.url, "-q", "{ a }", "-H", "X-Own: 1", "--api-key", "MINE")
        command(server.url, "-q", "{ a }", "--bearer")
        monkeypatch.setenv("ANYGQL_URL", "https://example.org/graphql")
        command(server.url, "-q", "{ a }")
        monkeypatch.setenv("ANYGQL_URL", server.url)
        command("-q", "{ a }")
    own, bearer, elsewhere, home = (request.headers for request in server.requests)
    assert (own["x-own"], own["x-api-key"], own["x-all"]) == ("1", "of mine", "yes")
    assert "authorization" not in own
    assert bearer["authorization"] == "Bearer t0ken"
    # The token is for the host of ANYGQL_URL alone.
    assert "authorization" not in elsewhere
    assert home["authorization"] == "Bearer t0ken"
