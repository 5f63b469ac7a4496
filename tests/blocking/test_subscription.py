"""Subscriptions without ``await``: bursts, gaps, ends, and many threads."""

from __future__ import annotations

import gc
import threading
from typing import Any

import anyio
import pytest

from anygql import SubscriptionOverflow, TransportConnectionFailed, TransportQueryError
from anygql.blocking import Subscription
from anygql.blocking import subscription as subscription_module
from tests.blocking.conftest import Make, Served

COUNTDOWN = "subscription ($from: Int!) { countdown(from: $from) }"
FLOOD = "subscription ($count: Int!) { flood(count: $count) }"
NEVER = "subscription { never }"


@pytest.fixture(params=[1, 3, 256])
def burst(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The largest number of results that are handed over at once."""
    monkeypatch.setattr(subscription_module, "BURST", request.param)
    return int(request.param)


def test_all_results_come_in_order(make: Make, burst: int) -> None:
    with make() as session, session.subscribe(FLOOD, {"count": 500}, path="flood") as events:
        assert [int(event.strip(".")) for event in events] == list(range(500))
        assert list(events) == []
        with pytest.raises(anyio.EndOfStream):
            events.receive()
        assert repr(events).endswith("ended>")


def test_results_are_handed_over_in_bursts(make: Make, served: Served) -> None:
    with make() as session, session.subscribe(FLOOD, {"count": 600}) as events:
        fetched: list[int] = []
        next(events)
        # All that the server sends is here before the next result is asked for.
        served.portal.call(served.connection().wait_sent, "complete")
        session.execute("{ hello }")
        fetch = events._fetch

        def counted(timeout: float | None) -> None:
            fetch(timeout)
            fetched.append(len(events._ready))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Subscription, "_fetch", lambda _, timeout: counted(timeout))
            assert len(list(events)) == 599
    assert max(fetched) <= 256
    assert len(fetched) <= 4


def test_typed_results(make: Make) -> None:
    with make() as session:
        document = "subscription { countdown(from: 2) }"
        with session.subscribe(document, result_type=int, path="countdown") as numbers:
            assert list(numbers) == [2, 1, 0]
        with session.subscribe_results(document) as results:
            assert [result.data for result in results] == [{"countdown": n} for n in (2, 1, 0)]


def test_a_result_with_errors_comes_in_its_turn(make: Make, burst: int) -> None:
    with make() as session:
        with session.subscribe("subscription { failing(after: 2) }", path="failing") as events:
            seen: list[Any] = []
            while len(seen) < 4:
                try:
                    seen.append(events.receive())
                except TransportQueryError as error:
                    seen.append(str(error).partition(" (")[0])
            assert seen == [0, 1, "this event failed", 3]
            assert next(events, None) is None
        document = "subscription { failing(after: 1, source: true) }"
        with session.subscribe(document) as events, pytest.raises(TransportQueryError):
            list(events)


def test_time_limits_lose_nothing(make: Make, served: Served) -> None:
    with make() as session, session.subscribe(NEVER) as events:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                events.receive(timeout=0.01)
        served.portal.call(
            served.connection().send, {"type": "next", "id": "1", "payload": {"data": {"never": 1}}}
        )
        assert events.receive(timeout=10) == {"never": 1}


def test_closing_half_way(make: Make, served: Served) -> None:
    with make() as session:
        with session.subscribe(FLOOD, {"count": 100_000}) as events:
            for _ in events:
                break
        served.wait_operations(0)
        assert served.completes() == 1
        assert list(events) == []
        with pytest.raises(anyio.ClosedResourceError):
            events.receive()
        events.close()
        assert served.completes() == 1
        with pytest.raises(RuntimeError, match="entered once"), events:
            ...


def test_dropping_the_last_reference(make: Make, served: Served) -> None:
    with make() as session:
        events = session.subscribe(NEVER)
        while "subscribe" not in [each["type"] for each in served.connection().received]:
            with pytest.raises(TimeoutError):
                events.receive(timeout=0.01)
        served.wait_operations(1)
        del events
        gc.collect()
        served.wait_operations(0)
        assert served.completes() == 1


def test_a_loss(make: Make, served: Served) -> None:
    with make() as session, session.subscribe(COUNTDOWN, {"from": 2}) as events:
        next(events)
    with make() as session, session.subscribe(NEVER) as events:
        served.wait_operations(1, 2)
        served.drop_connections()
        with pytest.raises(TransportConnectionFailed) as caught:
            next(events)
        assert len(caught.traceback) == 1


def test_gaps_are_counted_where_they_are(
    make: Make, served: Served, monkeypatch: pytest.MonkeyPatch, burst: int
) -> None:
    monkeypatch.setattr("anygql.session.retry.FIRST_WAIT", 0.005)
    asked: list[tuple[bool, Any, int]] = []

    def on_resubscribe(subscription: Any, last: int) -> dict[str, Any]:
        # In a thread of its own: it may use the session.
        asked.append((subscription == events, last, session.execute("{ counter }", path="counter")))
        return {"from": last - 1}

    document = "subscription ($from: Int!) { countdown(from: $from, interval: 60) }"
    with make().connect(reconnecting=True) as session:
        events = session.subscribe(
            document, {"from": 9}, path="countdown", on_resubscribe=on_resubscribe
        )
        with events:
            for gaps in range(3):
                assert (events.receive(timeout=30), events.reconnects) == (9 - gaps, gaps)
                served.drop_connections()
    assert asked[:2] == [(True, 9, 0), (True, 8, 0)]


def test_overflow(make: Make, served: Served) -> None:
    with make() as session:
        with session.subscribe(FLOOD, {"count": 500}, buffer_size=5, on_overflow="error") as events:
            served.wait_received("complete")
            with pytest.raises(SubscriptionOverflow):
                list(events)
        options: Any = {"buffer_size": 5, "on_overflow": "drop_oldest"}
        with session.subscribe(FLOOD, {"count": 500}, **options) as events:
            served.portal.call(served.connection().wait_sent, "complete")
            session.execute("{ hello }")
            assert len(list(events)) + events.dropped == 500
            assert events.dropped


def test_two_threads_share_a_subscription(make: Make) -> None:
    with make() as session, session.subscribe(FLOOD, {"count": 2000}, path="flood") as events:
        seen: list[list[str]] = [[], []]
        threads = [threading.Thread(target=into.extend, args=(events,)) for into in seen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(map(int, seen[0] + seen[1])) == list(range(2000))


def test_incremental_results(make: Make) -> None:
    with make() as session, session.execute_incremental("{ hello }") as states:
        assert list(states) == [{"hello": "Hello world!"}]


def test_a_subscription_that_cannot_begin(make: Make) -> None:
    with make() as session:
        with session.subscribe("subscription { nothing }") as events:
            with pytest.raises(TransportQueryError):
                next(events)
        with pytest.raises(ValueError, match="buffer_size"):
            session.subscribe(NEVER, buffer_size=0)
        with pytest.raises(TypeError, match="'nothing'"):
            session.subscribe(NEVER, nothing=1)  # type: ignore[call-overload]


def test_it_is_no_async_iterator(make: Make) -> None:
    with make() as session:
        events: Any = session.subscribe(NEVER)
        assert hash(events) == hash(events)
        assert events == events
        assert events != session
        for wrong in (events.__aiter__, lambda: events.__aenter__().send(None)):
            with pytest.raises(TypeError, match="is no async one"):
                wrong()
