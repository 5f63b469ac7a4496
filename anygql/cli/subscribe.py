"""``anygql subscribe``: the events of a subscription, across lost connections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from .arguments import read_document, read_variables, split_endpoint
from .endpoint import Endpoint, resolve_endpoint
from .options import Options, endpoint_options, request_options
from .output import FORMATS, Printer, complain, print_errors
from .paths import at_path, check_path

if TYPE_CHECKING:
    from ..documents.request import GraphQLRequest
    from ..session.subscription import Subscription

__all__ = ["Watching", "follow", "subscribe"]


@dataclass(frozen=True)
class Watching:
    """How events are followed."""

    count: int | None = None
    idle_timeout: float | None = None
    reconnect: bool = True
    timestamps: bool = False
    path: str | None = None
    allow_partial: bool = False


@click.command(short_help="Print the events of a subscription.")
@click.argument("arguments", nargs=-1, metavar="[URL] [FILE|-]")
@request_options
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N events.")
@click.option(
    "--idle-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="End (with 5) after so many seconds without an event.",
)
@click.option("--no-reconnect", is_flag=True, help="End when the connection is lost.")
@click.option("--timestamps", is_flag=True, help='Print {"at": …, "data": …} for each event.')
@click.option("--path", metavar="PATH", help="Print only what is at that path of the data.")
@click.option("-o", "--output", "form", type=click.Choice(FORMATS), help="Format of the output.")
@click.option("--allow-partial", is_flag=True, help="Exit with 0 in spite of events' errors.")
@endpoint_options
def subscribe(options: Options, arguments: tuple[str, ...], **given: Any) -> None:
    """Print the events of a subscription, one a line in a pipe.

    A lost connection comes back; stderr tells of the gap. --timeout ends it after so many seconds,
    with the exit code 5.
    """
    from ..documents.request import as_request

    url, files = split_endpoint(arguments, 1)
    endpoint = resolve_endpoint(url, options)
    request = as_request(read_document(given["query"], files), None, given["operation_name"])
    variables = read_variables(given["variables"], given["single"], request)
    if request.kind != "subscription":
        raise click.UsageError(f"the document is a {request.kind}: use `anygql execute`")
    check_path(request, given["path"])
    watching = Watching(
        given["count"],
        given["idle_timeout"],
        not given["no_reconnect"],
        given["timestamps"],
        given["path"],
        given["allow_partial"],
    )
    printer = Printer(given["form"], no_color=options.no_color)
    follow(endpoint, request.replace(variable_values=variables), printer, watching)


class _Gaps:
    """Tells on stderr of lost connections, and decides whether to come back.

    Args:
        has_connection: Whether there is a connection that is made before the subscription is sent.
            (Over HTTP there is none.)
    """

    def __init__(self, *, has_connection: bool) -> None:
        self._has_connection = has_connection
        self.worked = False
        self.gaps = 0

    def is_retryable(self, error: Exception) -> bool:
        """Return whether to try again. What has never worked is a mistake, and fails at once."""
        from ..exceptions import TransportConnectionFailed
        from ..session.policy import is_retryable

        if not self.worked:
            lost = isinstance(error, TransportConnectionFailed) and not error.unsent
            if self._has_connection or not lost:
                return False
        if not is_retryable(error):
            return False
        if not self._has_connection:
            complain(f"-- connection lost ({_why(error)}); again")
        return True

    def on_event(self, event: Any) -> None:
        """Follow the connection."""
        from ..session.events import Connected, Disconnected

        if not self._has_connection:
            return
        if isinstance(event, Disconnected) and event.will_retry:
            again = "" if event.next_wait is None else f" in {event.next_wait:.1f} s"
            complain(f"-- connection lost ({_why(event.error)}); again{again}")
        elif isinstance(event, Connected):
            self.worked = True
            if event.reconnected:
                self.tell_back(self.gaps + 1)

    def tell_back(self, gaps: int) -> None:
        """Tell that events come again, if there was a gap since."""
        if gaps > self.gaps:
            self.gaps = gaps
            complain(f"-- connected; {gaps} gap{'s' if gaps > 1 else ''}")


def _why(error: Any) -> str:
    """Return a few words on why there is no connection."""
    if error.code is not None:
        return f"{error.code} {error.reason}".rstrip()
    text = str(error.__cause__ or error)
    return " ".join(text.split())[:200]


def follow(
    endpoint: Endpoint, request: GraphQLRequest, printer: Printer, watching: Watching
) -> None:
    """Print the events of a subscription until it ends."""
    from .running import Interruptible, run_async

    gaps = _Gaps(has_connection=endpoint.has_connection)
    reconnects = watching.reconnect and not endpoint.is_local

    async def main() -> int:
        if reconnects:
            client = endpoint.client(on_event=gaps.on_event, is_retryable=gaps.is_retryable)
            context = client.connect(reconnecting=True)
        else:
            context = endpoint.client().connect()
        async with context as session:
            with Interruptible():
                async with session.subscribe_results(request) as events:
                    return await _print_all(events, gaps, printer, watching)
        return 0

    run_async(main, backend=endpoint.options.backend, timeout=endpoint.options.timeout)


async def _print_all(
    events: Subscription[Any], gaps: _Gaps, printer: Printer, watching: Watching
) -> int:
    import anyio

    from .failures import TimeLimit

    code, left = 0, watching.count
    while left is None or left > 0:
        try:
            with anyio.fail_after(watching.idle_timeout):
                result = await events.receive()
        except anyio.EndOfStream:
            break
        except TimeoutError as error:
            if type(error) is not TimeoutError:  # one of the transport's own
                raise
            raise TimeLimit(f"no event within {watching.idle_timeout:g} s") from None
        gaps.worked = True
        gaps.tell_back(events.reconnects)
        if result.errors:
            print_errors(result.errors)
            code = 0 if watching.allow_partial else 1
        if result.data is not None:
            await _print(result.data, printer, watching)
        left = None if left is None else left - 1
    return code


async def _print(data: Any, printer: Printer, watching: Watching) -> None:
    event = at_path(data, watching.path)
    if watching.timestamps:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"at": at, "data": event}
    await printer.print_event(event)
