"""Cancelling a scenario at each of its checkpoints.

A checkpoint is each time the scenario's task suspends, that is, yields to the loop. The scenario's
coroutine is driven step by step by a trampoline (``Steps``), which counts what it yields and calls
for the cancellation at the step that a ``Trial`` names: the same under asyncio and trio.

Knows nothing of any client, nor of pytest, so that others can be put to the same test.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import sys
import traceback
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from anyio.lowlevel import checkpoint

__all__ = [
    "Body",
    "Boom",
    "Findings",
    "Run",
    "Scenario",
    "Trial",
    "Violation",
    "cancelled_everywhere",
    "eventually",
    "try_once",
]

#: Seconds that one run of a scenario may take: far more than it does.
BOUND = 10.0

#: Seconds that what has been cancelled may take to be gone.
SOON = 3.0

Run = Callable[[], Awaitable[None]]


class Violation(AssertionError):
    """A promise that was broken."""


class Boom(Exception):
    """What a scenario's body raises."""


class Body:
    """The places in a scenario's body where it might raise."""

    def __init__(self, raise_at: int = 0) -> None:
        self.count = 0
        self._raise_at = raise_at

    def point(self) -> None:
        """One of them; raises ``Boom`` if it is its turn."""
        self.count += 1
        if self.count == self._raise_at:
            raise Boom


@dataclass(frozen=True)
class Scenario:
    """``enter`` sets everything up, and gives what is to be cancelled.

    What it does after that is checks: it is never told how the run ended.
    """

    name: str
    enter: Callable[[Body], AbstractAsyncContextManager[Run]]
    #: The loops that have it.
    loops: tuple[str, ...] = ("asyncio", "trio")


@dataclass(frozen=True)
class Trial:
    """One way to disturb a scenario.

    ``moment``: ``"suspended"`` cancels while the task waits at its ``number``-th checkpoint (0: it
    is cancelled before it begins), ``"woken"`` when what it waited for there has come and it has
    not run yet; ``"turn"`` when the loop has made ``number`` turns, whatever the task and those
    that work for it are doing then; ``"raising"`` has its body raise at the ``number``-th place.
    ``native``: by asyncio's own cancellation of a task, which comes once, instead of a cancel
    scope.
    """

    moment: Literal["untouched", "suspended", "woken", "turn", "raising"] = "untouched"
    number: int = 0
    native: bool = False

    def __str__(self) -> str:
        how = "natively " if self.native else ""
        match self.moment:
            case "untouched":
                return "untouched"
            case "raising":
                return f"an exception at place {self.number} of its body"
            case "suspended" if not self.number:
                return f"{how}without any time"
            case "suspended":
                return f"{how}cancelled while it waits at checkpoint {self.number}"
            case "turn":
                return f"{how}cancelled in turn {self.number} of the loop"
            case _:
                return f"{how}cancelled as it wakes up at checkpoint {self.number}"


@dataclass
class Findings:
    """How often a scenario was disturbed, and what came of it."""

    #: Checkpoints of the scenario left alone.
    checkpoints: int = 0
    #: Turns that the loop made meanwhile.
    turns: int = 0
    cancelled: int = 0
    raised: int = 0
    violations: list[str] = field(default_factory=list)


# One run.


