"""Pictures made of the demo's portraits that show what detection and search can do: a group, a crowd, cut and turned faces."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice

import attrs
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

import facesearch as fs

__all__ = ["Scene", "ScenePicture", "scenes_of"]

_GROUND = (206, 204, 199)
_CROWD_ROWS, _CROWD_COLUMNS = 6, 12
_CROWD_TILE = (44, 58)  # pixels: the faces are 15 to 21 wide
_GROUP_TILE = (300, 360)
_TILE = (360, 420)
_TURNS = {90: "on its side", 180: "on its head"}  # degrees
_FAR = (38, 44)  # pixels of a head far away


@attrs.frozen(kw_only=True, eq=False)
class ScenePicture:
    """A picture to search."""

    image: Image.Image  # RGB
    names: tuple[str, ...]  # the user of each face, in no order
    words: str  # describes the changes of the portraits


@attrs.frozen(kw_only=True, eq=False)
class Scene:
    """A section of the page: a title, a sentence, and pictures to search with a quality filter."""

    title: str
    words: str
    quality_filter: str = "NONE"
    pictures: tuple[ScenePicture, ...]


def scenes_of(photos: Mapping[str, Image.Image]) -> Iterator[Scene]:
    """Make the scenes, one at a time, from one RGB photo of each user."""
    busts = {name: _bust(photo) for name, photo in photos.items()}
    yield Scene(
        title="Everybody in a group photo",
        words="Every face is searched, not only the largest.",
        pictures=(_group(busts),),
    )
    yield Scene(
        title="A crowd",
        words="Faces of 15 to 21 pixels, in a picture as small as a phone's preview.",
        pictures=(_crowd(busts),),
    )
    yield Scene(
        title="Half a face, a turned photo",
        words="A face may be cut by the edge of the photo, and the photo may lie on its side or stand on its head.",
        pictures=tuple(_hard(photos)),
    )
    yield Scene(
        title="Not searched, and why",
        words="The quality filter AUTO leaves out a face that would only be guessed, and gives the reason.",
        quality_filter="AUTO",
        pictures=tuple(_poor(busts)),
    )


def _bust(photo: Image.Image) -> Image.Image:
    """Return head and shoulders, so that one face fills a tile."""
    box = fs.detect_faces(photo)[0].bounding_box
    width, height = box.width * photo.width, box.height * photo.height
    left, top = box.left * photo.width, box.top * photo.height
    place = (left - 0.65 * width, top - 0.55 * height, left + 1.65 * width, top + 1.55 * height)
    return photo.crop(tuple(round(value) for value in place))  # type: ignore[arg-type]  # Pillow asks for a tuple of four


def _altered(busts: Mapping[str, Image.Image], count: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield copies of the portraits in turn: each second pair is mirrored, the brightness changes."""
    for place, (name, bust) in enumerate(islice(cycle(busts.items()), count)):
        turned = ImageOps.mirror(bust) if place // len(busts) % 2 else bust
        yield name, ImageEnhance.Brightness(turned).enhance(0.6 + 0.08 * (place % 9))


def _sheet(tiles: Sequence[Image.Image], columns: int, size: tuple[int, int]) -> Image.Image:
    """Return tiles in rows, each cropped to one size."""
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * size[0], rows * size[1]), _GROUND)
    for place, tile in enumerate(tiles):
        fitted = ImageOps.fit(tile, size, Image.Resampling.LANCZOS, centering=(0.5, 0.4))
        sheet.paste(fitted, (place % columns * size[0], place // columns * size[1]))
    return sheet


def _group(busts: Mapping[str, Image.Image]) -> ScenePicture:
    made = list(_altered(busts, 6))
    turned = [
        bust.rotate(angle, Image.Resampling.BICUBIC, fillcolor=_GROUND)
        for angle, (_, bust) in zip((-12, 8, 14, -6, 10, -15), made, strict=True)
    ]
    return ScenePicture(
        image=_sheet(turned, 3, _GROUP_TILE),
        names=tuple(name for name, _ in made),
        words="six altered copies of the portraits",
    )


def _crowd(busts: Mapping[str, Image.Image]) -> ScenePicture:
    made = list(_altered(busts, _CROWD_ROWS * _CROWD_COLUMNS))
    rows = [made[start : start + _CROWD_COLUMNS] for start in range(0, len(made), _CROWD_COLUMNS)]
    moved = [each for number, row in enumerate(rows) for each in (row[number % 2 :] + row[: number % 2])]
    return ScenePicture(
        image=_sheet([bust for _, bust in moved], _CROWD_COLUMNS, _CROWD_TILE),
        names=tuple(name for name, _ in moved),
        words=f"{len(moved)} altered copies of the portraits, together {_CROWD_COLUMNS * _CROWD_TILE[0]} pixels wide",
    )


def _hard(photos: Mapping[str, Image.Image]) -> Iterator[ScenePicture]:
    for name, photo in photos.items():
        box = fs.detect_faces(photo)[0].bounding_box
        middle = round((box.left + box.width / 2) * photo.width)
        cut = photo.crop((middle, 0, photo.width, photo.height))
        yield ScenePicture(image=_shown(cut), names=(name,), words="the left half of the face is cut off")
    for (angle, words), (name, photo) in zip(_TURNS.items(), islice(cycle(photos.items()), 2), strict=True):
        yield ScenePicture(image=_shown(photo.rotate(angle, expand=True)), names=(name,), words=words)


def _poor(busts: Mapping[str, Image.Image]) -> Iterator[ScenePicture]:
    name, bust = next(iter(busts.items()))
    face = ImageOps.fit(bust, _TILE, Image.Resampling.LANCZOS)
    far = Image.new("RGB", _TILE, _GROUND)
    far.paste(face.resize(_FAR, Image.Resampling.LANCZOS), ((_TILE[0] - _FAR[0]) // 2, (_TILE[1] - _FAR[1]) // 2))
    for words, image in (
        ("out of focus", face.filter(ImageFilter.GaussianBlur(12))),
        ("in the dark", ImageEnhance.Brightness(face).enhance(0.06)),
        ("far away", far),
    ):
        yield ScenePicture(image=image, names=(name,), words=words)


def _shown(photo: Image.Image) -> Image.Image:
    """Return a photo as large as the page shows it, at most."""
    shown = photo.copy()
    shown.thumbnail(_TILE, Image.Resampling.LANCZOS)
    return shown
