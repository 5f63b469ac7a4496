"""How results wait: values that make no sense are refused."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from anygql.delivery.buffering import HARD_LIMIT_FACTOR, Delivery


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buffer_size": 0}, "buffer_size must be at least 1, not 0"),
        ({"on_overflow": "wait"}, "'pause', 'error', 'drop_oldest', not 'wait'"),
        ({"stall_timeout": 0}, "stall_timeout must be more than 0 s"),
        ({"stall_timeout": -1.5}, "not -1.5"),
        ({"stall_timeout": math.nan}, "not nan"),
    ],
)
def test_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Delivery(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buffer_size": 1.5}, "buffer_size is a whole number of results, not float"),
        ({"buffer_size": None}, "a whole number of results, not NoneType"),
        ({"stall_timeout": "5"}, "stall_timeout is a number of seconds or None, not str"),
        ({"stall_timeout": timedelta(seconds=5)}, "write 5, or call"),
    ],
)
def test_of_a_wrong_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Delivery(**options)


def test_the_hard_limit() -> None:
    assert Delivery().stall_timeout == 10
    assert Delivery(buffer_size=3, stall_timeout=None).hard_limit == 3 * HARD_LIMIT_FACTOR
