"""Import anygql and run the first query: ``… PORT LOOP OVER BEGUN``; times as JSON.

``OVER`` is ``ws`` or ``http``, and ``BEGUN`` when the process was started (``time.time()``).
"""

from time import perf_counter, process_time

begun, begun_cpu = perf_counter(), process_time()

import anygql  # noqa: E402 - timed

imported, imported_cpu = perf_counter(), process_time()

import json  # noqa: E402 - timed
import sys  # noqa: E402 - timed
from time import time  # noqa: E402 - timed

import anyio  # noqa: E402 - timed

port, loop, over, started = sys.argv[1:]


async def main() -> None:
    path = "/" if over == "ws" else "/http/140"
    async with anygql.Client(f"{over}://127.0.0.1:{port}{path}") as session:
        data = await session.execute(
            "query ($size: Int!) { event(size: $size) { n } }", {"size": 140}
        )
        assert data["event"]["n"] == 0


anyio.run(main, backend=loop)
done, done_cpu, ended = perf_counter(), process_time(), time()
print(
    json.dumps(
        {
            "import": {"wall": imported - begun, "cpu": imported_cpu - begun_cpu},
            "execute": {"wall": done - begun, "cpu": done_cpu - begun_cpu},
            "process": {"wall": ended - float(started), "cpu": done_cpu},
        }
    )
)
