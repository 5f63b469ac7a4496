"""``anygql serve``: the server for tests, with a schema of its own, mocked or real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .arguments import is_module
from .endpoint import load_object
from .output import Printer, complain

__all__ = ["serve"]


@click.command(short_help="Serve a schema for tests.")
@click.option(
    "--schema",
    "source",
    metavar="FILE|module:schema",
    help="SDL, of which each field answers with something of its type; or a schema in a module.  "
    "[a demo]",
)
@click.option("--host", default="127.0.0.1", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0 takes a free one.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    default=1,
    help="Seconds between mocked events.  [default: 1]",
)
@click.option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio")
def serve(source: str | None, host: str, port: int, interval: float, backend: str) -> None:
    """Serve a schema until Ctrl-C, and print its URLs: for WebSocket, then for HTTP.

    It is the server of anygql.testing: for tests and demonstrations, not for the internet.
    """
    from .running import run_async

    schema = _schema(source, interval)

    async def main() -> int:
        import anyio

        from ..testing.server import GraphQLServer

        async with GraphQLServer(schema) as server:
            try:
                url = await server.listen(host, port)
            except OSError as error:
                raise click.UsageError(f"{host}, port {port}: {error.strerror}") from None
            Printer().write(f"{url}\n{server.http_url}\n")
            complain("-- serving; Ctrl-C stops it")
            await anyio.sleep_forever()
        return 0

    run_async(main, backend=backend)


def _schema(source: str | None, interval: float) -> Any:
    if source is None:
        from ..testing.schema import demo_schema

        return demo_schema()
    if is_module(source) and not Path(source).is_file():
        return load_object(source)
    from .mocking import add_mocks
    from .schemas import schema_of_file

    schema = schema_of_file(source)
    add_mocks(schema, interval)
    return schema
