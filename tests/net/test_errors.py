"""Errors of the network as this library's, with advice."""

from __future__ import annotations

import socket
import ssl

import anyio
import pytest

from anygql.exceptions import TransportConnectionFailed, TransportInvalidURL
from anygql.net.errors import opening_errors


def chained(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def of_tls(error: ssl.SSLError, **attributes: str) -> ssl.SSLError:
    """Return an error with what only ``ssl`` itself gives to one."""
    vars(error).update(attributes)
    return error


REFUSED = ConnectionRefusedError(111, "Connection refused")


@pytest.mark.parametrize(
    ("error", "message", "retryable"),
    [
        (chained(OSError("all failed"), REFUSED), "Connection refused.*and its port", True),
        (
            chained(OSError("all failed"), ExceptionGroup("", [REFUSED, OSError("no route")])),
            "Connection refused; no route",
            True,
        ),
        (socket.gaierror(-2, "unknown"), "host's name", True),
        (FileNotFoundError(2, "No such file"), "path of the Unix socket", True),
        (anyio.BrokenResourceError(), "the connection broke", True),
        (anyio.EndOfStream(), "closed the connection before", True),
        (
            of_tls(ssl.SSLError(1, "?"), reason="WRONG_VERSION_NUMBER"),
            "WRONG_VERSION_NUMBER. Is this its TLS port",
            False,
        ),
        (
            of_tls(ssl.SSLCertVerificationError("?"), verify_message="self-signed"),
            "can't trust ws://h: self-signed",
            False,
        ),
    ],
)
def test_opening(error: BaseException, message: str, retryable: bool) -> None:
    with (
        pytest.raises(TransportConnectionFailed, match=message) as caught,
        opening_errors("ws://h"),
    ):
        raise error
    assert caught.value.retryable == retryable
    assert "ws://h" in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("error", [TransportInvalidURL("x"), ZeroDivisionError()])
def test_others_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, opening_errors("ws://h"):
        raise error
    assert caught.value is error
