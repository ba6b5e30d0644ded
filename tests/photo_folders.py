"""Folders of painted photos, and what becomes of them in a collection."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from PIL import Image

import facesearch as fs
from facesearch.common.arrays import PixelArray
from facesearch.responses.folder import FolderReport
from facesearch.testing.fakes import paint

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "NOBODY",
    "RED",
    "TEAM",
    "TWO",
    "Photos",
    "contents",
    "folder_of",
    "portrait",
    "quiet",
    "timeless",
    "write",
]

RED, BLUE, GREEN, GREY = (200, 30, 30), (30, 30, 200), (30, 200, 30), (120, 120, 90)

Photos = Mapping[str, Mapping[str, PixelArray | bytes]]


def portrait(colour: tuple[int, int, int], size: int = 60) -> PixelArray:
    return paint((100, 120), {(20, 20, 20 + size, 20 + size): colour})


NOBODY = np.zeros((100, 100, 3), np.uint8)
TWO = paint((120, 200), {(10, 10, 80, 80): RED, (100, 10, 170, 80): BLUE})


def write(path: Path, photo: PixelArray | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(photo, bytes):
        path.write_bytes(photo)
    else:
        Image.fromarray(photo).save(path)
    return path


def folder_of(root: Path, people: Photos) -> Path:
    root.mkdir(exist_ok=True)
    for user_id, photos in people.items():
        for name, photo in photos.items():
            write(root / user_id / name, photo)
    return root


def contents(collection: fs.Collection) -> Any:
    """All there is to see of a collection."""
    users = collection.users()
    vectors = [collection.user_embedding(user.user_id) for user in users]
    return users, collection.faces(), [None if vector is None else vector.tobytes() for vector in vectors]


def quiet(collection: fs.Collection, path: Path, **options: Any) -> FolderReport:
    return collection.index_folder(path, progress=False, **options)


def timeless(report: FolderReport) -> FolderReport:
    """The report as if nothing had been known before."""
    return attrs.evolve(
        report,
        known=0,
        refused=tuple(attrs.evolve(photo, known=False) for photo in report.refused),
        broken=tuple(attrs.evolve(photo, known=False) for photo in report.broken),
    )


TEAM: Photos = {
    "ada": {
        "1.png": portrait(RED),
        "2.png": portrait(RED, 64),
        "3.png": portrait(RED, 68),
        "4.png": portrait(BLUE, 52),
    },
    "bob": {"1.png": portrait(BLUE), "nobody.png": NOBODY, "two.png": TWO},
    "eve": {
        "1.png": portrait(GREEN),
        "broken.png": b"\x89PNG\r\n\x1a\n, and no more",
        "deep/2.png": portrait(GREEN, 70),
    },
    "mallory": {"1.png": portrait(RED), "2.png": NOBODY},
}
