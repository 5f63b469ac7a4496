"""The targets of the fuzzer, on what is known and on what hypothesis makes of that."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.promises.fuzz.regressions import REGRESSIONS
from tests.promises.fuzz.targets import TARGETS
from tests.support.amount import examples

KNOWN = [
    pytest.param(name, data, id=f"{name}-{number}")
    for name, target in TARGETS.items()
    for number, data in enumerate((*target.seeds, *REGRESSIONS.get(name, ())))
]


@pytest.mark.parametrize(("name", "data"), KNOWN)
def test_what_is_known(name: str, data: bytes) -> None:
    TARGETS[name].check(data)


@pytest.mark.parametrize(("name", "data"), KNOWN)
def test_what_is_known_breaks_off(name: str, data: bytes) -> None:
    for end in range(0, len(data), max(1, len(data) // 16)):
        TARGETS[name].check(data[:end])


def test_regressions_are_of_targets() -> None:
    assert REGRESSIONS.keys() <= TARGETS.keys()


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """Known bytes, of which some are others: changed, left out, doubled or put in."""
    data = draw(st.sampled_from([*TARGETS[name].seeds, *REGRESSIONS.get(name, ())]))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([0, 1, 1, 2, 8, 40]))
        new = draw(st.sampled_from([b"", data[at : at + size] * 2]) | st.binary(max_size=size))
        data = data[:at] + new + data[at + size :]
    return data


@pytest.mark.sampled
@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_made_of_it(name: str, data: st.DataObject) -> None:
    TARGETS[name].check(data.draw(mutated(name) | st.binary(max_size=200)))
