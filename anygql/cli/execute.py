"""``anygql execute``: one query or mutation, or all pages of a connection."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from .arguments import read_document, read_variables, split_endpoint
from .endpoint import Endpoint, resolve_endpoint
from .options import Options, endpoint_options, request_options
from .output import FORMATS, Printer, print_errors
from .paths import at_path, check_path
from .values import is_array, is_object

if TYPE_CHECKING:
    from ..documents.request import GraphQLRequest
    from ..results.result import ExecutionResult

__all__ = ["execute", "show"]


@click.command(short_help="Run a query or mutation.")
@click.argument("arguments", nargs=-1, metavar="[URL] [FILE|-]")
@request_options
@click.option("--paginate", metavar="PATH", help="Get all pages of the connection at that path.")
@click.option("--path", metavar="PATH", help="Print only what is at that path of the data.")
@click.option("-o", "--output", "form", type=click.Choice(FORMATS), help="Format of the output.")
@click.option("--allow-partial", is_flag=True, help="Exit with 0 for data with errors.")
@endpoint_options
def execute(options: Options, arguments: tuple[str, ...], **given: Any) -> None:
    """Run a query or mutation, and print its data.

    The document is that of -q, of FILE, or of stdin. A subscription's events are printed as
    `anygql subscribe` does it.
    """
    from ..documents.request import as_request

    url, files = split_endpoint(arguments, 1)
    endpoint = resolve_endpoint(url, options)
    text = read_document(given["query"], files)
    request = as_request(text, None, given["operation_name"])
    variables = read_variables(given["variables"], given["single"], request)
    request = request.replace(variable_values=variables)
    check_path(request, given["path"])
    if request.kind == "subscription":
        from .subscribe import Watching, follow

        if given["paginate"]:
            raise click.UsageError("--paginate is for queries")
        printer = Printer(given["form"], no_color=options.no_color)
        watching = Watching(path=given["path"], allow_partial=given["allow_partial"])
        follow(endpoint, request, printer, watching)
        return
    _run(endpoint, request, **given)


def _run(endpoint: Endpoint, request: GraphQLRequest, **given: Any) -> None:
    from .running import Interruptible, run_async

    printer = Printer(given["form"], no_color=endpoint.options.no_color)

    async def main() -> int:
        result: ExecutionResult | None = None
        streamed = printer if given["paginate"] and given["form"] == "ndjson" else None
        async with endpoint.client() as session:
            with Interruptible():
                if given["paginate"]:
                    result = await _all_pages(session, request, given["paginate"], streamed)
                else:
                    result = await session.execute_result(request, timeout=None)
        if result is None:  # interrupted
            return 0
        if streamed is not None:
            return int(bool(result.errors) and not given["allow_partial"])
        return show(result, printer, given["path"], allow_partial=given["allow_partial"])

    run_async(main, backend=endpoint.options.backend, timeout=endpoint.options.timeout)


def show(result: Any, printer: Printer, path: str | None, *, allow_partial: bool) -> int:
    """Print a result: its data, then its errors. Return the exit code."""
    if result.data is None:
        print_errors(result.errors or ["the answer has no data"])
        return 1
    try:
        printer.print(at_path(result.data, path))
    except click.UsageError:
        if not result.errors:  # which say why it isn't there
            raise
        allow_partial = False
    print_errors(result.errors)
    return int(bool(result.errors) and not allow_partial)


async def _all_pages(
    session: Any, request: GraphQLRequest, path: str, streamed: Printer | None
) -> Any:
    """Return one result of all pages; print their nodes as they come, if asked to."""
    from ..exceptions import TransportQueryError
    from ..results.result import ExecutionResult
    from .progress import counting

    path = path.removeprefix("data.")
    whole: dict[str, Any] | None = None
    errors: list[Any] = []
    async with session.pages(request, path=path, timeout=None) as nodes:
        with counting("nodes") as count:
            pages = nodes.pages
            while True:
                with suppress(TransportQueryError):  # its errors came with the page
                    try:
                        page = await anext(pages)
                    except StopAsyncIteration:
                        break
                    count(len(page.nodes))
                    errors += page.result.errors or ()
                    if streamed is not None and page.nodes:
                        streamed.print(page.nodes)
                    whole = _joined(whole, page.result.data, path.split("."))
    if streamed is not None:
        print_errors(errors)
    return ExecutionResult(whole, errors or None)


def _joined(whole: Any, data: Any, keys: list[str]) -> Any:
    """Return the data of several pages with those of one more: as if there were one page."""
    if whole is None or data is None:
        return data if whole is None else whole
    ours: Any = whole
    theirs: Any = data
    for key in keys:
        if not is_object(ours) or not is_object(theirs):
            return whole
        ours, theirs = ours.get(key), theirs.get(key)
    if not is_object(ours) or not is_object(theirs):
        return whole
    for name in ("nodes", "edges"):
        if is_array(ours.get(name)) and is_array(theirs.get(name)):
            ours[name].extend(theirs[name])
    ours["pageInfo"] = theirs.get("pageInfo")
    return whole
