"""A collection of painted faces in a file, and a client of its page."""

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.testclient import TestClient

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.review.application import application
from facesearch.review.photo_files import PhotoFiles
from facesearch.review.site import Site
from facesearch.testing.fakes import paint

__all__ = ["BLUE", "GREEN", "ORIGIN", "PORT", "RED", "YELLOW", "Reviewed", "photo_of", "reviewed", "said"]

RED, BLUE, GREEN, YELLOW = (200, 30, 30), (30, 30, 200), (30, 160, 30), (200, 200, 30)
PORT = 8123
ORIGIN = f"http://127.0.0.1:{PORT}"


class Reviewed:
    """A page and its client, which has the cookie unless it is made without."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.app = application(site, PORT)
        self.client = self.visitor()
        assert self.client.get("/", params={"token": site.keys.lasting_token}).status_code == 200

    def visitor(self) -> TestClient:
        """A client without the cookie."""
        return TestClient(self.app, base_url=ORIGIN, follow_redirects=True)

    def get(self, path: str, **query: str) -> str:
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, status: int = 200, **fields: Any) -> str:
        answer = self.client.post(path, data={"token": self.site.keys.form, **fields}, headers={"Origin": ORIGIN})
        assert answer.status_code == status, answer.text
        return answer.text


def photo_of(folder: Path, name: str, *colours: tuple[int, int, int], size: int = 80) -> Path:
    """Write a photo of painted faces side by side."""
    boxes = {(20 + 120 * place, 20, 20 + 120 * place + size, 20 + size): each for place, each in enumerate(colours)}
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint((140, 40 + 120 * max(1, len(colours))), boxes)).save(path)
    return path


def reviewed(
    folder: Path,
    analyzer: FaceAnalyzer,
    *,
    users: dict[str, Sequence[tuple[int, int, int]]],
    unknown: Sequence[tuple[int, int, int]] = (),
    thumbnails: bool = True,
    read_only: bool = False,
    shown: bool = True,
    opened: Callable[[fs.Collection], object] = lambda _: None,
) -> Reviewed:
    """Make a collection, with a photo for each face, and its page."""
    album = folder / "album"
    collection = fs.Collection.open(folder / "people.db", "album", analyzer=analyzer, thumbnails=thumbnails)
    sizes = itertools.count(60)  # each photo is another one
    for user_id, colours in users.items():
        collection.create_user(user_id)
        faces = [
            _indexed(collection, album, f"{user_id}/{place}.png", each, next(sizes))
            for place, each in enumerate(colours)
        ]
        if faces:
            collection.associate_faces(user_id, faces, user_match_threshold=0)
    for place, each in enumerate(unknown):
        _indexed(collection, album, f"unknown/{place}.png", each, next(sizes))
    opened(collection)
    if read_only:
        collection.close()
        collection = fs.Collection.open(folder / "people.db", "album", analyzer=analyzer, read_only=True)
    album.mkdir(exist_ok=True)
    return Reviewed(Site(collection, PhotoFiles.of([album] if shown else []), read_only=read_only))


def said(page: str) -> str:
    """The message of a page; empty where there is none."""
    found = re.search(r'role="(?:status|alert)">\s*<p>(.*?)</p>', page, re.DOTALL)
    return found[1] if found else ""


def _indexed(collection: fs.Collection, album: Path, name: str, colour: tuple[int, int, int], size: int) -> str:
    path = photo_of(album, name, colour, size=size)
    (record,) = collection.index_faces(path, source=name).face_records
    return record.face.face_id
