"""The soak itself: that it finds what it looks for, that it runs, and what it has found."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from anygql import Client
from tests.promises.soak.checks import Mutations, Stream, Tally, Trend

#: (number, reconnects, dropped) as they were received, and the violations that these are.
STREAMS: dict[str, tuple[list[tuple[int, int, int]], list[str]]] = {
    "right": ([(5, 0, 0), (6, 0, 0), (7, 0, 0)], []),
    "lost": ([(5, 0, 0), (7, 0, 0)], ["lost"]),
    "lost, and told of another gap later": ([(5, 0, 0), (7, 0, 0), (9, 1, 0)], ["lost"]),
    "doubled": ([(5, 0, 0), (5, 0, 0)], ["doubled"]),
    "out of order": ([(5, 0, 0), (7, 1, 0), (6, 1, 0)], ["doubled"]),
    "doubled across a gap": ([(5, 0, 0), (5, 1, 0)], ["doubled"]),
    "a gap": ([(5, 0, 0), (9, 1, 0), (10, 1, 0), (20, 3, 0)], []),
    "a gap without a loss": ([(5, 0, 0), (6, 1, 0)], []),
    "dropped": ([(5, 0, 0), (9, 0, 3), (10, 0, 3)], []),
    "more lost than dropped": ([(5, 0, 0), (9, 0, 2)], ["lost"]),
    "dropped on the next connection": ([(5, 0, 4), (6, 0, 6), (20, 1, 6), (21, 1, 6)], []),
    "lost after a gap": ([(5, 0, 6), (20, 1, 6), (22, 1, 6)], ["lost"]),
    "counted backwards": ([(5, 1, 0), (6, 0, 0)], ["counted backwards"]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name: str) -> None:
    received, wrong = STREAMS[name]
    tally = Tally()
    stream = Stream(tally, "some")
    for item in received:
        stream.take(*item)
    assert [what.partition(":")[0] for what in tally.wrong] == wrong
    assert tally.counts["events"] == stream.count == len(received)
    assert tally.counts["gaps reported"] == received[-1][1] or wrong == ["counted backwards"]


@pytest.mark.parametrize(
    ("record", "journal", "wrong"),
    [
        (["a", "b"], ["answered a", "unsent c"], []),
        (["a", "b", "a"], ["answered a"], ["mutations twice"]),
        (["b"], ["answered a"], ["answers out of nothing"]),
        (["b"], ["unsent b"], ["unsent mutations that ran"]),
        (["!the id 3 was used twice"], [], ["the client's protocol errors"]),
    ],
)
def test_mutations(record: list[str], journal: list[str], wrong: list[str]) -> None:
    tally = Tally()
    Mutations.read([f"{line}\n" for line in record], [f"{line}\n" for line in journal], tally)
    assert [what.partition(":")[0] for what in tally.wrong] == wrong


def test_trends() -> None:
    """The first third is the warm-up."""
    warm = [(float(at), 50.0 + at) for at in range(10)]
    flat = Trend.of([*warm, *((float(at), 100.0) for at in range(10, 30))])
    assert flat.growth == pytest.approx(0)
    growing = Trend.of([*warm, *((float(at), 100.0 + at) for at in range(10, 30))])
    assert (growing.first, growing.last) == pytest.approx((110, 129))
    assert growing.growth == pytest.approx(100 * 19 / 110)


@pytest.mark.parametrize("each", [0.0, 0.25])
def test_a_trend_under_peaks(each: float) -> None:
    """However the peaks fall: here more and more often."""
    samples = [
        (float(at), 100.0 + each * at + (25 if at % max(2, 9 - at // 10) == 1 else 0))
        for at in range(60)
    ]
    trend = Trend.of(samples)
    assert trend.growth == pytest.approx(100 * each * 39 / (100 + each * 20), abs=0.5)


@pytest.fixture
def time_limit() -> float:
    return 110


#: What a run has some of, however short it is.
KINDS = ("events", "gaps reported", "mutations", "restarts", "reconnections")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_small_one(tmp_path: Path, anyio_backend: str) -> None:
    """A few seconds of it, on both loops: memory says nothing yet in so short a time.

    On a busy machine that may be too short for anything to happen: then it is a minute.
    """
    reports = await soak(tmp_path / "soak.json", minutes=0.12)
    if any(map(is_too_short, reports)):
        reports = await soak(tmp_path / "soak.json", minutes=1)
    assert [report["loop"] for report in reports] == ["asyncio", "trio"]
    for report in reports:
        counts = report["counts"]
        assert report["violations"] == []
        assert (counts["lost"], counts["doubled"], counts["mutations twice"]) == (0, 0, 0)
        for kind in KINDS:
            assert counts[kind] > 0, kind


def is_too_short(report: dict[str, Any]) -> bool:
    """Return whether nothing is wrong with a run but that too little has happened in it."""
    if any(not violation.startswith("memory not measured") for violation in report["violations"]):
        return False
    return bool(report["violations"]) or not all(report["counts"].get(kind) for kind in KINDS)


async def soak(output: Path, *, minutes: float) -> list[dict[str, Any]]:
    # With this seed its server is restarted early, and is back at once.
    command = [sys.executable, "-m", "tests.promises.soak", "--at-once"]
    command += ["--minutes", str(minutes), "--output", str(output), "--seed", "2580"]
    command += ["--subscriptions", "60", "--connections", "3", "--lifetime", "2"]
    command += ["--restart-every", "1", "--cut-every", "0.4", "--rate", "10", "--growth", "1000"]
    done = await anyio.run_process(command, check=False, stderr=subprocess.STDOUT)
    assert output.exists(), done.stdout.decode()
    print(done.stdout.decode())
    reports: list[dict[str, Any]] = json.loads(output.read_text())
    assert done.returncode == any(report["violations"] for report in reports)
    return reports


# What it has found.


async def test_a_request_that_is_left_half_sent_leaves_no_generator() -> None:
    """httpx's body of a request is one: trio warns of it when it is collected."""

    sending = anyio.Event()

    async def stops_reading(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            received = 0
            while received < 100_000:
                received += len(await stream.receive())
            sending.set()
            await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tg:
        tg.start_soon(listener.serve, stops_reading)
        async with (
            Client(f"http://127.0.0.1:{port}/") as session,
            anyio.create_task_group() as calls,
        ):
            # More than the network's buffers hold.
            calls.start_soon(session.execute, "{ ok }", {"some": "x" * 30_000_000})
            await sending.wait()
            calls.cancel_scope.cancel()
        gc.collect()
        tg.cancel_scope.cancel()
