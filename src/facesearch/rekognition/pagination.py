"""Encode the position in a listing as NextToken, an opaque text.

A token holds the end of the last page. The service stores nothing for it, so a token survives a restart and is valid in all
processes that share a file. It is neither secret nor signed, and grants no more access than ListFaces itself. A checksum
rejects arbitrary text and the tokens of other listings.
"""

import base64
import binascii
import hashlib

from facesearch.rekognition.exceptions import InvalidPaginationTokenException

__all__ = ["parse_token", "token_of"]

_CHECK_BYTES = 8


def token_of(position: str, *listing: str) -> str:
    """Return the token for the end of a page, such as its last id.

    *listing* is the operation, and the parameters that select its entries.
    """
    plain = position.encode()
    # Not the URL-safe alphabet: the aws command takes a token that starts with "-" for an option.
    return base64.b64encode(_checksum(plain, listing) + plain).decode()


def parse_token(token: str | None, *listing: str) -> str | None:
    """Return the position in a token of `token_of`, which must be of this listing; ``None`` for ``None``."""
    if token is None:
        return None
    try:
        data = base64.b64decode(token.encode(), validate=True)
        checksum, plain = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
        if checksum == _checksum(plain, listing):
            return plain.decode()
    except (binascii.Error, UnicodeError):
        pass
    raise InvalidPaginationTokenException


def _checksum(plain: bytes, listing: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(plain + repr(listing).encode(), digest_size=_CHECK_BYTES).digest()