class Steps:
    """Awaited, it runs a coroutine in the awaiting task, and counts its checkpoints.

    ``number``: at which of them ``suspending`` is called with what is yielded to the loop, before
    it is; and ``woken`` when the task runs again, before the coroutine does.
    """

    def __init__(
        self,
        coro: Coroutine[Any, Any, None],
        number: int = 0,
        suspending: Callable[[Any], object] | None = None,
        woken: Callable[[], object] | None = None,
    ) -> None:
        self.count = 0
        #: Whether the cancellation was thrown in, and how to tell that from others.
        self.interrupted = False
        self.is_ours: Callable[[BaseException], bool] = _is_native
        self._coro = coro
        self._number = number
        self._suspending = suspending
        self._woken = woken

    def __await__(self) -> Generator[Any, Any, None]:
        step: Callable[[], Any] = lambda: self._coro.send(None)  # noqa: E731
        while True:
            try:
                yielded = step()
            except StopIteration:
                return
            self.count += 1
            here = self.count == self._number
            if here and self._suspending is not None:
                self._suspending(yielded)
            try:
                value = yield yielded
            except GeneratorExit:
                self._coro.close()
                raise
            except BaseException as error:
                self.interrupted = self.interrupted or self.is_ours(error)
                step = _thrower(self._coro, error)
            else:
                step = _sender(self._coro, value)
            if here and self._woken is not None:
                self._woken()


def _is_native(error: BaseException) -> bool:
    # anyio's say which scope they are of.
    return isinstance(error, asyncio.CancelledError) and "cancel scope" not in str(error)


def _sender(coro: Coroutine[Any, Any, None], value: Any) -> Callable[[], Any]:
    return lambda: coro.send(value)


def _thrower(coro: Coroutine[Any, Any, None], error: BaseException) -> Callable[[], Any]:
    return lambda: coro.throw(error)


@dataclass
class Passed:
    """How far a run came."""

    checkpoints: int = 0
    turns: int = 0
    #: Whether the cancellation was asked for.
    reached: bool = False


async def _by_scope(run: Run, trial: Trial) -> Passed:
    at = trial.number
    async with _turning(trial) as turns:
        with anyio.CancelScope() as scope:
            match trial.moment:
                case "suspended":
                    steps = Steps(_coroutine(run), at, lambda _: scope.cancel())
                    if not at:
                        scope.cancel()
                case "woken":
                    steps = Steps(_coroutine(run), at, woken=scope.cancel)
                case _:
                    steps = Steps(_coroutine(run))
                    if trial.moment == "turn":
                        turns.call(at, scope.cancel)
            # Under asyncio. Under trio nothing is thrown into the outermost coroutine.
            steps.is_ours = lambda error: f"cancel scope {id(scope):x}" in str(error)
            await steps
            if steps.interrupted:
                raise Violation("the cancellation was swallowed")
    return Passed(steps.count, turns.count, scope.cancel_called)


async def _natively(run: Run, trial: Trial) -> Passed:
    loop = asyncio.get_running_loop()
    passed = Passed()

    def cancel(*_: Any) -> None:
        passed.reached = True
        steps.interrupted = False  # what was thrown in before was not this
        task.cancel()

    def when_it_wakes(yielded: Any) -> None:
        # Before the task's own callback: by the time this runs, what it waits for has come.
        if isinstance(yielded, asyncio.Future):
            yielded.add_done_callback(cancel)
        else:
            loop.call_soon(cancel)

    async def body() -> None:
        if trial.moment == "suspended" and not trial.number:
            # As a timeout of zero does it: the task has begun, and has had no checkpoint.
            cancel()
        await steps

    match trial.moment:
        case "suspended":
            steps = Steps(_coroutine(run), trial.number, cancel)
        case "woken":
            steps = Steps(_coroutine(run), trial.number, when_it_wakes)
        case _:
            steps = Steps(_coroutine(run))
    async with _turning(trial) as turns:
        task = asyncio.create_task(body())
        if trial.moment == "turn":
            turns.call(trial.number, cancel)
        try:
            await asyncio.wait([task])
        finally:
            turns.call(0, cancel)
            if not task.done():
                task.cancel()
    passed.checkpoints, passed.turns = steps.count, turns.count
    if not task.cancelled():
        task.result()
        if passed.reached and steps.interrupted:
            raise Violation("the cancellation was swallowed")
    elif not passed.reached:
        raise Violation("it was cancelled by nobody")
    return passed


