"""A lock on one loop, and another on the next."""

from __future__ import annotations

import anyio

from anygql.concurrency.locks import LoopLock


def test_each_loop_has_its_own(anyio_backend_name: str) -> None:
    lock = LoopLock()

    async def main() -> anyio.Lock:
        async with lock.here():
            assert lock.here().locked()
        return lock.here()

    first, second = (anyio.run(main, backend=anyio_backend_name) for _ in range(2))
    assert first is not second
