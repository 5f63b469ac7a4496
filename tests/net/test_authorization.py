"""What the headers of an authorization say of whose it is."""

from __future__ import annotations

from typing import Any

import pytest

from anygql.appsync import IAM
from anygql.net.authorization import credentials_in

URL = "https://abc.appsync-api.eu-west-1.amazonaws.com/graphql"
SIGNED = "AWS4-HMAC-SHA256 Credential=AKID/20261127/eu-west-1/appsync/aws4_request, Signature="


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"Authorization": "a"}, {"authorization": "a", "host": "h"}, True),
        ({"Authorization": "a"}, [("Authorization", "a")], True),
        ({"Authorization": "a"}, {"Authorization": "b"}, False),
        ({"x-api-key": "k", "x-amz-date": "1"}, {"x-api-key": "k", "x-amz-date": "2"}, True),
        ({"x-api-key": "k"}, {}, False),
        ({"Authorization": SIGNED + "1"}, {"Authorization": SIGNED + "2"}, True),
        ({"Authorization": SIGNED}, {"Authorization": SIGNED.replace("AKID", "AKIE")}, False),
        (
            {"Authorization": SIGNED, "X-Amz-Security-Token": "1"},
            {"Authorization": SIGNED, "X-Amz-Security-Token": "2"},
            False,
        ),
        ({"Authorization": b"a"}, {"Authorization": b"b"}, False),
    ],
)
def test_whether_credentials_are_the_same(one: Any, other: Any, same: bool) -> None:
    assert (credentials_in(one) == credentials_in(other)) is same


async def test_signatures_with_the_same_keys() -> None:
    keys = [("AKID", "s3cret", "t"), ("AKID", "s3cret", "t"), ("AKIE", "s3cret", "t")]
    iam = IAM(credentials=iter(keys).__next__, region="eu-west-1")
    first, second, third = [credentials_in(await iam.headers(URL, b"%d" % n)) for n in range(3)]
    assert first == second != third
