"""Photographs that come with installed packages; none is kept in this project."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import skimage.data
from PIL import Image, ImageOps

from facesearch.common.arrays import PixelArray

__all__ = ["astronaut", "hopper", "write_photos"]


def astronaut() -> PixelArray:
    """Eileen Collins, (512, 512, 3), from scikit-image."""
    photo: PixelArray = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has none
    return photo


def hopper() -> PixelArray:
    """Grace Hopper, (600, 512, 3), from matplotlib."""
    path = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def write_photos(folder: Path) -> None:
    """Write a folder with a sub-folder of photos for each of two people, a photo of both, one of each, and an album without names."""
    people = {"eileen": Image.fromarray(astronaut()), "grace": Image.fromarray(hopper()).resize((384, 450))}
    for person, photo in people.items():
        (folder / "people" / person).mkdir(parents=True)
        for number, copy in enumerate((ImageOps.mirror(photo), photo.rotate(6)), start=1):
            copy.save(folder / "people" / person / f"{number}.jpg", quality=92)
        (folder / "album").mkdir(exist_ok=True)
        for number, copy in enumerate((photo, ImageOps.mirror(photo), photo.rotate(-7)), start=1):
            copy.save(folder / "album" / f"{person[0]}{number}.jpg", quality=92)
        photo.save(folder / f"{person}.jpg", quality=92)
    party = Image.new("RGB", (900, 512), "dimgrey")
    party.paste(people["eileen"], (0, 0))
    party.paste(people["grace"].resize((256, 300)), (560, 140))
    party.save(folder / "party.jpg", quality=92)
