"""Only unchanged photos below the named folders are read."""

import os
from pathlib import Path

import attrs
import pytest

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.review.photo_files import PhotoFiles
from review_pages import BLUE, RED, photo_of


@pytest.fixture
def album(tmp_path: Path) -> Path:
    (tmp_path / "album").mkdir()
    return tmp_path / "album"


def face_of(collection: fs.Collection, photo: Path, source: str | None) -> fs.Face:
    (record,) = collection.index_faces(photo, source=source).face_records
    return record.face


@pytest.fixture
def collection(fake: FaceAnalyzer) -> fs.Collection:
    return fs.Collection("album", analyzer=fake)


def test_the_photo_of_a_face_is_read_from_the_folder(collection: fs.Collection, album: Path) -> None:
    photo = photo_of(album, "deep/er/a.png", RED)
    files = PhotoFiles.of([album.parent / "album"])

    for source in ("deep/er/a.png", "deep/./er/../er/a.png", str(photo)):
        found = files.picture(collection, attrs.evolve(face_of(collection, photo, None), source=source))
        assert found == fs.read_image(photo)


def test_no_path_leads_out_of_the_folders(collection: fs.Collection, album: Path) -> None:
    outside = photo_of(album.parent, "outside.png", RED)
    face = face_of(collection, outside, None)
    files = PhotoFiles.of([album])

    for source in (
        "../outside.png",
        str(outside),
        "a/../../outside.png",
        f"/{album.name}/../outside.png",
        "\udcff",
        "x" * 4096,
    ):
        assert files.picture(collection, attrs.evolve(face, source=source)) is None
    assert PhotoFiles.of([album.parent]).picture(collection, attrs.evolve(face, source="outside.png")) is not None


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_not_followed(collection: fs.Collection, album: Path) -> None:
    outside = photo_of(album.parent / "other", "a.png", RED)
    inside = photo_of(album, "real.png", BLUE)
    (album / "link.png").symlink_to(outside)
    (album / "folder").symlink_to(outside.parent)
    (album / "inner.png").symlink_to(inside)
    files = PhotoFiles.of([album])

    for photo, source in ((outside, "link.png"), (outside, "folder/a.png"), (inside, "inner.png")):
        assert files.picture(collection, face_of(collection, photo, source)) is None


def test_a_changed_file_is_not_shown(collection: fs.Collection, album: Path) -> None:
    photo = photo_of(album, "a.png", RED)
    face = face_of(collection, photo, "a.png")
    files = PhotoFiles.of([album])
    assert files.picture(collection, face) is not None

    photo_of(album, "a.png", BLUE)
    assert files.picture(collection, face) is None
    photo.write_bytes(b"no picture")
    assert files.picture(collection, face) is None
    photo.unlink()
    assert files.picture(collection, face) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_does_not_block(collection: fs.Collection, album: Path) -> None:
    face = face_of(collection, photo_of(album, "a.png", RED), "a.png")
    (album / "a.png").unlink()
    os.mkfifo(album / "a.png")

    assert PhotoFiles.of([album]).picture(collection, face) is None


def test_a_folder_in_place_of_a_file_is_no_photo(collection: fs.Collection, album: Path) -> None:
    face = face_of(collection, photo_of(album, "a.png", RED), "a.png")
    (album / "a.png").unlink()
    (album / "a.png").mkdir()

    assert PhotoFiles.of([album]).picture(collection, face) is None


def test_a_face_without_source_or_photo_has_none(collection: fs.Collection, album: Path) -> None:
    face = face_of(collection, photo_of(album, "a.png", RED), "a.png")

    assert PhotoFiles.of([album]).picture(collection, attrs.evolve(face, source=None)) is None
    assert PhotoFiles.of([album]).picture(collection, attrs.evolve(face, image_id=None)) is None
    assert PhotoFiles().picture(collection, face) is None


def test_a_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(fs.InvalidParameterError, match="photos: expected an existing folder"):
        PhotoFiles.of([tmp_path / "nowhere"])
