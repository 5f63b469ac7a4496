"""Import anygql and run the first query over WebSocket: ``… PORT LOOP``; times as JSON."""

from time import perf_counter, process_time

begun, begun_cpu = perf_counter(), process_time()

import anygql  # noqa: E402 - timed

imported, imported_cpu = perf_counter(), process_time()

import json  # noqa: E402 - timed
import sys  # noqa: E402 - timed

import anyio  # noqa: E402 - timed

port, loop = sys.argv[1:]


async def main() -> None:
    async with anygql.Client(f"ws://127.0.0.1:{port}/") as session:
        data = await session.execute(
            "query ($size: Int!) { event(size: $size) { n } }", {"size": 140}
        )
        assert data["event"]["n"] == 0


anyio.run(main, backend=loop)
done, done_cpu = perf_counter(), process_time()
print(
    json.dumps(
        {
            "import": {"wall": imported - begun, "cpu": imported_cpu - begun_cpu},
            "execute": {"wall": done - begun, "cpu": done_cpu - begun_cpu},
        }
    )
)
