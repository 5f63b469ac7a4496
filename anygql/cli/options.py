"""The options that all commands share which talk to a server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

__all__ = ["Options", "endpoint_options", "request_options"]

_F = TypeVar("_F", bound=Callable[..., Any])


class Options(msgspec.Struct, frozen=True):
    """How to reach a server, as it was given."""

    headers: tuple[str, ...] = ()
    protocol: str | None = None
    init_payload: str | None = None
    bearer: str | None = None
    api_key: str | None = None
    timeout: float | None = None
    connect_timeout: float | None = None
    insecure: bool = False
    ca: str | None = None
    proxy: str | None = None
    backend: str = "asyncio"
    verbose: int = 0
    no_color: bool = False


_SECONDS = click.FloatRange(min=0, min_open=True)

_OPTIONS = (
    click.option(
        "-H", "--header", "headers", multiple=True, metavar="'K: V'", help="Header, or @file."
    ),
    click.option(
        "--protocol",
        type=click.Choice(["auto", "graphql-transport-ws", "graphql-ws", "phoenix", "appsync"]),
        help="WebSocket protocol.  [default: auto]",
    ),
    click.option(
        "--init-payload",
        metavar="JSON|@file",
        help="Payload of connection_init; with phoenix, the socket's params.",
    ),
    click.option(
        "--bearer",
        is_flag=False,
        flag_value="ANYGQL_TOKEN",
        metavar="[ENV]",
        help="Send the token in that environment variable as Bearer.  [ANYGQL_TOKEN]",
    ),
    click.option("--api-key", metavar="ENV", help="Send the key in that variable as x-api-key."),
    click.option("--timeout", type=_SECONDS, metavar="S", help="Seconds for all of it."),
    click.option("--connect-timeout", type=_SECONDS, metavar="S", help="Seconds to connect.  [10]"),
    click.option("--insecure", is_flag=True, help="Don't verify the server's certificate."),
    click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="Certificates to verify the server by.",
    ),
    click.option("--proxy", metavar="URL", help="HTTP proxy; '' for none.  [of the environment]"),
    click.option(
        "--backend",
        type=click.Choice(["asyncio", "trio"]),
        default="asyncio",
        help="Event loop.  [default: asyncio]",
    ),
    click.option(
        "-v", "--verbose", count=True, help="Tell of the connection (-vv: messages, too) on stderr."
    ),
    click.option("--no-color", is_flag=True, help="No colors."),
)

_REQUEST_OPTIONS = (
    click.option("-q", "--query", metavar="TEXT", help="Document (@file reads it from there)."),
    click.option(
        "-V",
        "--variable",
        "single",
        multiple=True,
        metavar="K=JSON",
        help="Variable: K=JSON, K=@file, or K:=text.",
    ),
    click.option("--variables", metavar="JSON|@file|-", help="All variables, as one object."),
    click.option("--operation-name", metavar="NAME", help="Operation to run, if several."),
)


def endpoint_options(command: _F) -> _F:
    """Add the options, and give the command ``options`` for them."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        options = Options(**{name: given.pop(name) for name in Options.__struct_fields__})
        return command(options=options, **given)

    wrapped: Any = run
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def request_options(command: _F) -> _F:
    """Add the options for a document and its variables."""
    wrapped: Any = command
    for option in reversed(_REQUEST_OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]
