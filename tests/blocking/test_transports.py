"""Blocking sessions over the other transports: HTTP, and a schema in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from graphql import GraphQLDeferDirective, GraphQLSchema

from anygql import LocalSchemaTransport
from anygql.blocking import Client, execute
from anygql.testing import demo_schema


class Echo(BaseHTTPRequestHandler):
    """Answers with the variables."""

    protocol_version = "HTTP/1.1"
    # The head and the body are two writes: the second must not wait for an acknowledgment.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = {"variables": request.get("variables"), "agent": self.headers["X-Agent"]}
        body = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/graphql"
        server.shutdown()
        thread.join()


def test_http(url: str, backend: Any) -> None:
    document = "query ($n: Int) { variables agent }"
    client = Client(url, headers=lambda: {"X-Agent": "me"}, backend=backend)
    with client as session, ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: session.execute(document, {"n": n}), range(50))
        assert list(answers) == [{"variables": {"n": n}, "agent": "me"} for n in range(50)]
    once = execute(url, document, {"n": 1}, path="variables.n", result_type=int, backend=backend)
    assert once == 1


def test_a_schema_in_this_process(backend: Any) -> None:
    options = demo_schema().to_kwargs()
    options["directives"] = (*options["directives"], GraphQLDeferDirective)
    with Client(LocalSchemaTransport(GraphQLSchema(**options)), backend=backend) as session:
        assert session.execute("mutation { increment(by: 3) }") == {"increment": 3}
        with session.subscribe("subscription { countdown(from: 2) }", path="countdown") as numbers:
            assert list(numbers) == [2, 1, 0]
        with session.execute_incremental("{ ... @defer { counter } hello }") as states:
            assert list(states) == [
                {"hello": "Hello world!"},
                {"hello": "Hello world!", "counter": 3},
            ]
