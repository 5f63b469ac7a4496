"""Programs that Ctrl-C interrupts under trio: at any line, whether ours, trio's or anyio's.

(Under asyncio, it cancels the main task at its next checkpoint, wherever it is pressed.) ::

    python -m tests.promises.interrupting 12 2026-11-27      # at 12 lines of each, by that seed

Prints what is wrong. Each program runs in the main thread of this process; the server, in another.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import trio

import anygql
from anygql import Client, Deduplicate, HTTPTransport, LocalSchemaTransport, Refreshing
from anygql.testing import GraphQLServer, Stub, demo_schema
from anygql.throttle import Throttle

__all__ = ["PROGRAMS", "wrong_ends"]

COUNTDOWN = "subscription { countdown(from: 2) }"

#: Where our own code is.
OURS = str(Path(anygql.__file__).parent)

#: Seconds after which a run that goes on says where it is, and ends the process.
HUNG = 20

#: Seconds that the server may take to close its sockets.
SOON = 5.0

Program = Callable[[str], Awaitable[object]]


# The programs.


async def over_websocket(url: str) -> None:
    async with Client(url).connect(reconnecting=True) as session:
        await session.execute("{ hello }")
        async with session.subscribe(COUNTDOWN) as events:
            async for _ in events:
                await session.execute("{ hello }")


async def over_http(url: str) -> None:
    transport = HTTPTransport(url.replace("ws:", "http:"))
    async with Client(transport).connect(reconnecting=True) as session:
        await session.execute("{ hello }")
        await session.execute_batch(["{ hello }", "{ hello }"])
        async with session.subscribe(COUNTDOWN) as events:
            async for _ in events:
                pass


async def split(url: str) -> None:
    async with Client(url.replace("ws:", "http:"), subscriptions=url) as session:
        await session.execute("{ hello }")
        async with session.subscribe(COUNTDOWN) as events:
            async for _ in events:
                pass


async def without_server(_: str) -> None:
    async with Client(LocalSchemaTransport(demo_schema())) as session:
        await session.execute("{ hello }")
        async with session.subscribe(COUNTDOWN) as events:
            async for _ in events:
                pass


async def shared(url: str) -> None:
    async with Client(url) as session, session.share(COUNTDOWN) as hub:
        async with hub.listen() as one, hub.listen() as other:
            async for _ in one:
                await other.receive()


async def pages(_: str) -> None:
    """Read a list of three pages."""
    answers = [{"numbers": [number], "next": number < 2} for number in range(3)]
    text = "query Numbers($page: Int!) { numbers(page: $page) next }"
    transport = Stub({"Numbers": lambda operation: answers[operation.variables["page"]]})
    async with (
        Client(transport) as session,
        session.pages(text, {"page": 0}, path="numbers", next_page=_next_page) as numbers,
    ):
        async for _number in numbers:
            pass


def _next_page(data: Any) -> dict[str, int] | None:
    return {"page": data["numbers"][0] + 1} if data["next"] else None


async def with_all_around(url: str) -> None:
    """Equal queries at once, throttled, with a token that is refreshed."""
    auth = Refreshing(refresh=lambda: "token")
    async with (
        Client(url, auth=auth, interceptors=[Deduplicate(), Throttle(rate=1000)]) as session,
        trio.open_nursery() as tasks,
    ):
        for _ in range(3):
            tasks.start_soon(session.execute, "{ hello }")


async def opened_and_closed(url: str) -> None:
    client = Client(url)
    async with trio.open_nursery() as tasks:
        session = await client.connect_async(tasks, reconnecting=True)
        await session.execute("{ hello }")
        await client.close_async()


PROGRAMS: tuple[Program, ...] = (
    over_websocket,
    over_http,
    split,
    without_server,
    shared,
    pages,
    with_all_around,
    opened_and_closed,
)

#: Those that have a group of tasks of their own.
HAVE_TASKS = {with_all_around, opened_and_closed}


# Their interruption.


class Lines:
    """Counts the lines that are run, and presses Ctrl-C at one, or soon after it.

    Not in a program's own code, nor in what that calls of trio and anyio: a program is interrupted
    there without us, too, where trio itself may break (it isn't protected while it starts a task).
    """

    def __init__(self, number: int = 0) -> None:
        self.count = 0
        self.place = ""
        self._number = number

    def watch(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Watch a frame that begins or goes on, for ``sys.settrace``."""
        return None if frame.f_code.co_filename == __file__ else self._line

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.count += 1
            if 0 < self._number <= self.count and not self.place and not _is_its_own(frame):
                self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                signal.raise_signal(signal.SIGINT)
        return self._line


def _is_its_own(frame: FrameType) -> bool:
    """Return whether a program runs a frame without us."""
    caller: FrameType | None = frame
    while caller is not None and not caller.f_code.co_filename.startswith(OURS):
        if caller.f_code.co_filename == __file__:
            return caller.f_code.co_name != "run"  # what trio runs beside the program
        caller = caller.f_back
    return False


def run(program: Program, url: str, lines: Lines) -> BaseException | None:
    """Run a program, and return what came out of it."""

    async def main() -> None:
        sys.settrace(lines.watch)
        try:
            await program(url)
        finally:
            sys.settrace(None)

    faulthandler.dump_traceback_later(HUNG, exit=True)
    try:
        anyio.run(main, backend="trio")
    except BaseException as error:
        return error
    finally:
        sys.settrace(None)
        faulthandler.cancel_dump_traceback_later()
    return None


def wrong_ends(url: str, amount: int, seed: str) -> list[str]:
    """Interrupt each program at so many of its lines, and return what is wrong with its ends."""
    dropped: list[BaseException | None] = []
    sys.unraisablehook = lambda what: dropped.append(what.exc_value)
    wrong: list[str] = []
    for program in PROGRAMS:
        untouched = Lines()
        if error := run(program, url, untouched):
            wrong.append(f"{program.__name__}, untouched: {error!r}")
            continue
        generator = random.Random(f"{seed} {program.__name__}")
        for _ in range(amount):
            number = generator.randint(1, untouched.count)
            found, lines = _open_files(), Lines(number)
            dropped.clear()
            print(f"{program.__name__} {number}", file=sys.stderr, flush=True)
            error = run(program, url, lines)
            # Python drops what a destructor or a weak reference's callback raises.
            if lines.place and not _is_interrupt(error, program) and not any(dropped):
                wrong.append(f"{program.__name__}, {number}, {lines.place}: {error!r}")
            del error
            if left := _left_over(found):
                wrong.append(f"{program.__name__}, {number}, {lines.place}: left over: {left}")
    return wrong


def _is_interrupt(error: BaseException | None, program: Program) -> bool:
    """Return whether a ``KeyboardInterrupt`` came out, in no group but a program's own."""
    if isinstance(error, BaseExceptionGroup) and program in HAVE_TASKS:
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)


def _left_over(found: set[str]) -> set[str]:
    """Return what is open more than before, when the server has had time for its own sockets."""
    gc.collect()
    due = time.monotonic() + SOON
    while (left := _open_files() - found) and time.monotonic() < due:
        time.sleep(0.01)
    return left


def _open_files() -> set[str]:
    """Return what is open: the number and the kind of each file."""
    files: set[str] = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the folder itself, which is closed by now
            files.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
    return files


def _serve() -> str:
    """Serve in a thread, as long as the process lives, and return the URL."""
    urls: list[str] = []
    listening = threading.Event()

    async def serve() -> None:
        async with GraphQLServer(demo_schema()) as server:
            urls.append(await server.listen())
            listening.set()
            await anyio.sleep_forever()

    threading.Thread(target=anyio.run, args=(serve,), daemon=True).start()
    listening.wait()
    return urls[0]


def main() -> None:
    amount, seed = sys.argv[1:]
    # A shell that runs this in the background has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore")  # of what Ctrl-C came before
    for wrong in wrong_ends(_serve(), int(amount), seed):
        print(wrong)


if __name__ == "__main__":
    main()
