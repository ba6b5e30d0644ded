"""Photographs of the demo, all from installed packages; nothing is downloaded."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from facesearch.images.reading import read_image

__all__ = ["admiral_photo", "altered_copies", "another_copy", "astronaut_photo", "stranger_photos"]


def astronaut_photo() -> Image.Image:
    """Return the photo of Eileen Collins from scikit-image."""
    import skimage.data

    pixels = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    return Image.fromarray(pixels)


def admiral_photo() -> Image.Image | None:
    """Return the photo of Grace Hopper from matplotlib; ``None`` if matplotlib is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    photo = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return Image.fromarray(read_image(photo).pixels)


def altered_copies(photo: Image.Image) -> list[Image.Image | bytes]:
    """Return five altered copies of a photo, to enrol; the original remains for the search.

    There is only one photograph of each person. Copies of it are much easier than photos of other days: the demo shows that the
    parts work together, not how accurate they are.
    """
    jpeg = BytesIO()
    photo.save(jpeg, "JPEG", quality=25)
    return [
        ImageOps.mirror(photo),
        ImageEnhance.Brightness(photo).enhance(0.55),
        photo.resize((photo.width * 3 // 4, photo.height * 3 // 4)),
        photo.rotate(8, Image.Resampling.BICUBIC),
        jpeg.getvalue(),  # encoded bytes are accepted too, as are paths, files and arrays
    ]


def another_copy(photo: Image.Image) -> Image.Image:
    """Return one more altered copy, to search with."""
    return ImageEnhance.Contrast(photo.rotate(-7, Image.Resampling.BICUBIC)).enhance(0.7)


def stranger_photos(count: int) -> list[Image.Image]:
    """Return up to 100 photos of unknown people.

    The first 100 images of scikit-image's lfw_subset are grey faces of 25 x 25 pixels. AWS and this library require images of 80
    pixels a side and faces of 40, so they are enlarged. Measured sizes were 100, 150 and 200 pixels, with and without a border of
    a quarter or a half: each detects 94 to 96 of the 100 faces, and 150 without a border is the fastest of the best. Enlarging
    adds no detail. The embeddings of such small faces are more similar to each other, so these strangers are harder to
    distinguish from the right person than strangers in ordinary photos.
    """
    import skimage.data

    faces = skimage.data.lfw_subset()[: min(max(count, 0), 100)]  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    small = (faces * 255).round().astype(np.uint8)
    return [Image.fromarray(face).resize((150, 150), Image.Resampling.BICUBIC) for face in small]
