"""``anygql schema``: fetch, show and compare schemas."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from .arguments import is_endpoint, split_endpoint
from .options import Options, endpoint_options
from .output import Printer, complain
from .schemas import fetch_schema, schema_from

__all__ = ["diff", "fetch", "show"]

_FEATURES = {
    "descriptions": "Descriptions of types and fields.",
    "schema_description": "The schema's own description.",
    "specified_by_url": "URLs of scalars' specifications.",
    "directive_is_repeatable": "Which directives are repeatable.",
    "input_value_deprecation": "Deprecated arguments and input fields.",
    "input_object_one_of": "Which input types take exactly one field.",
}


def _features(command: Any) -> Any:
    for name, text in reversed(_FEATURES.items()):
        option = name.replace("_", "-")
        flag = f"--{option}/--no-{option}"
        command = click.option(
            flag, name, default=None, help=f"{text}  [if the server knows them]"
        )(command)
    return command


@click.command(short_help="Ask a server for its schema.")
@click.argument("arguments", nargs=-1, metavar="[URL]")
@click.option("--sdl", "form", flag_value="sdl", default="sdl", help="As SDL.  [default]")
@click.option("--json", "form", flag_value="json", help="As the result of an introspection query.")
@click.option("-o", "--output", "file", metavar="FILE", help="Write it there, not to stdout.")
@_features
@click.option("--type-depth", type=click.IntRange(1, 100), help="Wrappings of types to ask for.")
@endpoint_options
def fetch(
    options: Options, arguments: tuple[str, ...], form: str, file: str | None, **features: Any
) -> None:
    """Ask a server for its schema, and print it as SDL."""
    from .running import run_async

    url, _ = split_endpoint(arguments, 0)
    wanted = {name: value for name, value in features.items() if value is not None}

    async def main() -> int:
        schema = await fetch_schema(url, options, **wanted)
        text = _as_json(schema) if form == "json" else _as_sdl(schema)
        _write(text, file)
        return 0

    run_async(main, backend=options.backend, timeout=options.timeout)


def _write(text: str, file: str | None) -> None:
    if file is None or file == "-":
        Printer().write(text)
    else:
        Path(file).write_text(text, encoding="utf-8")
        complain(f"written to {file}")


def _as_sdl(schema: Any) -> str:
    from graphql import print_schema

    return f"{print_schema(schema)}\n"


def _as_json(schema: Any) -> str:
    import msgspec
    from graphql import introspection_from_schema

    encoded = msgspec.json.encode(introspection_from_schema(schema, input_value_deprecation=True))
    return f"{msgspec.json.format(encoded, indent=2).decode()}\n"


@click.command(short_help="Print a schema, one of its types, or a field.")
@click.argument("arguments", nargs=-1, metavar="[URL|FILE] [TYPE[.FIELD]]")
@click.option("--schema", "source", metavar="URL|FILE", help="Where the schema is.")
@endpoint_options
def show(options: Options, arguments: tuple[str, ...], source: str | None) -> None:
    """Print a schema as SDL, or one of its types, or one of a type's fields."""
    from .running import run_async

    rest = list(arguments)
    if source is None:
        if rest and (is_endpoint(rest[0]) or Path(rest[0]).is_file()):
            source = rest.pop(0)
        else:
            source = os.environ.get("ANYGQL_URL") or None
    if source is None:
        given = f", and there is no file {rest[0]!r}" if rest else ""
        raise click.UsageError(f"say where the schema is: a URL or a file{given}")
    if rest[1:]:
        raise click.UsageError(f"there is an argument too many: {rest[1]!r}")
    found = source

    async def main() -> int:
        schema = await schema_from(found, options)
        Printer().write(_part(schema, rest[0]) if rest else _as_sdl(schema))
        return 0

    run_async(main, backend=options.backend, timeout=options.timeout)


def _part(schema: Any, name: str) -> str:
    """Return the SDL of a type, or of one of its fields."""
    from graphql import print_type

    type_name, _, field_name = name.partition(".")
    found = schema.type_map.get(type_name)
    if found is None:
        raise click.UsageError(
            f"the schema has no type {type_name!r}{_near(type_name, schema.type_map)}"
        )
    if not field_name:
        return f"{print_type(found)}\n"
    fields: Any = getattr(found, "fields", None) or getattr(found, "values", None) or {}
    if field_name not in fields:
        raise click.UsageError(f"{type_name} has no {field_name!r}{_near(field_name, fields)}")
    return _field(found, field_name, fields[field_name])


def _near(name: str, names: Any) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(names), 1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _field(of: Any, name: str, field: Any) -> str:
    """Return the SDL of a field of an object, interface or input type, or of an enum's value."""
    import graphql as core

    alone: Any = core.GraphQLObjectType
    if isinstance(of, core.GraphQLEnumType | core.GraphQLInputObjectType):
        alone = type(of)
    printed = core.print_type(alone(of.name, {name: field})).splitlines()
    return "".join(f"{line.removeprefix('  ')}\n" for line in printed[1:-1])


@click.command(short_help="Compare two schemas.")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--fail-on",
    type=click.Choice(["breaking", "dangerous", "nothing"]),
    default="breaking",
    help="What makes the exit code 7.  [default: breaking]",
)
@endpoint_options
def diff(options: Options, old: str, new: str, fail_on: str) -> None:
    """Compare two schemas, each a URL, a file or module:schema.

    Prints a line for each breaking and each dangerous change. Exits with 7 if there are any.
    """
    from .running import run_async

    async def main() -> int:
        from graphql import find_breaking_changes, find_dangerous_changes

        before, after = await schema_from(old, options), await schema_from(new, options)
        breaking = find_breaking_changes(before, after)
        dangerous = find_dangerous_changes(before, after)
        lines = [f"breaking: {change.description}\n" for change in breaking]
        lines += [f"dangerous: {change.description}\n" for change in dangerous]
        Printer().write("".join(lines))
        if not lines:
            complain("no breaking and no dangerous changes")
        failing = {"breaking": breaking, "dangerous": [*breaking, *dangerous], "nothing": []}
        return 7 if failing[fail_on] else 0

    run_async(main, backend=options.backend, timeout=options.timeout)
