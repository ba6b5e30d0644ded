"""Shell completion: commands and options by click, ids from the file that ``--db`` names; and the scripts for shells."""

from contextlib import suppress

import click

from facesearch.cli.shell.exit_status import Exit
from facesearch.cli.shell.groups import Verb
from facesearch.cli.shell.output import show
from facesearch.errors import FacesearchError

__all__ = ["complete_collection", "complete_user", "completion"]


def complete_collection(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Give the ids of collections that begin with what was typed."""
    return _beginning(ctx, incomplete, None)


def complete_user(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Give the ids of users that begin with what was typed."""
    return _beginning(ctx, incomplete, ctx.params.get("collection_id"))


def _beginning(ctx: click.Context, incomplete: str, collection_id: str | None) -> list[str]:
    from facesearch.storage.schema import ids_beginning

    with suppress(
        FacesearchError
    ):  # whatever is wrong with the file, the next command says so; the shell's line stays clean
        if ctx.params.get("db"):
            return ids_beginning(ctx.params["db"].absolute(), incomplete, collection_id=collection_id)
    return []


@click.command(
    cls=Verb,
    section="Help",
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

    It is read when the shell starts; bash needs version 4.4.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover  # click brings all three
        raise click.UsageError(f"click knows no {shell}.")
    script = kind(ctx.find_root().command, {}, "facesearch", "_FACESEARCH_COMPLETE")
    # Not source(): it starts the shell to see its version, and fails where the script is made for another machine.
    show(script.source_template % script.source_vars())
    return Exit.DONE
