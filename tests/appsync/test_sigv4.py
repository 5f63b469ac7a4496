"""Signatures, beside botocore's."""

from __future__ import annotations

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from anygql.appsync.sigv4 import Credentials, amz_date, signed_headers

ENDPOINT = "https://abcdefghijklmnopqrstuvwxyz.appsync-api.eu-west-1.amazonaws.com/graphql"
KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMPORARY = KEY._replace(token="token//with+odd=characters==")
REALTIME = {
    "accept": "application/json, text/javascript",
    "content-encoding": "amz-1.0",
    "content-type": "application/json; charset=UTF-8",
}
DATE = "20261127T094627Z"


class AtTime(SigV4Auth):
    """botocore's signature at the request's ``timestamp``."""

    def add_auth(self, request: AWSRequest) -> None:
        self._modify_request_before_signing(request)
        canonical = self.canonical_request(request)
        self._inject_signature_to_request(
            request, self.signature(self.string_to_sign(request, canonical), request)
        )


def by_botocore(
    credentials: tuple[str, ...], url: str, body: bytes, headers: dict[str, str], date: str = DATE
) -> dict[str, str]:
    request = AWSRequest("POST", url, headers=headers, data=body)
    request.context["timestamp"] = date
    AtTime(BotocoreCredentials(*credentials), "appsync", "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def check(credentials: Credentials, url: str, body: bytes, headers: dict[str, str]) -> None:
    ours = signed_headers(credentials, url, body, region="eu-west-1", date=DATE, headers=headers)
    lower = {name.lower(): value for name, value in ours.items()}
    assert lower.pop("host")  # which botocore leaves to the HTTP client
    assert lower == by_botocore(credentials, url, body, headers)


URLS = [
    ENDPOINT,
    f"{ENDPOINT}/connect",
    f"{ENDPOINT}?b=2&a=1&a=0&empty=&alone",
    f"{ENDPOINT}?a=%20+%7E&&x=y=z",
    "https://api.example.org",
    "https://api.example.org/",
    "https://api.example.org:443/graphql",
    "https://api.example.org:8443/graphql/",
    "http://API.Example.org:80/graphql",
    "http://[::1]:8080/graphql",
    "https://user:password@api.example.org/graphql",
    "https://api.example.org/a//b/./c/../d e/%20/~ü*'()/",
    "https://api.example.org/../..",
]


@pytest.mark.parametrize("credentials", [KEY, TEMPORARY], ids=["key", "session token"])
@pytest.mark.parametrize("body", [b"", b"{}", '{"query":"{ ü }"}'.encode()])
@pytest.mark.parametrize("headers", [{}, REALTIME, {"x-odd": "  a   b\tc "}])
def test_equals_botocores(credentials: Credentials, body: bytes, headers: dict[str, str]) -> None:
    for url in URLS:
        check(credentials, url, body, headers)


@settings(max_examples=50, deadline=None)
@given(
    path=st.text("abz09/.~-_%!$&'()*+,;=:@ é", max_size=20),
    query=st.text("ab=&%+~-._09:;,@/", max_size=20),
    body=st.binary(max_size=50),
    token=st.none() | st.text("aZ0+/=", min_size=1, max_size=20),
)
def test_equals_botocores_for_anything(
    path: str, query: str, body: bytes, token: str | None
) -> None:
    url = f"https://api.example.org/{path}{'?' if query else ''}{query}"
    check(KEY._replace(token=token), url, body, REALTIME)


def test_nothing_of_credentials_shows() -> None:
    assert repr(TEMPORARY) == str(TEMPORARY) == "Credentials(…)"


def test_the_date_is_as_aws_writes_it() -> None:
    assert len(amz_date()) == len(DATE)
    assert amz_date()[8] == "T"
    assert amz_date().endswith("Z")
