"""The command line: ``facesearch``, also ``python -m facesearch``.

Results go to standard output, with ``--json`` as JSON only; errors, questions and progress go to standard error.
`facesearch.cli.shell.exit_status` defines the exit statuses. Help and completion import no heavy module.
"""

from facesearch.cli.app import main

__all__ = ["main"]
