"""The photographs of the demo: all come with installed packages, nothing is downloaded."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from facesearch.images.reading import read_image

__all__ = ["admiral_photo", "altered_copies", "another_copy", "astronaut_photo", "stranger_photos"]


def astronaut_photo() -> Image.Image:
    """Give the photo of Eileen Collins that comes with scikit-image."""
    import skimage.data

    pixels = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    return Image.fromarray(pixels)


def admiral_photo() -> Image.Image | None:
    """Give the photo of Grace Hopper that comes with matplotlib; ``None`` where that is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    photo = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return Image.fromarray(read_image(photo).pixels)


def altered_copies(photo: Image.Image) -> list[Image.Image | bytes]:
    """Alter a photo in five ways, to enrol; the photo itself is left for the search.

    One photograph is all there is of each. Copies of it are much easier than photos of other days: this shows that the parts
    work together, and says nothing about accuracy.
    """
    jpeg = BytesIO()
    photo.save(jpeg, "JPEG", quality=25)
    return [
        ImageOps.mirror(photo),
        ImageEnhance.Brightness(photo).enhance(0.55),
        photo.resize((photo.width * 3 // 4, photo.height * 3 // 4)),
        photo.rotate(8, Image.Resampling.BICUBIC),
        jpeg.getvalue(),  # an encoded picture is a picture too, and so are paths, files and arrays
    ]


def another_copy(photo: Image.Image) -> Image.Image:
    """Alter a photo in one more way, to search with."""
    return ImageEnhance.Contrast(photo.rotate(-7, Image.Resampling.BICUBIC)).enhance(0.7)


def stranger_photos(count: int) -> list[Image.Image]:
    """Give up to 100 photos of people of whom nobody knows who they are.

    The first 100 of scikit-image's lfw_subset are faces, grey, of 25 x 25 pixels. AWS takes pictures of 80 pixels a side and
    faces of 40, and so do we, so they are enlarged. Tried were 100, 150 and 200 pixels, with and without a border of a quarter
    or a half: each way 94 to 96 of the 100 are detected, and 150 without a border is the quickest of the best. Enlarging adds
    no detail. Faces that small look more alike to the network, so these strangers are harder to tell from the right person
    than strangers on ordinary photos would be.
    """
    import skimage.data

    faces = skimage.data.lfw_subset()[: min(max(count, 0), 100)]  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    small = (faces * 255).round().astype(np.uint8)
    return [Image.fromarray(face).resize((150, 150), Image.Resampling.BICUBIC) for face in small]