class _Turns:
    """Counts the turns of the loop."""

    def __init__(self) -> None:
        self.count = 0
        self._at = 0
        self._function: Callable[[], object]

    def call(self, at: int, function: Callable[[], object]) -> None:
        """Call a function in a certain turn; 0 is none."""
        self._at, self._function = at, function

    async def go_on(self) -> None:
        while True:
            await checkpoint()
            self.count += 1
            if self.count == self._at:
                self._function()


@asynccontextmanager
async def _turning(trial: Trial) -> AsyncGenerator[_Turns]:
    turns = _Turns()
    if trial.moment not in {"untouched", "turn"}:
        yield turns  # the loop is left to rest while there is nothing to do
        return
    error: Exception | None = None
    async with anyio.create_task_group() as tg:
        tg.start_soon(turns.go_on)
        try:
            yield turns
        except Exception as exc:
            error = exc
        tg.cancel_scope.cancel()
    if error is not None:
        raise error


async def _coroutine(run: Run) -> None:
    await run()


async def try_once(scenario: Scenario, trial: Trial) -> tuple[Body, Passed]:
    """Run a scenario once; raises ``Violation`` for whatever is not as it should be."""
    body = Body(trial.number if trial.moment == "raising" else 0)
    found = Resources.now()
    with complaints() as complained:
        with _bounded():
            async with scenario.enter(body) as run:
                passed = await _outcome(run, trial)
        for _ in range(100):  # at most: what is left may need a few rounds of the loop
            if Resources.now() == found:
                break
            await checkpoint()
        gc.collect()
        await eventually(
            lambda: not Resources.now().left_over(found),
            lambda: f"left over: {Resources.now().left_over(found)}",
        )
    if complained:
        raise Violation("; ".join(complained))
    return body, passed


async def _outcome(run: Run, trial: Trial) -> Passed:
    """Only the exception that was asked for may come out, and as it is."""
    try:
        if trial.native:
            return await _natively(run, trial)
        return await _by_scope(run, trial)
    except Boom:
        return Passed(reached=True)
    except (Violation, AssertionError):
        raise
    except Exception as exc:
        raise Violation(f"{exc!r} came out, at {_where(exc)}") from exc


@contextmanager
def _bounded() -> Iterator[None]:
    try:
        with anyio.fail_after(BOUND) as scope:
            yield
    except TimeoutError as exc:
        if scope.cancelled_caught:
            raise Violation(f"it hung for {BOUND:g} s") from exc
        raise


def _leaves(exc: BaseException) -> list[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        return [leaf for each in exc.exceptions for leaf in _leaves(each)]
    return [exc]


def _described(exc: BaseException) -> str:
    return str(exc) if isinstance(exc, Violation) else f"{exc!r} at {_where(exc)}"


def _where(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:]))


async def eventually(true: Callable[[], bool], why: Callable[[], str] | str) -> None:
    """Wait until something holds that nothing tells of; raises ``Violation`` if it never does."""
    for _ in range(20):
        if true():
            return
        await checkpoint()
    with anyio.move_on_after(SOON):
        while not true():
            await anyio.sleep(0.001)
    if not true():
        raise Violation(f"{why() if callable(why) else why} (waited {SOON:g} s)")


# What is left.


@dataclass(frozen=True)
class Resources:
    """Tasks and file descriptors."""

    tasks: frozenset[int]
    files: frozenset[str]

    @classmethod
    def now(cls) -> Resources:
        """What there is."""
        tasks = frozenset(task.id for task in anyio.get_running_tasks())
        return cls(tasks, _open_files())

    def left_over(self, before: Resources) -> str:
        """What there is more than before, in words; nothing if that is nothing."""
        left = [
            f"{task.name} ({getattr(task.coro, '__qualname__', '')})"
            for task in anyio.get_running_tasks()
            if task.id in self.tasks - before.tasks
        ]
        more = self.files - before.files
        return ", ".join(left + sorted(more))


