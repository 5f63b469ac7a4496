"""``Retry-After``: numbers, dates, and what is neither."""

from __future__ import annotations

import pytest

from anygql.net.retry_after import MAX_RETRY_AFTER, retry_after


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("0", 0),
        ("7", 7),
        ("86400", MAX_RETRY_AFTER),
        ("86401", MAX_RETRY_AFTER),
        ("9" * 400, MAX_RETRY_AFTER),
        ("1e308", None),
        ("inf", None),
        ("nan", None),
        ("-1", None),
        ("1.5", 2),
        ("\u0661", None),
        ("", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0),
        ("Mon, 99 Jan 2024 99:99:99 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999", None),
    ],
)
def test_retry_after(said: str, wait: float | None) -> None:
    assert retry_after({"retry-after": said}) == wait


def test_a_date_is_by_the_server_s_own_clock() -> None:
    headers = {
        "retry-after": "Mon, 01 Jan 2024 00:00:30 GMT",
        "date": "Mon, 01 Jan 2024 00:00:00 GMT",
    }
    assert retry_after(headers) == 30


def test_no_header() -> None:
    assert retry_after({}) is None
