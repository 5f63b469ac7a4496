"""The ways to authorize: their headers, what is refused, and that none of them shows."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import anyio
import httpx
import httpx2
import pytest

from anygql import Client, HTTPTransport, TransportConnectionFailed, TransportServerError
from anygql.appsync import IAM, ApiKey, Token
from anygql.appsync.auth import check_authorization, realtime_headers
from anygql.appsync.chain import configured_region
from anygql.net.authorization import is_refreshable
from tests.appsync.test_sigv4 import by_botocore
from tests.support.http_peer import http, kept, peer

ENDPOINT = "https://abcdefghijklmnopqrstuvwxyz.appsync-api.eu-west-1.amazonaws.com/graphql"
HOST = "abcdefghijklmnopqrstuvwxyz.appsync-api.eu-west-1.amazonaws.com"
CUSTOM = "https://api.example.org/graphql"
KEYS = ("AKIDEXAMPLE", "s3cret-key", "s3cret-token")
OK = http('{"data": {"n": 1}}')


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """Let nothing of this machine's own AWS configuration be found."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


async def test_an_api_key() -> None:
    headers = await ApiKey("da2-s3cret").headers(ENDPOINT, b"{}")
    assert re.fullmatch(r"\d{8}T\d{6}Z", headers.pop("x-amz-date"))
    assert headers == {"host": HOST, "x-api-key": "da2-s3cret"}


async def test_a_token_and_functions_of_tokens() -> None:
    tokens = iter(["one", "two", "three"])

    async def fresh() -> str:
        await anyio.lowlevel.checkpoint()
        return next(tokens)

    assert await Token("jwt").headers(ENDPOINT, b"") == {"host": HOST, "Authorization": "jwt"}
    auth = Token(fresh)
    assert [(await auth.headers(ENDPOINT, b""))["Authorization"] for _ in "ab"] == ["one", "two"]
    assert (await Token(lambda: next(tokens)).headers(CUSTOM, b"")) == {
        "host": "api.example.org",
        "Authorization": "three",
    }


class Frozen(NamedTuple):
    """The shape of botocore's frozen credentials."""

    access_key: str
    secret_key: str
    token: str | None


async def provided() -> tuple[str, str, str]:
    return KEYS


@pytest.mark.parametrize(
    "credentials",
    [KEYS, list(KEYS), Frozen(*KEYS), lambda: KEYS, provided, lambda: Frozen(*KEYS)],
    ids=["tuple", "list", "object", "function", "async function", "function of an object"],
)
async def test_iam_signs_as_botocore_does(
    credentials: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anygql.appsync.auth.amz_date", lambda: "20261127T094627Z")
    headers = await IAM(credentials).headers(ENDPOINT, b'{"query": "{ n }"}')
    lower = {name.lower(): value for name, value in headers.items()}
    assert lower.pop("host") == HOST
    expected = by_botocore(KEYS, ENDPOINT, b'{"query": "{ n }"}', {})
    assert lower == expected


async def test_iam_for_the_realtime_endpoint_signs_what_aws_has_there() -> None:
    headers = await realtime_headers(IAM(KEYS), f"{ENDPOINT}/connect", b"{}")
    assert set(headers) == {
        *("accept", "content-encoding", "content-type", "host"),
        *("x-amz-date", "X-Amz-Security-Token", "Authorization"),
    }
    signed = "accept;content-encoding;content-type;host;x-amz-date;x-amz-security-token"
    assert f"SignedHeaders={signed}," in headers["Authorization"]
    assert "/eu-west-1/appsync/aws4_request," in headers["Authorization"]


async def test_ones_own() -> None:
    class Own:
        async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
            return {"x-mine": f"{url} {len(body)}"}

    assert await realtime_headers(Own(), CUSTOM, b"{}") == {
        "host": "api.example.org",
        "x-mine": f"{CUSTOM} 2",
    }


def test_the_region(aws: pytest.MonkeyPatch) -> None:
    assert IAM(KEYS).region_of(ENDPOINT) == "eu-west-1"
    assert IAM(KEYS, region="us-east-1").region_of(ENDPOINT) == "us-east-1"
    auth = IAM(KEYS)
    with pytest.raises(ValueError, match=r"api\.example\.org doesn't name it"):
        auth.region_of(CUSTOM)
    aws.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert [auth.region_of(CUSTOM) for _ in "ab"] == ["eu-north-1"] * 2
    aws.setenv("AWS_REGION", "eu-south-1")
    assert IAM(KEYS).region_of(CUSTOM) == "eu-south-1"


def test_the_region_of_the_configuration_file(aws: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "config").write_text("[default]\nregion = sa-east-1\n")
    assert configured_region() == "sa-east-1"
    aws.setitem(sys.modules, "botocore", None)
    aws.setattr("anygql.appsync.chain.find_spec", lambda name: None)
    assert configured_region() is None


async def test_the_chain_finds_credentials_in_another_thread(aws: pytest.MonkeyPatch) -> None:
    import threading

    from botocore.session import Session

    threads: list[int] = []
    get_credentials = Session.get_credentials

    def get(self: Any) -> Any:
        threads.append(threading.get_ident())
        return get_credentials(self)

    aws.setattr(Session, "get_credentials", get)
    aws.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
    aws.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])
    auth = IAM()
    headers = await auth.headers(ENDPOINT, b"")
    await auth.headers(ENDPOINT, b"")
    assert f"Credential={KEYS[0]}/" in headers["Authorization"]
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_the_chain_finds_nothing_or_fails(aws: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="botocore finds no AWS credentials"):
        await IAM().headers(ENDPOINT, b"")

    from botocore.exceptions import CredentialRetrievalError
    from botocore.session import Session

    def fail(self: Any) -> None:
        raise CredentialRetrievalError(provider="x", error_msg="s3cret")

    aws.setattr(Session, "get_credentials", fail)
    with pytest.raises(TransportConnectionFailed, match="CredentialRetrievalError") as caught:
        await IAM().headers(ENDPOINT, b"")
    assert caught.value.retryable
    assert caught.value.unsent
    assert "s3cret" not in str(caught.value)


