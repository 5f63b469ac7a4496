"""Authorization that depends on the request: what it is asked for, and what is sent."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from anygql import Client, FileVar, HTTPTransport, TransportServerError, gql
from tests.support.http_peer import http, kept, peer

pytestmark = pytest.mark.over_http

OK = http('{"data": {"n": 1}}')
QUERY = "{ n }"


class Hashed:
    """Says of each request what it was asked about."""

    def __init__(self, **more: str) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.more = more

    async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        self.asked.append((url, body))
        return {"host": "not.this.one", "X-Body": body.decode(), **self.more}

    def __repr__(self) -> str:
        return "Hashed(…)"


async def test_it_sees_the_url_and_the_bytes_that_are_sent() -> None:
    auth = Hashed()
    async with peer(kept(OK)) as server:
        url = server.url.replace("http://", "http://user:pass@") + "?a=b%20c"
        async with Client(HTTPTransport(url, auth=auth)) as session:
            for number in range(3):
                await session.execute(
                    gql("query ($v: Int) { n(v: $v) }"),
                    {"v": number},
                    transport_args={"params": {"p": "ü"}} if number else None,
                )
        assert len(auth.asked) == 3
        for number, (request, (asked, body)) in enumerate(
            zip(server.requests, auth.asked, strict=True)
        ):
            target = request.line.split()[1]
            assert asked.partition("://")[2] == request.headers["host"] + target
            assert "user" not in asked
            assert request.body == body
            assert request.headers["x-body"] == body.decode()
            assert json.loads(body)["variables"] == {"v": number}


async def test_nothing_of_the_users_stands_in_its_place() -> None:
    auth = Hashed(**{"Content-Type": "application/json; charset=UTF-8"})
    headers = {"x-body": "mine", "content-type": "text/mine"}
    async with peer(kept(OK)) as server:
        async with Client(HTTPTransport(server.url, headers=headers, auth=auth)) as session:
            await session.execute(QUERY, transport_args={"headers": headers})
        (request,) = server.requests
        assert request.headers["x-body"] == request.body.decode()
        assert request.headers["content-type"] == "application/json; charset=UTF-8"


async def test_a_call_may_bring_its_own() -> None:
    auth, own = Hashed(), Hashed()
    async with peer(kept(OK)) as server:
        async with Client(HTTPTransport(server.url, auth=auth)) as session:
            await session.execute(QUERY, transport_args={"auth": own})
            await session.execute(QUERY, transport_args={"auth": ("user", "pass")})
        async with Client(HTTPTransport(server.url)) as session:
            await session.execute(QUERY, transport_args={"auth": own})
        assert (len(auth.asked), len(own.asked)) == (0, 2)
        assert "x-body" not in server.requests[1].headers
        assert server.requests[1].headers["authorization"].startswith("Basic ")


async def test_a_batch() -> None:
    auth = Hashed()
    async with peer(kept(http('[{"data": {"n": 1}}, {"data": {"n": 1}}]'))) as server:
        async with Client(HTTPTransport(server.url, auth=auth)) as session:
            assert await session.execute_batch([QUERY, "{ n m }"]) == [{"n": 1}, {"n": 1}]
        assert json.loads(auth.asked[0][1]) == [{"query": QUERY}, {"query": "{ n m }"}]


async def test_files_are_refused_before_anything_is_sent() -> None:
    auth = Hashed()
    async with (
        peer(kept(OK)) as server,
        Client(HTTPTransport(server.url, auth=auth)) as session,
    ):
        with pytest.raises(TypeError, match="files can't be sent with auth="):
            await session.execute(
                "mutation ($f: Upload!) { up(f: $f) }", {"f": FileVar(io.BytesIO(b"x"))}
            )
        assert not server.requests
        assert not auth.asked
        assert await session.execute(QUERY) == {"n": 1}


async def test_what_it_raises_comes_out_and_nothing_is_sent() -> None:
    class Broken:
        async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
            raise LookupError("no key")

    class Mistaken:
        async def headers(self, url: str, body: bytes) -> Any:
            return "X-Secret: s3cret"

    async with peer(kept(OK)) as server:
        async with Client(HTTPTransport(server.url, auth=Broken())) as session:
            with pytest.raises(LookupError, match="no key"):
                await session.execute(QUERY)
        async with Client(HTTPTransport(server.url, auth=Mistaken())) as session:
            with pytest.raises(TypeError, match="headers are a mapping") as caught:
                await session.execute(QUERY)
            assert "s3cret" not in str(caught.value)
        assert not server.requests


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"auth": ("user", "pass")}, TypeError, "client=httpx.AsyncClient"),
        ({"auth": httpx.BasicAuth("user", "s3cret")}, TypeError, "not BasicAuth"),
        ({"auth": Hashed(), "use_get_for_queries": True}, ValueError, "use_get_for_queries"),
        ({"auth": Hashed(), "single_connection": True}, ValueError, "single_connection"),
    ],
)
def test_what_is_refused_at_once(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        HTTPTransport("http://localhost/graphql", **options)


class Tokens:
    """A token for each time it is asked."""

    def __init__(self, *tokens: str, is_refreshable: bool = True) -> None:
        self.tokens = [*tokens]
        self.is_refreshable = is_refreshable

    async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        return {"Authorization": self.tokens.pop(0)}


async def only_good(request: Any, stream: Any) -> bool:
    """Answer 401, unless the token is good."""
    if request.headers["authorization"] != "good":
        await stream.send(http('{"errors":[{"message":"who?"}]}', "401 Unauthorized"))
    elif "event-stream" in request.headers["accept"]:
        event = 'event: next\ndata: {"data":{"n":1}}\n\nevent: complete\n\n'
        await stream.send(http(event, kind="text/event-stream"))
    elif request.body.startswith(b"["):
        await stream.send(http('[{"data":{"n":1}}]'))
    else:
        await stream.send(OK)
    return True


async def test_a_refused_request_is_authorized_once_more() -> None:
    auth = Tokens("old", "good", "old", "good", "old", "good", "old", "older", "good")
    async with (
        peer(only_good) as server,
        Client(HTTPTransport(server.url, auth=auth)) as session,
    ):
        assert await session.execute("mutation { n }") == {"n": 1}
        assert await session.execute_batch([QUERY]) == [{"n": 1}]
        assert await session.subscribe("subscription { n }").receive() == {"n": 1}
        with pytest.raises(TransportServerError) as caught:
            await session.execute(QUERY)
        assert caught.value.code == 401
        assert await session.execute(QUERY) == {"n": 1}
        assert len(server.requests) == 9


async def test_one_that_would_say_the_same_is_not_asked_again() -> None:
    auth = Tokens("old", "good", is_refreshable=False)
    async with (
        peer(only_good) as server,
        Client(HTTPTransport(server.url, auth=auth)) as session,
    ):
        with pytest.raises(TransportServerError):
            await session.execute(QUERY)
        assert len(server.requests) == 1


@pytest.mark.parametrize("way", ["execute", "batch", "subscription", "incremental"])
async def test_what_was_refused_is_not_sent_again(way: str) -> None:
    auth = Tokens("old", "old", "good")
    async with (
        peer(only_good) as server,
        Client(HTTPTransport(server.url, auth=auth)) as session,
    ):
        with pytest.raises(TransportServerError) as caught:
            if way == "execute":
                await session.execute("mutation { n }")
            elif way == "batch":
                await session.execute_batch([QUERY])
            elif way == "subscription":
                await session.subscribe("subscription { n }").receive()
            else:
                async with session.execute_incremental("{ n ... @defer { m } }") as results:
                    await results.receive()
        assert (caught.value.code, caught.value.errors) == (401, [{"message": "who?"}])
        assert len(server.requests) == 1


async def test_what_makes_the_credentials_may_use_the_connection() -> None:
    """Of which there may be one alone: the refused response is read, and has given it back."""

    class Renewing:
        token = "old"

        async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
            if self.token == "old" and server.requests:
                self.token = "good"  # so this request goes without renewing
                assert await session.execute(QUERY) == {"n": 1}
            return {"Authorization": self.token}

    async with peer(only_good) as server:
        transport = HTTPTransport(server.url, auth=Renewing(), max_connections=1)
        async with Client(transport) as session:
            assert await session.execute(QUERY, timeout=5) == {"n": 1}
            assert len(server.requests) == 3


async def test_without_auth_a_refusal_is_the_answer() -> None:
    headers = {"Authorization": "old"}
    async with (
        peer(only_good) as server,
        Client(HTTPTransport(server.url, headers=headers)) as session,
    ):
        with pytest.raises(TransportServerError):
            await session.execute(QUERY)
        assert len(server.requests) == 1


async def test_streams_are_authorized_once_more() -> None:
    async def picky(request: Any, stream: Any) -> bool:
        """As `only_good`, and as graphql-sse, which takes no list in `Accept`."""
        if request.headers["authorization"] == "good" and "," in request.headers["accept"]:
            await stream.send(http("", "406 Not Acceptable", kind=None))
            return True
        return await only_good(request, stream)

    async with peer(picky) as server:
        auth = Tokens("good", "old", "good")
        async with Client(HTTPTransport(server.url, auth=auth)) as session:
            assert await session.subscribe("subscription { n }").receive() == {"n": 1}
        assert len(server.requests) == 3
    async with peer(picky) as server:
        auth = Tokens("good", "good")
        async with Client(HTTPTransport(server.url, auth=auth)) as session:
            assert await session.subscribe("subscription { n }").receive() == {"n": 1}
    async with peer(only_good) as server:
        auth = Tokens("old", "good")
        async with (
            Client(HTTPTransport(server.url, auth=auth)) as session,
            session.execute_incremental("{ n ... @defer { m } }") as results,
        ):
            assert [result async for result in results] == [{"n": 1}]
