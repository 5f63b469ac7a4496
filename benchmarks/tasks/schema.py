"""Execute with a schema: a document of 60 fields, from its second call on.

The socket is memory, so what is measured is all that the client does for a call: validation,
printing, encoding, decoding, its tasks. ``with_schema=False`` shows what of it the schema costs.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from ..peers import Peer
from . import Skipped, Stopwatch, run_on

__all__ = ["DOCUMENT", "SDL", "run"]

_PARTS = 12

#: Twelve times five fields.
SDL = (
    "type Query {"
    + " ".join(f"part{k}(id: ID!, first: Int = 10): Part{k}" for k in range(_PARTS))
    + "}\n"
    + "\n".join(
        f"type Part{k} {{ id: ID! name: String! price(currency: String): Float stock: Int }}"
        for k in range(_PARTS)
    )
)
DOCUMENT = (
    "query Parts($id: ID!, $first: Int) {"
    + " ".join(
        f'part{k}(id: $id, first: $first) {{ id name price(currency: "EUR") stock }}'
        for k in range(_PARTS)
    )
    + "}"
)
_DATA = b'{"part0":{"id":"1","name":"a part","price":1.5,"stock":7}}'


def run(peer: Peer, port: int, *, count: int, with_schema: bool = True) -> dict[str, Any]:
    from graphql import build_schema

    client = importlib.import_module(f"benchmarks.peers.{peer.module}")
    options: dict[str, Any] = {}
    if with_schema:
        if peer.module == "anygql_client" and "schema" not in _parameters():
            raise Skipped("anygql.Client takes no schema")
        options["schema"] = build_schema(SDL)

    async def main() -> dict[str, Any]:
        async with client.open_memory(_DATA, **options) as session:
            request = session.request(DOCUMENT, {"id": "1", "first": 3})
            await session.execute(request)
            stopwatch = Stopwatch()
            stopwatch.start()
            for _ in range(count):
                data = await session.execute(request)
                if data["part0"]["stock"] != 7:
                    raise RuntimeError("another query's answer")
            return stopwatch.stop(count)

    return dict(run_on(peer, main))


def _parameters() -> Any:
    import anygql

    return inspect.signature(anygql.Client).parameters
