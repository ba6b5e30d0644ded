"""Ids of faces and photos, computed from their content and a secret key of the collection.

The same photo always gets the same ids in one collection, and other ids in another collection. An id therefore reveals nothing to
someone who has the photo but not the collection.
"""

import hashlib
import secrets
import uuid
from typing import Any, Final

__all__ = ["SECRET_BYTES", "content_id", "keyed_hash", "new_secret"]

SECRET_BYTES: Final = 32


def new_secret() -> bytes:
    """Return a random secret key for a new collection."""
    return secrets.token_bytes(SECRET_BYTES)


def content_id(secret: bytes, *parts: Any) -> str:
    """Return the UUID of *parts* in the collection with that secret key.

    Examples
    --------
    >>> one, other = bytes(32), bytes(31) + b"x"
    >>> content_id(one, "image", "ab") == content_id(one, "image", "ab")
    True
    >>> content_id(one, "image", "ab") == content_id(other, "image", "ab")
    False
    """
    # Version 4: without the secret key it can't be distinguished from a random UUID.
    return str(uuid.UUID(bytes=keyed_hash(repr(parts), secret), version=4))


def keyed_hash(text: str, key: bytes) -> bytes:
    """Return the keyed digest of a text, 16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()
