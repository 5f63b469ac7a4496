"""The event loops that tests run on (asyncio's own, uvloop and trio), and who runs where."""

from __future__ import annotations

import importlib.util
import zlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from tests.support.amount import DAY

__all__ = [
    "ASYNCIO_LOOPS",
    "LOOPS",
    "UVLOOP",
    "Loop",
    "Way",
    "is_chosen",
    "of_chosen_sockets",
    "rows_of",
]


class Loop(tuple[str, dict[str, Any]]):
    """A value of `anyio_backend` with options. It equals the name of its backend.

    So `anyio_backend == "asyncio"` holds under uvloop, too; `str` tells the two apart.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self[0] == other if isinstance(other, str) else super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[0])

    def __str__(self) -> str:
        return "uvloop" if self[1].get("use_uvloop") else self[0]

    __format__ = object.__format__


UVLOOP = Loop(("asyncio", {"use_uvloop": True}))

#: Those that run asyncio's tasks. (There is no uvloop for Windows, nor for PyPy.)
ASYNCIO_LOOPS: list[str | Loop] = ["asyncio"]
if importlib.util.find_spec("uvloop") is not None:
    ASYNCIO_LOOPS.append(UVLOOP)

LOOPS: list[str | Loop] = [*ASYNCIO_LOOPS, "trio"]


class Way(NamedTuple):
    """How a test runs: on which loop, and over HTTP with which client (``""`` if it has none)."""

    loop: str
    client: str


def rows_of(items: Iterable[pytest.Item]) -> dict[str, set[Way]]:
    """Return the ways in which each test was collected, by its row."""
    rows: dict[str, set[Way]] = defaultdict(set)
    for item in items:
        row, way = _row(item)
        rows[row].add(way)
    return rows


def is_chosen(item: pytest.Item, rows: dict[str, set[Way]]) -> bool:
    """Whether a test runs in its way, if it needn't run in every way of its row."""
    row, way = _row(item)
    number = zlib.crc32(row.encode())
    clients = sorted({client for _, client in rows[row]})
    libraries = [client for client in clients if client in {"httpx", "httpx2"}]
    of_libraries = way.client in libraries
    if of_libraries and way.client != libraries[number // 4 % len(libraries)]:
        return False
    loops = {loop for loop, client in rows[row] if client == way.client}
    if {"asyncio", "uvloop"} <= loops:
        loops = loops - {"asyncio" if number // 2 % 2 else "uvloop"}
    if (of_libraries or item.get_closest_marker("table")) and "trio" in loops and len(loops) > 1:
        loops = loops - {"trio"} if number % 2 else {"trio"}
    return way.loop in loops


def of_chosen_sockets(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Leave out what is marked ``one_socket`` and is for another socket than its row's of today."""
    kept: list[pytest.Item] = []
    by_row: dict[str, dict[str, list[pytest.Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        call = getattr(item, "callspec", None)
        if (
            call is None
            or "connector" not in call.params
            or not item.get_closest_marker("one_socket")
        ):
            kept.append(item)
            continue
        socket = str(call.params["connector"])
        by_row[_row(item)[0].replace(socket, "", 1)][socket].append(item)
    for row, sockets in by_row.items():
        names = sorted(sockets)
        kept += sockets[names[zlib.crc32(f"{DAY} {row}".encode()) % len(names)]]
    return kept


def _row(item: pytest.Item) -> tuple[str, Way]:
    """Return a test's id without the way in which it runs, and that."""
    call = getattr(item, "callspec", None)
    params = {} if call is None else call.params
    backend = params.get("anyio_backend")
    loop = str(backend) if isinstance(backend, str | Loop) else ""
    way = Way(loop, params.get("http_client", ""))
    function, _, ids = item.nodeid.partition("[")
    parts = ids.removesuffix("]").split("-")
    for part in way:
        if part and part in parts:
            parts.remove(part)
    return f"{function}[{'-'.join(parts)}]", way
