"""Ctrl-C at any moment: one ``KeyboardInterrupt`` comes out, as it would of a program without us.

Each program interrupts itself at a moment of its own: after so many seconds, or after so many
seconds of work, which are never spent waiting.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys

import anyio
import pytest

from anygql.testing import GraphQLServer
from tests.support.amount import DAY, EVERYTHING
from tests.support.http_peer import http, kept, peer
from tests.support.paths import ROOT

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs timers that signal"),
    pytest.mark.timeout(1200 if EVERYTHING else 300),
]

#: Programs on each loop, in turn for each transport and clock.
PROGRAMS = 200 if EVERYTHING else 24

TRANSPORTS = ("websocket", "local", "http", "refresh")
CLOCKS = ("SIGALRM", "SIGPROF")

#: The latest moment, in seconds after the loop has begun to run.
LATEST = 0.2

#: Seconds after which a program that goes on says where it is, and ends.
HUNG = 30

PROGRAM = (
    f"""
import faulthandler
faulthandler.dump_traceback_later({HUNG}, exit=True)
"""
    """
import signal, sys
import anyio
from anygql import Client, Refreshing

url, backend, kind, clock, delay = sys.argv[1:]
# A shell that runs this in the background has Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def transport():
    if kind != "local":
        return url
    from anygql import LocalSchemaTransport
    from anygql.testing import demo_schema
    return LocalSchemaTransport(demo_schema())

async def renew():
    await anyio.sleep(0.001)
    sum(range(30_000))  # so that it may be interrupted at work, too
    await anyio.sleep(0.001)
    return "token"

# Most of the time it is refreshed, and its connection gets a successor.
auth = Refreshing(refresh=renew, expires=lambda _: anyio.current_time() + 0.002)

async def main():
    client = Client(transport(), auth=auth if kind == "refresh" else None)
    timer = {"SIGALRM": signal.ITIMER_REAL, "SIGPROF": signal.ITIMER_PROF}[clock]
    signal.signal(getattr(signal, clock), lambda *_: signal.raise_signal(signal.SIGINT))
    # Python drops an exception of a weak reference's callback: then Ctrl-C is pressed again. On a
    # busy machine, half a second of work takes long.
    signal.setitimer(timer, float(delay), {"SIGALRM": 2, "SIGPROF": 0.5}[clock])
    while True:
        async with client.connect(reconnecting=True) as session:
            for _ in range(5):
                await session.execute("{ hello }")
                if kind != "http":
                    async with session.subscribe("subscription { countdown(from: 2) }") as events:
                        async for _ in events:
                            await session.execute("{ hello }")

uvloop = {"use_uvloop": True} if backend == "uvloop" else {}
anyio.run(main, backend="asyncio" if uvloop else backend, backend_options=uvloop)
"""
)

#: What must not be in what a program says. trio's and anyio's own code may be interrupted before it
#: awaits a coroutine or has begun a generator, of which Python complains; asyncio's may not.
NOISE = {
    "asyncio": ("Group", "Exception ignored", "never", "destroyed", "Timeout"),
    "trio": ("Group", "InternalError", "corrupted", "Timeout"),
}


#: Under trio Ctrl-C may come within the program's own `async with`, when ``__aexit__`` has been
#: called and is not awaited yet, or ``__aenter__`` is over and the block has not begun
#: (https://github.com/python/cpython/issues/74174): about once in a thousand programs the context
#: isn't left, be it a nursery of trio's or a session.
NOT_LEFT = (
    "__aexit__' was never awaited",
    "Exception ignored in: <async_generator object _SessionContext.__asynccontextmanager__",
)


@pytest.fixture
def time_limit() -> float:
    return 1000 if EVERYTHING else 240


def interrupted(number: int, urls: dict[str, str], backend: str) -> str:
    """Run one program; return what is wrong with its end, or nothing."""
    kind, clock = TRANSPORTS[number % 4], CLOCKS[number // 4 % 2]
    url = urls.get(kind, "")
    moment = random.Random(f"{DAY} {number}").uniform(0.001, LATEST)
    arguments = [url, backend, kind, clock, f"{moment:.6f}"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if backend == "trio" and any(text in done.stderr for text in NOT_LEFT):
        return ""
    # What was going on when Ctrl-C came may have been a group on its way.
    last = re.split(r"\n\n(?:During handling|The above exception)[^\n]*\n\n", done.stderr)[-1]
    noise = [
        word
        for word in NOISE.get(backend, NOISE["asyncio"])
        if word in (last if word == "Group" else done.stderr)
    ]
    came_out = "\nKeyboardInterrupt\n" in last
    if done.returncode == -signal.SIGINT and came_out and not noise:
        return ""
    return f"{DAY} {number} {arguments[1:]}: {done.returncode} {noise}\n{done.stderr}"


async def test_one_keyboard_interrupt_comes_out(server: GraphQLServer, anyio_backend: str) -> None:
    urls = dict.fromkeys(["websocket", "refresh"], await server.listen())
    wrong: list[str] = []
    limiter = anyio.CapacityLimiter(2)

    async def run(number: int) -> None:
        found = await anyio.to_thread.run_sync(
            interrupted, number, urls, str(anyio_backend), limiter=limiter
        )
        if found:
            wrong.append(found)

    async with peer(kept(http('{"data": {"hello": "Hello world!"}}'))) as http_server:
        urls["http"] = http_server.url
        async with anyio.create_task_group() as tg:
            for number in range(PROGRAMS):
                tg.start_soon(run, number)
    assert not wrong, "\n".join(wrong)
