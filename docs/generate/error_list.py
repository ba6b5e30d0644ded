"""The list of errors: causes and remedies from the docstrings of `facesearch.errors`, so that it cannot go stale."""

import inspect

from facesearch import errors
from facesearch.cli.shell.exit_status import exit_for
from facesearch.errors import FacesearchError
from facesearch.rekognition.error_mapping import to_rekognition_error

REMEDY = "Remedy: "


def public_errors() -> list[type[FacesearchError]]:
    """Return the public errors in the order of the module, each after its base class."""
    named = {getattr(errors, name) for name in errors.__all__}
    return [value for value in vars(errors).values() if isinstance(value, type) and value in named]


def cause_and_remedy(error: type[FacesearchError]) -> tuple[str, str]:
    """Return the two paragraphs of an error's docstring.

    Raises
    ------
    ValueError
        If the docstring has no paragraph "Remedy: ...".
    """
    cause, _, rest = inspect.cleandoc(error.__doc__ or "").partition("\n\n")
    remedy = rest.partition("\n\n")[0].replace("\n", " ")
    if not remedy.startswith(REMEDY):
        msg = f"{error.__name__}: expected a second paragraph that starts with {REMEDY!r}, got {remedy!r}"
        raise ValueError(msg)
    return cause.replace("\n", " "), remedy.removeprefix(REMEDY)


def error_list(_names: str = "") -> str:
    """Return Markdown with a section for each error: cause, remedy, base classes, AWS's error and the exit status."""
    return "\n".join(_section(error) for error in public_errors())


def _section(error: type[FacesearchError]) -> str:
    cause, remedy = (_markdown(text) for text in cause_and_remedy(error))
    ours = [base.__name__ for base in error.__bases__ if base in public_errors()]
    builtin = [base.__name__ for base in error.__bases__ if base not in public_errors()]
    facts = [f"{', '.join(f'[{name}](#{name.lower()})' for name in ours)}"] if ours else []
    facts += [f"`{name}`" for name in builtin]
    example = error("")
    return "\n".join(
        [
            f"## {error.__name__}",
            "",
            f"```{{py:exception}} facesearch.{error.__name__}\n:no-typesetting:\n```",
            "",
            f"**Cause.** {cause}",
            "",
            f"**Remedy.** {remedy}",
            "",
            f"Is also: {', '.join(facts)}.",
            f"For clients of Rekognition: `{to_rekognition_error(example, _Ids()).code}`.",
            f"Exit status of the command line: {int(exit_for(example))}.",
            "",
        ]
    )


class _Ids(dict[str, str]):
    """Parameters of a request that has every id."""

    def __missing__(self, key: str) -> str:
        return key


def _markdown(text: str) -> str:
    return text.replace("``", "`")
