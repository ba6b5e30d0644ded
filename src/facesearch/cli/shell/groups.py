"""Base class of the commands (help with examples, AWS's name, exit status, ``--debug``), and the group of commands."""

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import click

from facesearch.cli.shell.exit_status import MEANINGS, Exit, exit_for
from facesearch.common.printable import printable, printing_safely
from facesearch.errors import FacesearchError

__all__ = ["App", "Command", "Failure", "Stopped", "command", "is_debugging"]


_DEBUG = "facesearch.debug"
_BECAUSE = "The above exception was the direct cause of the following exception:"
_MEANWHILE = "During handling of the above exception, another exception occurred:"
# Errors of click with several lines, such as choices or help, which quote no user input.
_IN_LINES = (click.MissingParameter, click.exceptions.NoArgsIsHelpError)


class Failure(click.ClickException):
    """An error that ends a command: one line on standard error, and the exit status."""

    def __init__(self, message: str, status: Exit) -> None:
        super().__init__(message)
        self.status = status

    def format_message(self) -> str:
        """Return the message as one printable line."""
        return printable(self.message)


class Stopped(Failure):
    """Interruption by Ctrl-C; the message describes what is kept."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.INTERRUPTED)

    def show(self, file: Any = None) -> None:
        """Print the message without the prefix of an error."""
        click.echo(f"\n{self.format_message()}", file=file, err=True)


class _ClosedPipe(Failure):
    """End of a command without a message, after the reader of its output stopped, as ``head`` does."""

    def __init__(self) -> None:
        super().__init__("", Exit.CLOSED)

    def show(self, file: Any = None) -> None:  # noqa: ARG002  # click's own signature
        """Print nothing, and prevent an error when Python flushes standard output at exit."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Command(click.Command):
    """A command of the command line, in a section of `App`.

    Its help has *examples*, and the meanings of the exit statuses where they are more specific than `MEANINGS`. Its second name is
    the operation of Amazon Rekognition as AWS's command line spells it.
    """

    def __init__(
        self,
        *arguments: Any,
        examples: Sequence[str] = (),
        exits: Mapping[Exit, str] = MappingProxyType({}),
        aws_name: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.section = ""
        self.examples, self.exits, self.aws_name = examples, exits, aws_name
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
        """Run the command, and convert an error to one line and an exit status."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):  # how click ends a command
            raise
        except Exception as error:  # the outermost handler: every error becomes one line
            raise _to_failure(error, debug=ctx.meta.get(_DEBUG, False)) from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, exit statuses and AWS's name below the options."""
        if self.examples:
            with formatter.section("Examples"):
                _lines(formatter, self.examples)
        if self.exits:
            with formatter.section("Exit status"):
                formatter.write_dl([(str(int(status)), meaning) for status, meaning in self.exits.items()])
        if self.aws_name:
            formatter.write_paragraph()
            formatter.write_text(f"Amazon Rekognition's name works too: facesearch {self.aws_name}")
        super().format_epilog(ctx, formatter)


def command(name: str | None = None, **settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a `Command` of a function; *settings* are those of the class and of click."""
    return click.command(name, cls=Command, **settings)


class App(click.Group):
    """Group of all commands, by their own names and AWS's; it ends the process with the exit status."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def add_section(self, section: str, commands: Iterable[Command]) -> None:
        """Add the commands of a section of the help."""
        for each in commands:
            each.section = section
            self.add_command(each)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name or by AWS's."""
        found = super().get_command(ctx, cmd_name)
        return found or next((each for each in self._commands() if each.aws_name == cmd_name), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's own
        """List the commands, in sections."""
        commands = self._commands()
        longest = max(len(command.name or "") for command in commands)
        for section in dict.fromkeys(command.section for command in commands):
            rows = [
                ((command.name or "").ljust(longest), command.get_short_help_str(limit=formatter.width))
                for command in commands
                if command.section == section
            ]
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples and exit statuses below the commands."""
        with formatter.section("Examples"):
            _lines(formatter, self.examples)
        with formatter.section("Exit status"):
            formatter.write_dl([(str(int(status)), meaning) for status, meaning in MEANINGS.items()])
        super().format_epilog(ctx, formatter)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and exit the process with the command's status, unless *standalone_mode* is False."""
        standalone_mode = kwargs.pop("standalone_mode", True)
        # click itself would exit with 1 for every error.
        run: Callable[[], Any] = partial(super().main, *args, standalone_mode=False, **kwargs)
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

    def _commands(self) -> list[Command]:
        return [each for each in self.commands.values() if isinstance(each, Command)]


def _lines(formatter: click.HelpFormatter, lines: Sequence[str]) -> None:
    """Write lines without wrapping, so that commands can be copied."""
    for line in lines:
        formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _show(error: click.ClickException) -> None:
    """Print an error of click as one printable line below the usage, since it quotes user input."""
    if not isinstance(error, _IN_LINES):
        context = error.ctx if isinstance(error, click.UsageError) else None
        error = click.UsageError(printable(error.format_message()), context)
    error.show()


def is_debugging() -> bool:
    """Return whether the running command has the option ``--debug``."""
    return bool(click.get_current_context().meta.get(_DEBUG, False))


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's own signature
    ctx.meta[_DEBUG] = value


def _traceback_lines(error: BaseException) -> Iterator[str]:
    """Yield the lines of a traceback as Python prints it, with each message as one printable line: it may quote file names or content."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _traceback_lines(cause)
        yield f"\n{_BECAUSE if error.__cause__ else _MEANWHILE}\n"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    yield printable(f"{type(error).__qualname__}: {error}")
    yield from map(printable, getattr(error, "__notes__", ()))


def _to_failure(error: Exception, *, debug: bool) -> Failure:
    status = exit_for(error)
    if status is Exit.CLOSED:
        return _ClosedPipe()
    if debug:
        for line in _traceback_lines(error):
            click.echo(line, err=True)
    if isinstance(error, FacesearchError):
        return Failure(str(error), status)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Failure(f"{where}{error.strerror or error}", status)
    return Failure(f"this should not happen ({type(error).__name__}: {error}); --debug shows where", status)