def _open_files() -> frozenset[str]:
    """The open file descriptors, by number and what they are."""
    files: set[str] = set()
    directory = "/proc/self/fd"
    if not os.path.isdir(directory):  # not Linux
        return frozenset()
    for name in os.listdir(directory):
        with contextlib.suppress(OSError):  # the descriptor of this listing itself
            files.add(f"{name} -> {os.readlink(f'{directory}/{name}')}")
    # uvloop opens it with its first stream, to have one in reserve, and keeps it.
    return frozenset(file for file in files if not file.endswith(" -> /dev/null"))


@contextmanager
def complaints() -> Iterator[list[str]]:
    """What the interpreter and the loop would otherwise only have printed.

    That is: what was dropped without being closed, exceptions that nobody retrieved, and those
    of callbacks and finalisers.
    """
    said: list[str] = []

    def on_unraisable(unraisable: Any) -> None:
        said.append(f"{unraisable.exc_value!r} in {unraisable.object!r}")

    def on_loop(_: Any, context: dict[str, Any]) -> None:
        said.append(f"{context.get('message')} {context.get('exception')!r}")

    loop = None
    with contextlib.suppress(RuntimeError):
        loop = asyncio.get_running_loop()
    before = sys.unraisablehook
    handler = loop.get_exception_handler() if loop is not None else None
    sys.unraisablehook = on_unraisable
    if loop is not None:
        loop.set_exception_handler(on_loop)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            warnings.simplefilter("error", RuntimeWarning)  # coroutines that were never awaited
            yield said
    finally:
        sys.unraisablehook = before
        if loop is not None:
            loop.set_exception_handler(handler)


# All runs.


async def cancelled_everywhere(
    scenario: Scenario,
    *,
    native: bool = False,
    most: int | None = None,
    most_turns: int | None = None,
    seed: str = "",
    most_violations: int = 10,
) -> Findings:
    """Run a scenario once, then once for each disturbance; return what came of it.

    ``most``: no more than so many of its checkpoints are tried; ``most_turns``: no more than so
    many of the loop's turns, and of the places that may raise; ``seed`` chooses which. It ends
    early with so many violations: enough to see what is wrong.
    """
    choice = random.Random(f"{seed} {scenario.name}")
    findings = Findings()
    await try_once(scenario, Trial(native=native))  # what is imported late, is now
    body, passed = await try_once(scenario, Trial(native=native))
    findings.checkpoints, findings.turns = passed.checkpoints, passed.turns
    gc.collect()
    gc.freeze()  # what that has imported need not be searched after each run
    trials = [Trial("suspended", 0, native)]
    # At each checkpoint twice: as it suspends, and as it wakes.
    for number in chosen(2 * passed.checkpoints, most, choice):
        trials.append(Trial("woken" if number % 2 else "suspended", (number + 1) // 2, native))
    # Densely at first: while something is waited for, one turn is like the next.
    numbers = chosen(passed.turns, most_turns, choice, 2)
    trials += [Trial("turn", number, native) for number in numbers]
    if not native:
        numbers = chosen(body.count, most_turns, choice)
        trials += [Trial("raising", number) for number in numbers]
    for trial in trials:
        if len(findings.violations) < most_violations:
            await _noted(scenario, trial, findings)
    return findings


def chosen(last: int, most: int | None, choice: random.Random, power: int = 1) -> list[int]:
    """Return all numbers from 1 to ``last``, or one from each of ``most`` stretches of them."""
    if most is None or last <= most:
        return list(range(1, last + 1))
    places = (((n + choice.random()) / most) ** power for n in range(most))
    return sorted({1 + int(last * place) for place in places})


async def _noted(scenario: Scenario, trial: Trial, findings: Findings) -> None:
    reached = True
    try:
        _, passed = await try_once(scenario, trial)
        reached = passed.reached
    except Exception as exc:
        said = " and ".join(map(_described, _leaves(exc)))
        findings.violations.append(f"{scenario.name}, {trial}: {said}")
    if trial.moment == "raising":
        findings.raised += reached
    else:
        findings.cancelled += reached