async def test_canceling_does_not_wait_for_the_chain(aws: pytest.MonkeyPatch) -> None:
    import threading

    from botocore.session import Session

    release = threading.Event()
    entered = threading.Event()

    def hang(self: Any) -> None:
        entered.set()
        release.wait(30)

    aws.setattr(Session, "get_credentials", hang)
    try:
        async with anyio.create_task_group() as tg:
            tg.start_soon(IAM().headers, ENDPOINT, b"")
            await anyio.to_thread.run_sync(entered.wait)
            tg.cancel_scope.cancel()
    finally:
        release.set()


def test_without_botocore(aws: pytest.MonkeyPatch) -> None:
    aws.setattr("anygql.appsync.auth.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"anygql\[aws\]"):
        IAM()
    IAM(KEYS)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: ApiKey(b"s3cret"), TypeError),  # type: ignore[arg-type]
        (lambda: ApiKey(""), ValueError),
        (lambda: Token(7), TypeError),  # type: ignore[arg-type]
        (lambda: Token(""), ValueError),
        (lambda: IAM(("s3cret",)), TypeError),
        (lambda: IAM("s3cret"), TypeError),
        (lambda: IAM(("s3cret", b"s3cret")), TypeError),
        (lambda: IAM((*KEYS, "s3cret")), TypeError),
        (lambda: check_authorization(("user", "s3cret")), TypeError),
        (lambda: check_authorization(IAM(KEYS), CUSTOM), ValueError),
    ],
)
def test_what_is_refused(make: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        make()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("found", [7, None, b"s3cret", ""])
async def test_a_function_that_returns_no_token(found: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="a token"):
        await Token(lambda: found).headers(ENDPOINT, b"")


def test_nothing_of_them_shows() -> None:
    shown = [
        *map(repr, [ApiKey("da2-s3cret"), Token("s3cret"), Token(lambda: "s3cret")]),
        *map(repr, [IAM(KEYS), IAM(KEYS, region="eu-west-1"), ApiKey("da2-s3cret").httpx()]),
    ]
    assert "s3cret" not in "".join(shown)
    assert shown[:5] == ["ApiKey(…)", "Token(…)", "Token(…)", "IAM()", "IAM(region='eu-west-1')"]


def test_which_may_say_something_else_next_time() -> None:
    class Own:
        async def headers(self, url: str, body: bytes) -> Mapping[str, str]:
            return {}

    auths = [ApiKey("k"), Token("t"), IAM(KEYS), Token(lambda: "t"), IAM(lambda: KEYS), Own()]
    assert [*map(is_refreshable, auths)] == [False] * 3 + [True] * 3


@pytest.mark.over_http("own", why="it is about clients of the user's own")
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_with_a_client_of_ones_own(library: Any) -> None:
    async with peer(kept(OK)) as server:
        url = server.url + "?a=b"
        auth = IAM(KEYS, region="eu-west-1").httpx()
        async with (
            library.AsyncClient(auth=auth) as client,
            Client(HTTPTransport(url, client=client)) as session,
        ):
            assert await session.execute("{ n }") == {"n": 1}
        (request,) = server.requests
        assert json.loads(request.body) == {"query": "{ n }"}
        await check_signature(url, request)


async def test_with_our_own_client() -> None:
    async with peer(kept(OK)) as server:
        url = server.url + "?a=b%20c"
        auth = IAM(KEYS, region="eu-west-1")
        async with Client(HTTPTransport(url, auth=auth)) as session:
            assert await session.execute("{ n }") == {"n": 1}
        (request,) = server.requests
        await check_signature(url, request)


async def check_signature(url: str, request: Any) -> None:
    """The request is signed as botocore signs it, and has each header once."""
    date = request.headers["x-amz-date"]
    expected = by_botocore(KEYS, url, request.body, {}, date)
    assert request.headers["authorization"] == expected["authorization"]
    assert request.headers["x-amz-security-token"] == KEYS[2]
    assert request.headers["host"] in url


def test_a_sync_client_is_told_that_it_cannot() -> None:
    with (
        httpx.Client(auth=ApiKey("k").httpx()) as client,
        pytest.raises(RuntimeError, match="AsyncClient"),
    ):
        client.post("http://127.0.0.1:9/")


@pytest.mark.over_http("own", why="it is about clients of the user's own")
async def test_a_client_of_ones_own_asks_again_once() -> None:
    tokens = iter(["old", "good", "old", "older", "old", "old"])

    async def only_good(request: Any, stream: Any) -> bool:
        is_good = request.headers["authorization"] == "good"
        await stream.send(OK if is_good else http("{}", "401 Unauthorized"))
        return True

    async with peer(only_good) as server:
        auth = Token(lambda: next(tokens)).httpx()
        async with (
            httpx.AsyncClient(auth=auth) as client,
            Client(HTTPTransport(server.url, client=client)) as session,
        ):
            assert await session.execute("{ n }") == {"n": 1}
            for _ in range(2):
                with pytest.raises(TransportServerError):
                    await session.execute("{ n }")
        assert len(server.requests) == 5  # the last one would have been the same again
