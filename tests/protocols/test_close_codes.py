"""Points 11, 13, 14 and 15 of ``graphql-transport-ws``."""

from __future__ import annotations

import pytest

from anygql.protocols.close_codes import CloseCode, clip_reason, is_retryable_code

FATAL = {4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500}
FATAL_1XXX = {1002, 1003, 1004, 1007, 1008, 1009, 1010, 1011, 1015, 1999}
RETRIED = {1000, 1001, 1005, 1006, 1012, 1013, 1014, 3000, 4000, 4403, 4408, 4499, 4504, 4999}


@pytest.mark.parametrize("code", sorted(FATAL | FATAL_1XXX))
def test_14_fatal(code: int) -> None:
    assert not is_retryable_code(code)


@pytest.mark.parametrize("code", sorted(RETRIED))
def test_14_retried(code: int) -> None:
    assert is_retryable_code(code)


def test_14_every_named_code_is_decided() -> None:
    assert set(CloseCode) <= FATAL | FATAL_1XXX | RETRIED


def test_11_and_13_the_codes_that_we_close_with() -> None:
    assert CloseCode.NORMAL == 1000
    assert CloseCode.CONNECTION_ACKNOWLEDGEMENT_TIMEOUT == 4504


@pytest.mark.parametrize(
    ("reason", "clipped"),
    [
        ("", ""),
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("x" * 122 + "é", "x" * 122),
        ("x" * 121 + "é", "x" * 121 + "é"),
        ("🎉" * 40, "🎉" * 30),
        ("half \ud83d", "half ?"),
    ],
)
def test_15_a_reason_of_at_most_123_bytes(reason: str, clipped: str) -> None:
    assert clip_reason(reason) == clipped
    assert len(clip_reason(reason).encode()) <= 123
