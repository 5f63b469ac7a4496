"""The base client by itself, as generated code calls it, and what it makes of variables."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import date
from enum import Enum
from typing import Any

import anyio
import httpx
import msgspec
import pydantic
import pytest

import anygql
from anygql import ExecutionResult, FileVar, HTTPTransport, TransportQueryError
from anygql.codegen import SessionClient, subscribed

DOCUMENT = "query Q($a: Any) { q(a: $a) } subscription S { s }"


class UnsetType:
    """As in a generated package."""


UNSET = UnsetType()


class Upload:
    """As in a generated package."""

    def __init__(self, filename: str, content: Any, content_type: str) -> None:
        self.filename = filename
        self.content = content
        self.content_type = content_type


class Kind(str, Enum):  # noqa: UP042  # as they are generated
    NOVEL = "novel"


class Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True, arbitrary_types_allowed=True)

    page_number: int | None = pydantic.Field(alias="pageNumber", default=None)
    day: date | None = None
    kind: Kind = Kind.NOVEL
    parts: list[Part] | None = None
    file: Upload | None = None


class Attachment(pydantic.BaseModel):
    """Not an upload, though it has the fields of one."""

    filename: str
    content: str
    content_type: str


class Service:
    """A session, and what came over it."""

    def __init__(self, session: anygql.Session, requests: list[httpx.Request]) -> None:
        self.client = SessionClient(session)
        self._requests = requests

    async def sent(self, variables: dict[str, Any] | None) -> Any:
        """The variables that the server gets for these."""
        await self.client.execute(DOCUMENT, "Q", variables)
        return json.loads(self._requests[-1].content).get("variables")

    @property
    def request(self) -> httpx.Request:
        return self._requests[-1]


@pytest.fixture
async def service(no_tasks_left: None) -> AsyncIterator[Service]:
    requests: list[httpx.Request] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        await request.aread()
        requests.append(request)
        return httpx.Response(200, json={"data": {"q": 1}, "extensions": {"cost": 2}})

    with anyio.fail_after(20):
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http,
            anygql.Client(HTTPTransport("http://in.process/", client=http)) as session,
        ):
            yield Service(session, requests)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"a": UNSET, "b": None, "c": msgspec.UNSET}, {"b": None}),
        ({"a": Part()}, {"a": {}}),
        ({"a": Part(page_number=3)}, {"a": {"pageNumber": 3}}),
        ({"a": Part(day=None)}, {"a": {"day": None}}),
        ({"a": Part(day=date(2020, 1, 2))}, {"a": {"day": "2020-01-02"}}),
        ({"a": Part(kind=Kind.NOVEL)}, {"a": {"kind": "novel"}}),
        (
            {"a": Part(parts=[Part(pageNumber=1), Part()])},
            {"a": {"parts": [{"pageNumber": 1}, {}]}},
        ),
        ({"a": [[Part(pageNumber=1)], []]}, {"a": [[{"pageNumber": 1}], []]}),
        ({"a": (Part(), 1)}, {"a": [{}, 1]}),
        ({"a": {"b": Part(), "c": UNSET}}, {"a": {"b": {}}}),
        ({"a": Kind.NOVEL, "b": date(2020, 1, 2)}, {"a": "novel", "b": "2020-01-02"}),
        ({"a": 2**70, "b": 0.5, "c": True, "d": ""}, {"a": 2**70, "b": 0.5, "c": True, "d": ""}),
        (
            {"a": Attachment(filename="f", content="c", content_type="t")},
            {"a": {"filename": "f", "content": "c", "content_type": "t"}},
        ),
    ],
)
async def test_variables(service: Service, given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert (await service.sent(given) or {}) == sent


async def test_no_variables(service: Service) -> None:
    assert not await service.sent(None)


async def test_what_was_given_stays_as_it_was(service: Service) -> None:
    inner = {"b": UNSET, "c": [Part()]}
    given = {"a": inner}
    await service.sent(given)
    assert given == {"a": inner}
    assert inner == {"b": UNSET, "c": [Part()]}


async def test_variables_within_themselves(service: Service) -> None:
    given: dict[str, Any] = {}
    given["a"] = given
    with pytest.raises(TypeError, match="variables: nested too deeply"):
        await service.sent(given)


async def test_uploads(service: Service) -> None:
    one, two = (Upload(f"{name}.txt", io.BytesIO(name.encode()), "text/x") for name in ("u1", "u2"))
    given = {"a": [one, two, one], "b": Part(file=two), "c": FileVar(b"u3"), "d": UNSET}
    await service.client.execute(DOCUMENT, "Q", given)
    body = service.request.content.decode()
    for content in ("u1", "u2", "u3"):
        assert body.count(f"\r\n\r\n{content}\r\n") == 1
    assert body.count('filename="u1.txt"') == 1
    assert body.count("Content-Type: text/x") == 2
    fields = dict(
        part.split("\r\n\r\n", 1) for part in body.split("--" + body[2:].split("\r\n")[0])[1:-1]
    )
    operations, places = (json.loads(text) for text in list(fields.values())[:2])
    assert operations["variables"] == {"a": [None, None, None], "b": {"file": None}, "c": None}
    assert list(places.values()) == [
        ["variables.a.0", "variables.a.2"],
        ["variables.a.1", "variables.b.file"],
        ["variables.c"],
    ]


async def test_a_result(service: Service) -> None:
    result = await service.client.execute(query=DOCUMENT, operation_name="Q", variables={})
    assert result == ExecutionResult({"q": 1}, None, {"cost": 2})
    assert service.client.get_data(result) == {"q": 1}


async def test_options_of_the_session(service: Service) -> None:
    await service.client.execute(
        DOCUMENT, "Q", extensions={"e": 1}, transport_args={"headers": {"X-A": "b"}}, timeout=None
    )
    assert json.loads(service.request.content)["extensions"] == {"e": 1}
    assert json.loads(service.request.content)["operationName"] == "Q"
    assert service.request.headers["X-A"] == "b"
    with pytest.raises(TypeError, match="'headers'"):
        await service.client.execute(DOCUMENT, "Q", headers={})
    with pytest.raises(TypeError, match="'timeout'"):
        service.client.execute_ws(DOCUMENT, "S", timeout=1)
    with pytest.raises(ValueError, match="buffer_size"):
        service.client.execute_ws(DOCUMENT, "S", buffer_size=0)


async def test_a_subscription_starts_when_it_is_asked(service: Service) -> None:
    events = service.client.execute_ws(query=DOCUMENT, operation_name="S", variables={"a": Part()})
    with pytest.raises(AttributeError):
        _ = service.client.request  # type: ignore[attr-defined]
    assert await anext(events) == {"q": 1}
    assert json.loads(service.request.content)["variables"] == {"a": {}}
    assert [event async for event in events] == []


def test_errors_of_a_result() -> None:
    client = SessionClient.__new__(SessionClient)
    with pytest.raises(TransportQueryError, match="no") as caught:
        client.get_data(ExecutionResult({"a": None}, [{"message": "no"}]))
    assert caught.value.data == {"a": None}


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("http://localhost", "builtins.str"),
        (anygql.Client("http://localhost"), "anygql.client.Client"),
        (None, "builtins.NoneType"),
    ],
)
def test_only_on_a_session(given: Any, name: str) -> None:
    with pytest.raises(TypeError, match=rf"SessionClient runs on an open session .* {name}$"):
        SessionClient(given)


async def test_subscribed_closes() -> None:
    closed: list[str] = []

    async def events() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("closed")

    async with subscribed(events()) as numbers:
        async for number in numbers:
            assert number == 1
            break
        assert not closed
    assert closed == ["closed"]
    with pytest.raises(TypeError, match="not a list_iterator"):
        subscribed(iter([1]))  # type: ignore[arg-type]


def test_pydantic_is_the_package_s() -> None:
    names = "{'pydantic', 'graphql', 'trio'}"
    program = f"import sys, anygql.codegen; sys.exit(bool({names} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], check=True)
