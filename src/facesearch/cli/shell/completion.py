"""Shell completion: commands and options from click, ids from the file of ``--db``, and the scripts for shells."""

from contextlib import suppress
from pathlib import Path

import click

from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import command
from facesearch.cli.shell.output import print_block
from facesearch.errors import FacesearchError

__all__ = ["complete_collection", "complete_user", "completion"]


def complete_collection(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the collection ids that start with *incomplete*."""
    return _matching_ids(ctx, incomplete, None)


def complete_user(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the user ids that start with *incomplete*."""
    return _matching_ids(ctx, incomplete, ctx.params.get("collection_id"))


def _matching_ids(ctx: click.Context, incomplete: str, collection_id: str | None) -> list[str]:
    from facesearch.storage.sqlite.opening import ids_beginning

    with suppress(FacesearchError):  # the command itself will report the error; completion must print nothing
        if isinstance(db := ctx.params.get("db"), Path):  # a server could take too long
            return ids_beginning(db.absolute(), incomplete, collection_id=collection_id)
    return []


@command(
    short_help="print the script that makes a shell complete",
    examples=(
        "facesearch completion bash >> ~/.bashrc",
        "facesearch completion zsh >> ~/.zshrc",
        "facesearch completion fish > ~/.config/fish/completions/facesearch.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> Exit:
    """Print the script that makes SHELL complete commands, options, files and ids.

    The shell reads it at its start. Bash must be 4.4 or later.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover  # click supports all three
        raise click.UsageError(f"click knows no {shell}.")
    script = kind(ctx.find_root().command, {}, "facesearch", "_FACESEARCH_COMPLETE")
    # Not source(): it runs the shell to read its version, and fails if the script is for another machine.
    print_block(script.source_template % script.source_vars())
    return Exit.DONE
