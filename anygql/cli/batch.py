"""``anygql batch``: many operations, a line each, and their results in the same order."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .arguments import split_endpoint
from .endpoint import resolve_endpoint
from .options import Options, endpoint_options
from .output import Printer, complain

if TYPE_CHECKING:
    from ..documents.request import GraphQLRequest

__all__ = ["batch"]


@click.command(short_help="Run many operations from a file.")
@click.argument("arguments", nargs=-1, metavar="[URL] FILE|-")
@click.option(
    "--size",
    type=click.IntRange(min=1),
    default=10,
    help="Operations in one request.  [default: 10]",
)
@click.option("--allow-partial", is_flag=True, help="Exit with 0 in spite of errors.")
@endpoint_options
def batch(options: Options, arguments: tuple[str, ...], size: int, allow_partial: bool) -> None:
    """Run the operations of a file, and print a result for each, in the same order.

    FILE has a JSON object a line: {"query": "…", "variables": {…}, "operationName": "…"}. The
    results are lines of {"data": …, "errors": […]}. Over HTTP, --size of them travel as one array.
    """
    from .progress import counting
    from .running import Interruptible, run_async

    url, files = split_endpoint(arguments, 1)
    endpoint = resolve_endpoint(url, options)
    if not files and sys.stdin.isatty():
        raise click.UsageError("give a file of operations, or - for stdin")
    requests = list(_requests(files[0] if files else "-"))
    printer = Printer("compact", no_color=options.no_color)

    async def main() -> int:
        failed = 0
        async with endpoint.client() as session:
            with Interruptible(), counting("operations", len(requests)) as count:
                for begin in range(0, len(requests), size):
                    part = requests[begin : begin + size]
                    results = await session.execute_batch_results(part, timeout=None)
                    for result in results:
                        failed += bool(result.errors) or result.data is None
                        printer.print(_as_json(result))
                    count(len(part))
        if failed:
            complain(f"{failed} of {len(requests)} have errors")
        return int(bool(failed) and not allow_partial)

    run_async(main, backend=options.backend, timeout=options.timeout)


def _as_json(result: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"data": result.data}
    if result.errors:
        shown["errors"] = result.errors
    if result.extensions is not None:
        shown["extensions"] = result.extensions
    return shown


def _requests(source: str) -> Iterator[GraphQLRequest]:
    import msgspec

    from ..documents.request import as_request
    from .arguments import read_text
    from .failures import describe

    for number, line in enumerate(read_text(source).splitlines(), 1):
        if not line.strip():
            continue
        try:
            given = msgspec.json.decode(line, type=dict[str, Any])
            request = as_request(
                given.get("query"),  # type: ignore[arg-type]
                given.get("variables"),
                given.get("operationName"),
            )
        except Exception as error:  # noqa: BLE001 - a mistake of the user's, of any kind
            raise click.UsageError(f"line {number}: {describe(error)[1]}") from None
        if request.kind == "subscription":
            raise click.UsageError(f"line {number}: a subscription has many results")
        yield request
