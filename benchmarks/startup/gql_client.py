"""Import gql with a transport and run the first query: ``… PORT TRANSPORT OVER BEGUN``."""

import sys
from time import perf_counter, process_time, time

port, transport, over, started = sys.argv[1:]
begun, begun_cpu = perf_counter(), process_time()

import gql  # noqa: E402 - timed

if over == "http":
    if transport == "aiohttp":
        from gql.transport.aiohttp import AIOHTTPTransport as Transport
    else:
        sys.modules["httpx2"] = None  # it would be taken instead
        from gql.transport.httpx import HTTPXAsyncTransport as Transport
elif transport == "aiohttp":
    from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport as Transport
else:
    from gql.transport.websockets import WebsocketsTransport as Transport

imported, imported_cpu = perf_counter(), process_time()

import asyncio  # noqa: E402 - timed
import json  # noqa: E402 - timed


async def main() -> None:
    path = "/" if over == "ws" else "/http/140"
    url = f"{over}://127.0.0.1:{port}{path}"
    async with gql.Client(transport=Transport(url=url)) as session:
        request = gql.GraphQLRequest(
            "query ($size: Int!) { event(size: $size) { n } }", variable_values={"size": 140}
        )
        data = await session.execute(request)
        assert data["event"]["n"] == 0


asyncio.run(main())
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
