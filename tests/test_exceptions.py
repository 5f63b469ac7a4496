"""The tree of errors, and copies of recorded ones."""

from __future__ import annotations

import inspect
import pickle
import re
import traceback

import pytest

from anygql import exceptions
from anygql.exceptions import (
    SubscriptionOverflow,
    TransportClosed,
    TransportConnectionFailed,
    TransportConnectionRefused,
    TransportConnectTimeout,
    TransportError,
    TransportInvalidURL,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
    TransportTimeout,
    copy_to_raise,
)

CLASSES = [value for value in vars(exceptions).values() if inspect.isclass(value)]
ERRORS = [cls for cls in CLASSES if issubclass(cls, TransportError)]


@pytest.mark.parametrize(
    ("cls", "bases"),
    [
        (TransportConnectionFailed, (TransportError,)),
        (TransportConnectTimeout, (TransportConnectionFailed, TimeoutError)),
        (TransportConnectionRefused, (TransportConnectionFailed, TransportServerError)),
        (TransportInvalidURL, (TransportConnectionFailed, ValueError)),
        (TransportTimeout, (TransportError, TimeoutError)),
        (TransportClosed, (TransportError,)),
        (TransportServerError, (TransportError,)),
        (TransportProtocolError, (TransportError,)),
        (TransportQueryError, (TransportError,)),
        (SubscriptionOverflow, (TransportError,)),
    ],
)
def test_tree(cls: type[TransportError], bases: tuple[type, ...]) -> None:
    assert all(issubclass(cls, base) for base in bases)


def test_the_tree_at_the_top_of_the_module_is_whole() -> None:
    drawn = re.findall(r"── (\w+)", exceptions.__doc__ or "")
    assert {"TransportError", *drawn} == {cls.__name__ for cls in ERRORS}


@pytest.mark.parametrize(
    ("cls", "retryable"),
    [
        (TransportError, False),
        (TransportConnectionFailed, True),
        (TransportConnectTimeout, True),
        (TransportInvalidURL, False),
        (TransportTimeout, True),
        (TransportClosed, False),
        (TransportServerError, False),
        (TransportProtocolError, False),
        (TransportQueryError, False),
        (SubscriptionOverflow, False),
    ],
)
def test_defaults(cls: type[TransportError], retryable: bool) -> None:
    error = cls("boom")
    assert str(error) == "boom"
    assert str(cls()) == ""
    assert (error.code, error.reason, error.retryable) == (None, "", retryable)


def test_what_is_told_is_kept() -> None:
    error = TransportConnectionFailed("lost", code=4403, reason="no", retryable=False)
    assert (error.code, error.reason, error.retryable) == (4403, "no", False)
    server = TransportServerError("503", code=503, headers={"retry-after": "3"}, body="<html>")
    assert (server.code, server.headers, server.body) == (503, {"retry-after": "3"}, "<html>")
    assert TransportServerError().headers == {}
    errors = [{"message": "x"}]
    query = TransportQueryError("x", errors=errors, data={"a": 1}, extensions={"c": 2})
    assert (query.errors, query.data, query.extensions) == (errors, {"a": 1}, {"c": 2})
    assert query.errors is not errors


def recorded(cls: type[TransportError]) -> TransportError:
    try:
        try:
            raise OSError("reset by peer")
        except OSError as exc:
            raise cls("boom") from exc
    except TransportError as error:
        error.code = 4403
        error.reason = "no"
        error.retryable = True
        return error


@pytest.mark.parametrize("cls", ERRORS)
def test_a_fresh_copy(cls: type[TransportError]) -> None:
    error = recorded(cls)
    again = copy_to_raise(error)
    assert again is not error
    assert type(again) is cls
    assert str(again) == "boom"
    assert vars(again) == vars(error)
    assert again.__cause__ is error.__cause__
    assert isinstance(again.__cause__, OSError)
    assert again.__traceback__ is None
    assert again.__suppress_context__


def test_copies_do_not_share_tracebacks() -> None:
    error = recorded(TransportConnectionFailed)
    before = traceback.format_exception(error)
    for _ in range(2):
        with pytest.raises(TransportConnectionFailed):
            raise copy_to_raise(error)
    assert traceback.format_exception(error) == before


def test_copies_keep_attributes_of_their_own() -> None:
    error = TransportQueryError("x", errors=[1], data=2, extensions=3)
    again = copy_to_raise(error)
    assert (again.errors, again.data, again.extensions) == ([1], 2, 3)


def test_what_can_not_be_copied_is_given_back() -> None:
    class Foreign(Exception):
        def __init__(self, *, needed: int) -> None:
            super().__init__("boom", needed)

    error = Foreign(needed=1)
    assert copy_to_raise(error) is error


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_can_be_pickled(cls: type[TransportError]) -> None:
    error = recorded(cls)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == "boom"
    assert vars(again) == vars(error)
