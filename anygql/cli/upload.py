"""``anygql upload``: a mutation with files."""

from __future__ import annotations

import os
from typing import Any

import click

from .arguments import read_document, read_variables, split_endpoint
from .endpoint import resolve_endpoint
from .execute import show
from .options import Options, endpoint_options, request_options
from .output import FORMATS, Printer
from .paths import check_path
from .values import is_array

__all__ = ["upload"]


@click.command(short_help="Run a mutation with files.")
@click.argument("arguments", nargs=-1, metavar="[URL] [FILE|-]")
@request_options
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    metavar="variables.K=@PATH",
    help="A file as a variable; PATH;type=image/png names its type. K may be files.0, files.1, ….",
)
@click.option("--path", metavar="PATH", help="Print only what is at that path of the data.")
@click.option("-o", "--output", "form", type=click.Choice(FORMATS), help="Format of the output.")
@click.option("--allow-partial", is_flag=True, help="Exit with 0 for data with errors.")
@endpoint_options
def upload(
    options: Options, arguments: tuple[str, ...], files: tuple[str, ...], **given: Any
) -> None:
    """Run a mutation with files (GraphQL multipart request), and print its data."""
    from ..documents.request import as_request
    from .progress import measuring
    from .running import Interruptible, run_async

    url, documents = split_endpoint(arguments, 1)
    endpoint = resolve_endpoint(url, options)
    if endpoint.is_websocket:
        raise click.UsageError("files go over HTTP: give an http(s):// URL")
    request = as_request(read_document(given["query"], documents), None, given["operation_name"])
    check_path(request, given["path"])
    variables = read_variables(given["variables"], given["single"], request)
    for each in files:
        _put(variables, each)
    request = request.replace(variable_values=variables)
    printer = Printer(given["form"], no_color=options.no_color)

    async def main() -> int:
        result = None
        async with endpoint.client() as session:
            with Interruptible(), measuring("upload") as progress:
                args: Any = (
                    None if progress is None or endpoint.is_local else {"progress": progress}
                )
                result = await session.execute_result(request, timeout=None, transport_args=args)
        if result is None:  # interrupted
            return 0
        return show(result, printer, given["path"], allow_partial=given["allow_partial"])

    run_async(main, backend=options.backend, timeout=options.timeout)


def _put(variables: dict[str, Any], given: str) -> None:
    """Put a file among the variables: ``variables.files.0=@photo.jpg``."""
    from ..documents.files import FileVar

    path, sign, source = given.partition("=@")
    keys = path.removeprefix("variables.").split(".")
    if not sign or not all(keys):
        raise click.UsageError(f"-f {given!r}: write variables.NAME=@PATH")
    name, _, content_type = source.partition(";type=")
    if not os.path.isfile(name):
        raise click.UsageError(f"-f: there is no file {name!r}")
    place: Any = variables
    for key, following in zip(keys, [*keys[1:], ""], strict=True):
        value: Any = {} if following else FileVar(name, content_type=content_type or None)
        if following.isdigit():
            value = []
        try:
            place = _set(place, key, value, is_last=not following)
        except (IndexError, KeyError, TypeError, ValueError):
            raise click.UsageError(f"-f {path}: the variables have no place for it") from None


def _set(place: Any, key: str, value: Any, *, is_last: bool) -> Any:
    """Set one key, or the next index, and return what is there."""
    if is_array(place):
        index = int(key)
        if index == len(place):
            place.append(value)
        elif is_last:
            place[index] = value
        return place[index]
    if is_last or place.get(key) is None:
        place[key] = value
    return place[key]
