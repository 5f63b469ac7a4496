"""The group of all commands. None of them is imported before it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from ..version import VERSION
from .arguments import is_endpoint
from .help import COMMANDS, MAX_WIDTH, help_text
from .output import ReaderLeft, complain, drop_stdout, is_stuck

__all__ = ["CLI", "LazyGroup", "run"]

_SCHEMA_COMMANDS = {
    "fetch": "Ask a server for its schema.",
    "show": "Print a schema, one of its types, or a field.",
    "diff": "Compare two schemas.",
}

_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called.

    Args:
        commands: The names of the commands, with one line of help for each.
        package: The package of their modules, which are called as the commands are.
        otherwise: The command that is meant when the first argument names none.
    """

    def __init__(
        self, *args: Any, lazy: dict[str, str], otherwise: str | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._lazy = lazy
        self._otherwise = otherwise

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the help."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._lazy:
            return None
        if cmd_name == "schema":
            return SCHEMA
        module = "schema" if cmd_name in _SCHEMA_COMMANDS else cmd_name
        command: click.Command = getattr(import_module(f"{__package__}.{module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lazy.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, and its arguments."""
        name = args[0]
        if name not in self._lazy:
            if self._otherwise is not None and (is_endpoint(name) or name.startswith("-")):
                args = [self._otherwise, *args]
            else:
                from difflib import get_close_matches

                near = get_close_matches(name, self._lazy, 1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                ctx.fail(f"{name!r} is neither a command nor a URL.{hint}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take options of the default command as such, if no command comes first."""
        known = {"--help", "-h", "--version"}
        if args and self._otherwise and args[0].startswith("-") and args[0] not in known:
            args = [self._otherwise, *args]
        return super().parse_args(ctx, args)


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"anygql {VERSION}")
        ctx.exit()


_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": MAX_WIDTH}


class _Root(LazyGroup):
    """The group of all commands, with the help that ``main`` prints without click."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(help_text())


CLI = _Root(
    name="anygql",
    lazy=COMMANDS,
    otherwise="execute",
    context_settings=_CONTEXT,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            help="Print the version.",
            callback=_print_version,
        )
    ],
    no_args_is_help=True,
)

SCHEMA = LazyGroup(
    name="schema",
    lazy=_SCHEMA_COMMANDS,
    context_settings=_CONTEXT,
    help=COMMANDS["schema"],
    no_args_is_help=True,
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code. Errors are one line on stderr.

    Args:
        arguments: The arguments. Default: ``None``, those of this process.
    """
    given = None if arguments is None else list(arguments)
    try:
        code = CLI.main(given, prog_name="anygql", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "anygql"
        return _fail(f"{error.format_message()} ({where} --help)", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except ReaderLeft:
        drop_stdout()
        return 0
    except Exception as error:  # noqa: BLE001 - no traceback, whatever it is
        return _fail_by(error)
    try:
        if not is_stuck():
            sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
        return 0
    return code if isinstance(code, int) else 0


def _fail_by(error: Exception) -> int:
    from .failures import describe

    code, line = describe(error)
    return _fail(line, code)


def _fail(line: str, code: int) -> int:
    complain(f"error: {' '.join(line.split())}")
    return code
