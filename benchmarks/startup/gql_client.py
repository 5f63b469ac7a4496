"""Import gql with its WebSocket transport and run the first query: ``… PORT TRANSPORT``."""

import sys
from time import perf_counter, process_time

port, transport = sys.argv[1:]
begun, begun_cpu = perf_counter(), process_time()

import gql  # noqa: E402 - timed

if transport == "aiohttp":
    from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport as Transport
else:
    from gql.transport.websockets import WebsocketsTransport as Transport

imported, imported_cpu = perf_counter(), process_time()

import asyncio  # noqa: E402 - timed
import json  # noqa: E402 - timed


async def main() -> None:
    async with gql.Client(transport=Transport(url=f"ws://127.0.0.1:{port}/")) as session:
        request = gql.GraphQLRequest(
            "query ($size: Int!) { event(size: $size) { n } }", variable_values={"size": 140}
        )
        data = await session.execute(request)
        assert data["event"]["n"] == 0


asyncio.run(main())
done, done_cpu = perf_counter(), process_time()
print(
    json.dumps(
        {
            "import": {"wall": imported - begun, "cpu": imported_cpu - begun_cpu},
            "execute": {"wall": done - begun, "cpu": done_cpu - begun_cpu},
        }
    )
)
