"""Make untrusted text, such as a file name, safe to print."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, Final, TextIO, cast

__all__ = ["printable", "printable_lines", "printing_safely", "raw_stream"]

# Characters that control a terminal, or that reorder, hide or can't encode the text around them: C0 and C1 controls with DEL, line and paragraph
# separators, bidirectional controls (CVE-2021-42574), characters without any width, interlinear annotations, lone surrogates.
# U+200C and U+200D stay: Persian words and emoji are made with them. So do letters, marks, symbols and blanks of every script.
_UNSAFE: Final = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
)
_IN_LINE: Final = re.compile(f"[{_UNSAFE}]")
_IN_LINES: Final = re.compile(rf"(?!\n)[{_UNSAFE}]")


def printable(text: str) -> str:
    r"""Return a text as one line that can be printed anywhere.

    Control characters, newlines, bidirectional overrides and lone surrogates become backslash escapes; all others stay as they are.

    Examples
    --------
    >>> print(printable("José\n\x1b[31m.jpg"))
    José\n\x1b[31m.jpg
    """
    return _IN_LINE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    r"""Return a text of several lines that can be printed: as `printable`, but newlines stay.

    Examples
    --------
    >>> print(printable_lines("one\x07\ntwo"))
    one\x07
    two
    """
    return _IN_LINES.sub(_escaped, text)


@contextlib.contextmanager
def printing_safely() -> Iterator[None]:
    """Guard standard output and standard error of this process for a while.

    All text written to them (messages, tracebacks, warnings, the log, output of libraries) passes through
    `printable_lines`. Code that draws on a terminal, such as a progress bar, writes to `raw_stream`.
    """
    before = sys.stdout, sys.stderr
    guards = [None if stream is None else cast("TextIO", _Guard(stream)) for stream in before]
    # Either is None where there is no console: pythonw on Windows.
    sys.stdout, sys.stderr = guards
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def raw_stream(stream: TextIO) -> TextIO:
    """Return the stream behind a guard, or *stream* itself where there is no guard."""
    return stream.raw if isinstance(stream, _Guard) else stream


class _Guard:
    """A text stream that writes control characters as escapes; everything else is delegated to the stream."""

    def __init__(self, stream: TextIO) -> None:
        self.raw = raw_stream(stream)

    def write(self, text: str | bytes) -> int:
        """Write a text and return the number of its characters.

        click writes shell completions as bytes, so that Windows does not convert line ends. To test whether a stream is binary,
        click writes ``b""``; that must fail here.
        """
        if isinstance(text, bytes) and text:
            self.raw.flush()
            self.raw.buffer.write(printable_lines(text.decode("utf-8", "surrogateescape")).encode("utf-8"))
        else:
            self.raw.write(printable_lines(cast("str", text)))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # bytes would go past the guard: click would take it where the encoding is ASCII
            raise AttributeError(name)
        return getattr(self.raw, name)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
