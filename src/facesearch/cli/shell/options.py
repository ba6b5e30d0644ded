"""The options and arguments that several commands share."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

import click

from facesearch.cli.shell.completion import complete_collection

if TYPE_CHECKING:
    import facesearch as fs

__all__ = [
    "ANY_DATABASE",
    "ATTRIBUTES",
    "COLLECTION",
    "DATABASE",
    "FILTERS",
    "SAVE",
    "analyzer_for",
    "as_json",
    "attributes",
    "check_parent",
    "collection",
    "database",
    "files_of",
    "force",
    "formats",
    "index_at",
    "min_face",
    "percentage",
    "photo_from",
    "quality_filter",
    "save",
    "threshold",
    "workers",
    "yes",
]

Wrapped = TypeVar("Wrapped", bound=Callable[..., Any])
COLLECTION: Final = "people"
# The members of QualityFilter and Attribute, repeated so that help and completion import no heavy module; tests/cli/test_cli.py
# checks that they are equal.
FILTERS: Final = ("NONE", "AUTO", "LOW", "MEDIUM", "HIGH")
ATTRIBUTES: Final = (
    "DEFAULT", "ALL", "AGE_RANGE", "BEARD", "EMOTIONS", "EYE_DIRECTION", "EYEGLASSES", "EYES_OPEN", "GENDER", "MOUTH_OPEN",
    "MUSTACHE", "FACE_OCCLUDED", "SMILE", "SUNGLASSES",
)  # fmt: skip  # one list, not a column
SAVE: Final = "'--save'"  # click's spelling in errors


class _Database(click.Path):
    """The path of a file, or the address of a server, which is no path."""

    name = "file or address"

    def __init__(self, *, dir_okay: bool = False) -> None:
        super().__init__(dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from facesearch.storage.server_address import is_address

        return value if isinstance(value, str) and is_address(value) else super().convert(value, param, ctx)


DATABASE: Final = _Database()
ANY_DATABASE: Final = _Database(dir_okay=True)
"""For `facesearch doctor`, which also accepts a folder, to explain what is wrong with it."""

db = click.option(
    "--db",
    required=True,
    envvar="FACESEARCH_DB",
    show_envvar=True,
    type=DATABASE,
    metavar="FILE",
    help="File that holds the collection, or postgresql://user@host/database.",
)
index_at = click.option(
    "--index",
    "index",
    envvar="FACESEARCH_INDEX",
    show_envvar=True,
    metavar="ADDRESS",
    help="Search with the Milvus server at milvus://host:19530, which holds the collection's vectors.",
)


def _alone(ctx: click.Context, _: click.Parameter, value: bool) -> bool:  # noqa: FBT001  # click's own signature
    if value and (ctx.params.get("as_json") or ctx.params.get("as_csv")):
        raise click.UsageError("--json and --csv can't be given both.")
    return value


as_json = click.option("--json", "as_json", is_flag=True, callback=_alone, help="Print nothing but JSON.")
_as_csv = click.option(
    "--csv", "as_csv", is_flag=True, callback=_alone, help="Print nothing but CSV, for spreadsheets."
)


def formats(command: Wrapped) -> Wrapped:
    """Add ``--json`` and ``--csv``, of which at most one can be given."""
    return as_json(_as_csv(command))


force = click.option(
    "--force", is_flag=True, help="Replace a file of another kind too, but never a photo or database in use."
)
workers = click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Photos to process in parallel.  [default: cores]"
)
min_face = click.option(
    "--min-face",
    type=click.IntRange(20),
    metavar="PX",
    help="Smallest face that must be found, in pixels of a photo of 1920x1080, at least 20.  [default: 40]",
)
yes = click.option("--yes", is_flag=True, help="Do not ask.")
save = click.option(
    "--save",
    "save_to",
    type=click.Path(path_type=Path),
    help="Write the photo with its faces marked to this JPEG or PNG file; of many photos, each to a new file in this folder.",
)


def collection(command: Wrapped) -> Wrapped:
    """Add ``--collection``."""
    return click.option(
        "--collection",
        "collection_id",
        envvar="FACESEARCH_COLLECTION",
        default=COLLECTION,
        show_default=True,
        show_envvar=True,
        metavar="ID",
        shell_complete=complete_collection,
        help="Collection in the file.",
    )(command)


def database(command: Wrapped) -> Wrapped:
    """Add ``--db`` and ``--collection``."""
    return db(collection(command))


def percentage(name: str, what: str, *, default: float | None = None) -> Callable[[Wrapped], Wrapped]:
    """Add an option for a similarity, 0-100 percent, such as ``--threshold``."""
    return click.option(
        name, type=click.FloatRange(0, 100), default=default, show_default=True, metavar="PERCENT", help=what
    )


threshold = percentage(
    "--threshold", "Least similarity, 0-100; `facesearch calibration` lists the rates for each.", default=80
)


def quality_filter(default: str) -> Callable[[Wrapped], Wrapped]:
    """Add ``--quality-filter``."""
    return click.option(
        "--quality-filter",
        type=click.Choice(FILTERS, case_sensitive=False),
        default=default,
        show_default=True,
        metavar="|".join(FILTERS),
        help="Least quality of a face.",
    )


class _Names(click.Choice[str]):
    """Names from a list, separated by commas."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        return [super(_Names, self).convert(name.strip(), param, ctx) for name in names]


attributes = click.option(
    "--attributes",
    type=_Names(ATTRIBUTES, case_sensitive=False),
    multiple=True,
    callback=lambda _, __, given: tuple(name for names in given for name in names) or ("DEFAULT",),
    metavar="NAMES",
    help="Attributes of each face: ALL, or names such as SMILE,AGE_RANGE.",
)


def analyzer_for(min_face: int | None) -> "fs.FaceAnalyzer | None":
    """Return the analyzer that ``--min-face`` asks for; ``None`` for that of the process."""
    if min_face is None:
        return None
    import facesearch as fs
    from facesearch.detection.yunet import YuNetDetector

    return fs.FaceAnalyzer(detector=YuNetDetector(min_face=min_face))


def files_of(db: Path | str) -> list[Path]:
    """Return the files of ``--db``, which no output may replace: none for a server."""
    return [db] if isinstance(db, Path) else []


def photo_from(argument: str) -> str | BinaryIO:
    """Return the path of a photo, or standard input for ``-``."""
    return sys.stdin.buffer if argument == "-" else argument


def check_parent(path: Path) -> None:
    """Reject an output of ``--save`` in a folder that does not exist."""
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder '{path.parent}'.", param_hint=SAVE)
