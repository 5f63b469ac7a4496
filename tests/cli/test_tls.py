"""TLS: certificates of one's own, and what doctor says of them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from anyio.from_thread import BlockingPortal

from anygql.testing import GraphQLServer, demo_schema
from tests.cli.conftest import Command


@pytest.fixture
def url(portal: BlockingPortal, folder: Path) -> Iterator[str]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with portal.wrap_async_context_manager(GraphQLServer(demo_schema())) as server:
        address: str = portal.call(lambda: server.listen(ssl=context))
        yield address.replace("127.0.0.1", "localhost")


def test_certificates(command: Command, url: str) -> None:
    hello = '{"hello":"Hello world!"}\n'
    assert command(url, "-q", "{ hello }", "--ca", "ca.pem").out == hello
    assert command(url, "-q", "{ hello }", "--insecure").out == hello
    assert "certificate" in command(url, "-q", "{ hello }", code=3).err


def test_doctor(command: Command, url: str) -> None:
    found = {
        each["name"]: each
        for each in json.loads(command("doctor", url, "--ca", "ca.pem", "--json").out)["found"]
    }
    assert found["TLS"]["works"]
    assert "certificate until " in found["TLS"]["detail"]
    assert found["graphql-transport-ws"]["works"]
    refused = command("doctor", url, code=3).out
    assert "no   TLS" in refused
    assert "certificate" in refused
