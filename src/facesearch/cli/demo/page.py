"""Output of the demo: an HTML page and figures."""

import io
import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import attrs
from PIL import Image

import facesearch as fs
from facesearch.display.thumbnail_strips import data_uri
from facesearch.files.writing import OutputKind, check_output, signature, write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ShownPicture", "ShownScene", "check_folder", "write_figure", "write_page"]

_PAGE, _FIGURE = "demo.html", "demo_{}.png"
_SIGN = "facesearch demo"
_GENERATOR = f'<meta name="generator" content="{_SIGN}">'
# The photographs are published, so that the files need not be private.
_PAGE_KIND = OutputKind(name="a page of facesearch demo", recognises=signature(_GENERATOR.encode()), private=False)
_FIGURE_KIND = OutputKind(
    name="a figure of facesearch demo", recognises=signature(f"tEXtSoftware\0{_SIGN}".encode()), private=False
)


def check_folder(folder: Path, names: Iterable[str], *, overwrite: bool) -> None:
    """Check that the page, and a figure of each name, may be written to a folder."""
    check_output(folder / _PAGE, _PAGE_KIND, overwrite=overwrite)
    for name in names:
        check_output(folder / _FIGURE.format(name), _FIGURE_KIND, overwrite=overwrite)


def write_figure(folder: Path, name: str, figure: "Figure", *, overwrite: bool) -> Path:
    """Write a figure as a PNG file."""
    path = folder / _FIGURE.format(name)
    with write_file(path, _FIGURE_KIND, overwrite=overwrite) as file:
        figure.savefig(file, format="png", metadata={"Software": _SIGN})
    return path


@attrs.frozen(kw_only=True, eq=False)
class ShownPicture:
    """An annotated picture and its caption."""

    image: Image.Image
    caption: str


@attrs.frozen(kw_only=True, eq=False)
class ShownScene:
    """A section of pictures: a title, a sentence and the pictures."""

    title: str
    words: str
    pictures: tuple[ShownPicture, ...]


def write_page(
    folder: Path,
    collection: fs.Collection,
    responses: Mapping[str, fs.SearchUsersByImageResponse],
    scenes: Iterable[ShownScene],
    *,
    overwrite: bool,
) -> Path:
    """Write demo.html: what notebooks show for responses, then the scenes. The page loads nothing and has no scripts."""
    searches = "".join(
        f"<article><h3>A photo of {escape(who)}</h3>{response._repr_html_()}</article>"
        for who, response in responses.items()
    )
    users = list(collection.users())
    strangers = len(users) - len(responses)
    page = Template(_read("demo_page.html")).substitute(
        generator=_GENERATOR,
        style=_read("demo_page.css"),
        people=escape(" and ".join(responses)),
        strangers=f", beside {strangers} strangers that nobody should be taken for" if strangers > 0 else "",
        version=fs.__version__,
        model=escape(f"{collection.face_model.name} {collection.face_model.version}"),
        searches=searches,
        scenes="".join(map(_section, scenes)),
        answer=escape(json.dumps(fs.to_aws(next(iter(responses.values()))), indent=2)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _PAGE
    with write_file(path, _PAGE_KIND, overwrite=overwrite) as file:
        file.write(page.encode())
    return path


def _section(scene: ShownScene) -> str:
    """Return a scene as a ``<section>``; a single picture takes the whole width."""
    figures = "".join(
        f'<figure><img src="{_as_uri(picture.image)}" alt="{escape(picture.caption)}" width="{picture.image.width}" '
        f'height="{picture.image.height}"><figcaption>{escape(picture.caption)}</figcaption></figure>'
        for picture in scene.pictures
    )
    kind = "one" if len(scene.pictures) == 1 else "many"
    return f'<section><h2>{escape(scene.title)}</h2><p>{escape(scene.words)}</p><div class="{kind}">{figures}</div></section>'


def _as_uri(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return data_uri(file.getvalue(), "jpeg")


def _read(name: str) -> str:
    return files("facesearch.cli.demo").joinpath(name).read_text("utf-8")
