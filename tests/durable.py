"""Files of collections for tests, and what is in them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import facesearch as fs

__all__ = ["MEMORY", "bytes_of", "contents", "raw", "unprivileged"]

MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108  # where writing needs no disk
_PROBES = np.random.default_rng(5).normal(size=(3, 128)) * 0.08


def contents(collection: fs.Collection) -> Any:
    """All there is to see of a collection."""
    users, faces = collection.users(), collection.faces()
    page, _ = collection.page_of_users()
    assert sorted(page, key=lambda user: user.user_id) == list(users)
    assert collection.page_of_faces() == faces
    assert collection.face_count == len(faces)
    vectors = [collection.user_embedding(user.user_id) for user in users]
    return (
        users,
        faces,
        [None if vector is None else vector.tobytes() for vector in vectors],
        [collection.face_embedding(face.face_id).tobytes() for face in faces],
        [collection.thumbnail(face.face_id) for face in faces],
        [collection.faces(user.user_id) for user in users],
        len(collection),
        repr(collection),
        [collection.rank(probe, user_match_threshold=0, max_users=2) for probe in _PROBES],
        [collection.rank_like_user(user.user_id, user_match_threshold=0) for user in users],
        collection.rank_faces(_PROBES, face_match_threshold=0),
    )


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, and what is in it."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def raw(folder: Path) -> bytes:
    """All bytes of all files of a folder."""
    return b"\n".join(bytes_of(folder).values())


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while, if the tests run as root, whom no permission stops."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
