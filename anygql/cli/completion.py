"""``anygql completion``: the script by which a shell completes commands and options."""

from __future__ import annotations

import click

from .output import Printer

__all__ = ["completion"]


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: eval "$(anygql completion bash)"        in ~/.bashrc
    zsh:  eval "$(anygql completion zsh)"         in ~/.zshrc
    fish: anygql completion fish | source         in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from .root import CLI

    found = get_completion_class(shell)
    if found is None:  # pragma: no cover - click has these three
        raise click.UsageError(f"click has no completion for {shell}")
    Printer().write(found(CLI, {}, "anygql", "_ANYGQL_COMPLETE").source() + "\n")
