"""Copy a collection from one store to another, and compare the two by a digest of their content."""

import hashlib
import struct
from collections import Counter
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
    digest = hashlib.sha256()
    aside = store.aside()
    for user_id, faces in store.users():
        _add(digest, user_id.encode(), faces)
    _add(digest, store.secret())
    for stored in store.stored_faces():
        face = stored.face
        _add(
            digest,
            face.face_id.encode(),
            (face.user_id or "").encode(),
            *personal_columns(face),
            stored.embedding.astype("<f4").tobytes(),
            stored.thumbnail,
            int(face.face_id in aside),
        )
    return digest.hexdigest()


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
        owners: Counter[str] = Counter()
        destination.put_faces(_counted(source, owners))
        destination.set_aside(source.aside(), aside=True)
        destination.refresh(owners)
        digest = digest_of(destination)
        if digest != (expected := digest_of(source)):
            raise StorageError(
                f"the copy differs from the original: SHA-256 {digest}, expected {expected}; nothing was changed"
            )
    return digest


def _user_ids(store: Store) -> Iterator[str]:
    """Iterate over all users in the order in which they were created."""
    after = 0
    while page := store.page_of_users(after, _PAGE):
        yield from (user_id for _, user_id, _ in page)
        after = page[-1][0]


def _counted(store: Store, owners: "Counter[str]") -> Iterator[StoredFace]:
    for stored in store.stored_faces():
        if stored.face.user_id is not None:
            owners[stored.face.user_id] += 1
        yield stored


def _add(digest: "hashlib._Hash", *parts: object) -> None:
    """Add parts, each with its length, so that no two sequences are the same bytes."""
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(struct.pack("<q", len(data)))
        digest.update(data)
