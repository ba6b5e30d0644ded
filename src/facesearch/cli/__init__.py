"""The command line: ``facesearch``, also ``python -m facesearch``.

Standard output carries the answer, or with ``--json`` nothing but JSON; errors, questions and progress go to standard error.
`facesearch.cli.shell.exit_status` says what the exit status means. Nothing heavy is loaded for help and completion.
"""

from facesearch.cli.app import main

__all__ = ["main"]
