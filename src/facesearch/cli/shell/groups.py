"""What every command has: examples in its help, AWS's name, the exit status, ``--debug``; and the group that holds them."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import click

from facesearch.cli.shell.exit_status import MEANINGS, Exit, exit_for
from facesearch.common.printable import printable, printing_safely
from facesearch.errors import FacesearchError

__all__ = ["App", "Failure", "Stopped", "Verb"]


_DEBUG = "facesearch.debug"
_BECAUSE = "The above exception was the direct cause of the following exception:"
_MEANWHILE = "During handling of the above exception, another exception occurred:"
# Errors of click that have lines of their own, the choices of an argument or the help, and quote nothing that was typed.
_IN_LINES = (click.MissingParameter, click.exceptions.NoArgsIsHelpError)


class Failure(click.ClickException):
    """An error that ends a command: one line on standard error, and the exit status."""

    def __init__(self, message: str, status: Exit) -> None:
        super().__init__(message)
        self.status = status

    def format_message(self) -> str:
        """Return the message as one line, whatever the names in it hold."""
        return printable(self.message)


class Stopped(Failure):
    """The user pressed Ctrl-C; the message says what is kept."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.INTERRUPTED)

    def show(self, file: Any = None) -> None:
        """Say it, without calling it an error."""
        click.echo(f"\n{self.format_message()}", file=file, err=True)


class _ClosedPipe(Failure):
    """Whoever read the output stopped reading, as ``head`` does: end in silence."""

    def __init__(self) -> None:
        super().__init__("", Exit.CLOSED)

    def show(self, file: Any = None) -> None:  # noqa: ARG002  # click's own signature
        """Say nothing, and keep Python from complaining when it flushes at its end."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Verb(click.Command):
    """A command.

    Parameters
    ----------
    section
        Where the list of commands has it.
    examples
        Command lines for its help.
    exits
        What the exit status means for this command, where that is more than for all.
    also
        Another name for it: Amazon Rekognition's operation, in the spelling of AWS's own command line.
    """

    def __init__(
        self,
        *arguments: Any,
        section: str = "",
        examples: Sequence[str] = (),
        exits: Mapping[Exit, str] | None = None,
        also: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.section = section
        self.examples = tuple(examples)
        self.exits = dict(exits or {})
        self.also = also
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                expose_value=False,
                callback=_remember_debug,
                help="Show the whole traceback of an error.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; what goes wrong becomes one line and an exit status."""
        try:
            return super().invoke(ctx)
        except click.ClickException:
            raise
        except (click.exceptions.Exit, click.Abort):  # how click ends a command
            raise
        except Exception as error:  # the last one to catch: whatever comes here is told in one line
            raise _told(error, debug=ctx.meta.get(_DEBUG, False)) from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write down examples, AWS's name and exit status under the options."""
        if self.examples:
            with formatter.section("Examples"):
                _lines(formatter, self.examples)
        if self.exits:
            with formatter.section("Exit status"):
                formatter.write_dl([(str(int(status)), meaning) for status, meaning in self.exits.items()])
        if self.also:
            formatter.write_paragraph()
            formatter.write_text(f"Amazon Rekognition's name works too: facesearch {self.also}")
        super().format_epilog(ctx, formatter)


class App(click.Group):
    """The group of all commands, which also answer to AWS's names, and the end of the process."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name or by AWS's."""
        found = super().get_command(ctx, cmd_name)
        return found or next((each for each in self._verbs() if each.also == cmd_name), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's own
        """List the commands, in sections."""
        verbs = self._verbs()
        longest = max(len(verb.name or "") for verb in verbs)
        for section in dict.fromkeys(verb.section for verb in verbs):
            rows = [
                ((verb.name or "").ljust(longest), verb.get_short_help_str(limit=formatter.width))
                for verb in verbs
                if verb.section == section
            ]
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write down examples and what the exit status means."""
        with formatter.section("Examples"):
            _lines(formatter, self.examples)
        with formatter.section("Exit status"):
            formatter.write_dl([(str(int(status)), meaning) for status, meaning in MEANINGS.items()])
        super().format_epilog(ctx, formatter)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002  # click's own signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002  # likewise
        **extra: Any,
    ) -> Any:
        """Run the command line and end the process with the command's exit status."""
        run: Callable[[], Any] = partial(
            super().main,
            args=args,
            prog_name=prog_name,
            complete_var=complete_var,
            standalone_mode=False,  # it would end the process with 1, whatever the error
            windows_expand_args=windows_expand_args,
            **extra,
        )
        with printing_safely():
            if not standalone_mode:
                return run()
            try:
                status = run() or Exit.DONE
            except Failure as failure:
                failure.show()
                status = failure.status
            except click.ClickException as error:
                _show(error)
                status = error.exit_code
            except click.Abort:
                Stopped("Interrupted.").show()
                status = Exit.INTERRUPTED
        sys.exit(int(status))

    def _verbs(self) -> list[Verb]:
        return [each for each in self.commands.values() if isinstance(each, Verb)]


def _lines(formatter: click.HelpFormatter, lines: Sequence[str]) -> None:
    """Write lines as they are: a command that is wrapped can't be copied."""
    for line in lines:
        formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _show(error: click.ClickException) -> None:
    """Show one of click's errors as one line under the usage; it quotes what was typed, which may hold anything."""
    if not isinstance(error, _IN_LINES):
        context = error.ctx if isinstance(error, click.UsageError) else None
        error = click.UsageError(printable(error.format_message()), context)
    error.show()


def is_debugging() -> bool:
    """Return whether the command that runs was asked for tracebacks, by ``--debug``."""
    return bool(click.get_current_context().meta.get(_DEBUG, False))


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's own signature
    ctx.meta[_DEBUG] = value


def _traced(error: BaseException) -> Iterator[str]:
    """Write a traceback as Python does, but each message as one line: it may quote a file's name, or what is in a file."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _traced(cause)
        yield f"\n{_BECAUSE if error.__cause__ else _MEANWHILE}\n"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    yield printable(f"{type(error).__qualname__}: {error}")
    yield from map(printable, getattr(error, "__notes__", ()))


def _told(error: Exception, *, debug: bool) -> Failure:
    status = exit_for(error)
    if status is Exit.CLOSED:
        return _ClosedPipe()
    if debug:
        for line in _traced(error):
            click.echo(line, err=True)
    if isinstance(error, FacesearchError):
        return Failure(str(error), status)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Failure(f"{where}{error.strerror or error}", status)
    return Failure(f"this should not happen ({type(error).__name__}: {error}); --debug shows where", status)
