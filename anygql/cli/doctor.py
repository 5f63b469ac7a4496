"""``anygql doctor``: what a server speaks, how fast, and the line to paste."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .arguments import split_endpoint
from .endpoint import Endpoint, resolve_endpoint
from .options import Options, endpoint_options
from .output import Printer

if TYPE_CHECKING:
    from .probes import Findings, WebProbe

__all__ = ["doctor"]


@click.command(short_help="Find out what a server speaks, and how fast.")
@click.argument("arguments", nargs=-1, metavar="[URL] [WS_URL]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--ping-wait",
    type=click.FloatRange(min=0),
    default=5,
    metavar="S",
    help="Seconds to wait for pings over WebSocket.  [default: 5]",
)
@endpoint_options
def doctor(options: Options, arguments: tuple[str, ...], as_json: bool, ping_wait: float) -> None:
    """Find out what a server speaks, and how fast; print the lines to paste into a program.

    Nothing is changed: it is asked for `{ __typename }` and for its types. Without WS_URL,
    WebSocket is tried at the same URL.
    """
    from .probes import Findings
    from .running import run_async

    url, others = split_endpoint(arguments, 1)
    endpoint = resolve_endpoint(url, options)
    if endpoint.is_local:
        raise click.UsageError("there is no server behind a schema in a module")
    ws = resolve_endpoint(others[0], options) if others else endpoint
    findings = Findings()

    async def main() -> int:
        await _examine(endpoint, _at(ws, "ws"), findings, ping_wait)
        lines = _verdict(_at(endpoint, "http"), _at(ws, "ws"), findings)
        _show(url, findings, lines, Printer(no_color=options.no_color), as_json=as_json)
        return _code(findings, lines)

    run_async(main, backend=options.backend, timeout=options.timeout or 120 + ping_wait)


def _at(endpoint: Endpoint, scheme: str) -> Endpoint:
    """Return the endpoint at ``http`` or ``ws``, with TLS if it has it now."""
    before, separator, rest = endpoint.url.partition("://")
    secure = "s" if before.lower() in {"https", "wss"} else ""
    return msgspec.structs.replace(endpoint, url=f"{scheme}{secure}{separator}{rest}")


async def _examine(endpoint: Endpoint, ws: Endpoint, findings: Findings, ping_wait: float) -> None:
    """Ask everything, two things at a time, once the server can be reached."""
    import anyio

    from .probes import HTTP_PROBES, STREAM_PROBES, WebProbe, ask, reach
    from .socket_probes import SUBPROTOCOLS, probe_socket

    if not await reach(endpoint, findings):
        return
    http = _at(endpoint, "http")
    limit = anyio.Semaphore(2)

    async def limited(name: str, probe: Callable[[], Awaitable[None]]) -> None:
        async with limit:
            await _bounded(name, probe, findings)

    async with _web_client(http) as client:
        web = WebProbe(client, http.url, findings)
        await _bounded("POST", lambda: ask(web), findings)
        probes = HTTP_PROBES if findings.works("POST") else STREAM_PROBES
        asked = {name: _bound(probe, web) for name, probe in probes.items()}
        async with anyio.create_task_group() as tg:
            for subprotocol in SUBPROTOCOLS:  # first, since they may wait for a ping
                tg.start_soon(probe_socket, ws, subprotocol, findings, limit, ping_wait)
            for name, probe in asked.items():
                tg.start_soon(limited, name, probe)


def _bound(
    probe: Callable[[WebProbe], Awaitable[None]], web: WebProbe
) -> Callable[[], Awaitable[None]]:
    return lambda: probe(web)


async def _bounded(name: str, probe: Callable[[], Awaitable[None]], findings: Findings) -> None:
    """Ask one thing. What goes wrong is a finding, too."""
    import anyio
    import httpx

    from .probes import PATIENCE

    try:
        with anyio.fail_after(PATIENCE):
            await probe()
    except TimeoutError:
        findings.add(name, False, f"nothing within {PATIENCE:g} s")
    except (httpx.HTTPError, ValueError) as error:
        findings.add(name, False, str(error) or type(error).__name__)


def _web_client(endpoint: Endpoint) -> Any:
    import httpx

    from .probes import PATIENCE

    options = endpoint.options
    more: dict[str, Any] = {} if options.proxy is None else {"proxy": options.proxy or None}
    context = endpoint.ssl_context()
    return httpx.AsyncClient(
        headers=endpoint.headers,
        timeout=PATIENCE,
        verify=True if context is None else context,
        trust_env=options.proxy is None,
        **more,
    )


def _verdict(http: Endpoint, ws: Endpoint, findings: Findings) -> list[str]:
    """Return the lines to paste, with what each is good for."""
    from ..net.urls import redact
    from .socket_probes import SUBPROTOCOLS

    lines: list[str] = []
    if findings.works("POST"):
        good = ["queries and mutations"]
        if findings.works("SSE"):
            good.append("subscriptions by server-sent events")
        elif findings.works("multipart subscriptions"):
            good.append("subscriptions by multipart")
        if findings.works("@defer"):
            good.append("@defer")
        lines.append(f'Client("{redact(http.url)}")  # {", ".join(good)}')
    elif findings.works("single connection"):
        transport = f'HTTPTransport("{redact(http.url)}", single_connection=True)'
        lines.append(f"Client({transport})  # everything, over one event stream")
    elif findings.works("SSE"):
        lines.append(f'Client("{redact(http.url)}")  # subscriptions only, by server-sent events')
    for name in SUBPROTOCOLS:
        if findings.works(name):
            both = findings.works(f"queries by {name}")
            good_for = "everything, over one connection" if both else "subscriptions only"
            more = "" if name == SUBPROTOCOLS[0] else f', protocol="{name}"'
            transport = f'WebSocketTransport("{redact(ws.url)}"{more})'
            if not both and findings.works("POST"):
                split = f'Client("{redact(http.url)}", subscriptions={transport})'
                lines.append(f"{split}  # both, in one session")
            lines.append(f"Client({transport})  # {good_for}")
            break
    return lines


def _code(findings: Findings, lines: list[str]) -> int:
    if lines:
        return 0
    details = [finding.detail for finding in findings.found.values()]
    refused = any(re.search(r"\b(401|403|4401|4403)\b", detail) for detail in details)
    return 4 if refused else 3


_ORDER = (
    "DNS", "TCP", "TLS", "POST", "GET", "syntax errors", "graphql-response+json",
    "preflight header", "CORS", "batching", "introspection", "persisted queries (APQ)", "SSE",
    "single connection", "multipart subscriptions", "@defer", "compression", "graphql-transport-ws",
    "queries by graphql-transport-ws", "pings by graphql-transport-ws", "graphql-ws",
    "queries by graphql-ws", "pings by graphql-ws", "clock", "rate limits",
)  # fmt: skip


def _show(
    url: str, findings: Findings, lines: list[str], printer: Printer, *, as_json: bool
) -> None:
    rank = {name: number for number, name in enumerate(_ORDER)}
    found = sorted(findings.found.values(), key=lambda each: rank.get(each.name, len(rank)))
    if as_json:
        from ..net.urls import redact

        shown = [{"name": each.name, "works": each.works, "detail": each.detail} for each in found]
        printer.print({"url": redact(url), "found": shown, "use": lines})
        return
    marks = {True: "yes", False: "no", None: "-"}
    rows = [{"": marks[each.works], "what": each.name, "details": each.detail} for each in found]
    printer.form = "table"
    printer.print(rows)
    nothing = ["No GraphQL was found here."]
    printer.write("".join(f"{line}\n" for line in ["", *(lines or nothing)]))
