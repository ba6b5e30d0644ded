"""Copy a collection from one store to another, and compare the two by a digest of their content."""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

from facesearch.errors import InvalidParameterError, StorageError
from facesearch.storage.face_rows import personal_columns
from facesearch.storage.store import Store, StoredFace

__all__ = ["copy_content", "digest_of"]

_PAGE: Final = 10_000  # users read at once


def digest_of(store: Store) -> str:
    """Return the SHA-256 of the users, faces, vectors, thumbnails and marks in a store, in hex; called within a block.

    Two stores with the same content have the same digest, wherever they are. Changes that can be undone, outcomes of photos and answers
    to requests are no part of it.
    """
    digest = _Digest(store)
    for _ in digest.faces():
        pass
    return digest.hex()


def copy_content(source: Store, destination: Store) -> str:
    """Copy all users and faces to an empty store, in one transaction, and return their digest.

    Parameters
    ----------
    source, destination
        The stores; no block of theirs is open.

    Raises
    ------
    InvalidParameterError
        If *destination* is not empty.
    StorageError
        And its subclasses, if one of them can't be used, or the digests differ; *destination* is unchanged.
    """
    with source.reading(), destination.writing():
        count = destination.count()
        if count.users or count.faces:
            raise InvalidParameterError(
                f"path: only an empty collection can be filled, it has {count.users} users and {count.faces} faces"
            )
        destination.set_secret(source.secret())  # so that photos get the same ids as before
        destination.create_users(_user_ids(source))
        expected = _Digest(source)
        destination.put_faces(expected.faces())
        destination.set_aside(source.aside(), aside=True)
        destination.refresh(user_id for user_id, faces in source.users() if faces)
        digest = digest_of(destination)
        if digest != expected.hex():
            raise StorageError(
                f"the copy differs from the original: SHA-256 {digest}, expected {expected.hex()}; nothing was changed"
            )
    return digest


def _user_ids(store: Store) -> Iterator[str]:
    """Iterate over all users in the order in which they were created."""
    after = 0
    while page := store.page_of_users(after, _PAGE):
        yield from (user_id for _, user_id, _ in page)
        after = page[-1][0]


class _Digest:
    """The digest of a store's content, updated while its faces are read."""

    def __init__(self, store: Store) -> None:
        self._store, self._sum = store, hashlib.sha256()

    def faces(self) -> Iterator[StoredFace]:
        """Iterate over all faces of the store; the digest is complete at the end."""
        aside = self._store.aside()
        for user_id, faces in self._store.users():
            self._add(user_id.encode(), faces)
        self._add(self._store.secret())
        for stored in self._store.stored_faces():
            face = stored.face
            self._add(
                face.face_id.encode(),
                (face.user_id or "").encode(),
                *personal_columns(face),
                stored.embedding.astype("<f4").tobytes(),
                stored.thumbnail,
                int(face.face_id in aside),
            )
            yield stored

    def hex(self) -> str:
        return self._sum.hexdigest()

    def _add(self, *parts: object) -> None:
        """Add parts, each with its length, so that no two sequences are the same bytes."""
        encoded = [part if isinstance(part, bytes) else repr(part).encode() for part in parts]
        self._sum.update(b"".join(each for data in encoded for each in (struct.pack("<q", len(data)), data)))
