"""Events and answers as values of the user's types.

anygql makes them of what comes over the wire (``result_type``); its ``untyped`` contender gets
plain data, and makes nothing of them. gql gives plain data, of which pydantic makes a model.
"""

from __future__ import annotations

import dataclasses
import importlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from ..messages import QUERY, SUBSCRIPTION
from ..peers import Peer
from . import Stopwatch, run_on
from .subscribe import Start

__all__ = ["run"]

#: Queries before the clock starts.
WARM = 200


def _types(kind: str) -> Any:
    """The type of the whole data, as a Struct, dataclass or pydantic model."""
    item = {"id": str, "name": str, "price": float, "stock": int}
    event = {"n": int, "at": str, "text": str}
    if kind == "struct":
        import msgspec

        one: Any = msgspec.defstruct("Item", list(item.items()))
        many: Any = msgspec.defstruct("Event", [*event.items(), ("items", list[one], [])])
        return msgspec.defstruct("Data", [("event", many)])
    if kind == "dataclass":
        one = dataclasses.make_dataclass("Item", list(item.items()))
        items = dataclasses.field(default_factory=list)
        many = dataclasses.make_dataclass("Event", [*event.items(), ("items", list[one], items)])
        return dataclasses.make_dataclass("Data", [("event", many)])
    import pydantic

    one = pydantic.create_model("Item", **item)  # type: ignore[call-overload]
    many = pydantic.create_model("Event", **event, items=(list[one], []))  # type: ignore[call-overload]
    return pydantic.create_model("Data", event=many)


def run(peer: Peer, port: int, *, kind: str, over: str, size: int, count: int) -> dict[str, Any]:
    """``count`` events, or answers one after the other, of ``size`` bytes, as a ``kind``.

    ``over`` is ``"subscription"``, ``"ws"`` or ``"http"``.
    """
    client = importlib.import_module(f"benchmarks.peers.{peer.module}")
    options: dict[str, Any] = {}
    make: Callable[[Any], Any] = lambda data: data  # noqa: E731
    number: Callable[[Any], int] = lambda made: made.event.n  # noqa: E731
    if peer.module != "anygql_client":
        make = _types("model").model_validate
    elif peer.engine == "untyped":
        number = lambda made: made["event"]["n"]  # noqa: E731
    else:
        options["result_type"] = _types(kind)

    async def events(session: Any) -> dict[str, Any]:
        token = uuid.uuid4().hex
        variables = {"size": size, "count": count, "group": 1, "token": token}
        start = Start(port, 1, token)
        seen = last = 0
        stream = session.subscribe(session.request(SUBSCRIPTION, variables), **options)
        try:
            await anext(stream)
            start.waiting()
            async for data in stream:
                seen += 1
                last = number(make(data))
        finally:
            await stream.aclose()
        result = start.stopwatch.stop(seen)
        if seen != count or not isinstance(last, int):
            raise RuntimeError(f"{seen} events came instead of {count}")
        return result

    async def answers(session: Any) -> dict[str, Any]:
        request = session.request(QUERY, {"size": size})
        execute: Callable[..., Awaitable[Any]] = session.execute
        stopwatch = Stopwatch()
        for k in range(WARM + count):
            if k == WARM:
                stopwatch.start()
            if number(make(await execute(request, **options))) != 0:
                raise RuntimeError("another query's answer")
        return stopwatch.stop(count)

    async def main() -> dict[str, Any]:
        if over == "http":
            opening = client.open_http(peer.engine, port, size)
        else:
            opening = client.open_websocket(peer.engine, port)
        async with opening as session:
            return await (events if over == "subscription" else answers)(session)

    return dict(run_on(peer, main))
