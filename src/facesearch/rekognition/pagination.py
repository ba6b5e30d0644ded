"""NextToken: where a listing goes on, as text that means nothing to callers.

A token holds where the last page ended. It needs no memory of the service, so that it outlives it and serves all processes of one
file; it is neither secret nor signed, and gives nobody more than ListFaces itself does. Its check tells a token of another
listing, or mere text, from one of its own.
"""

import base64
import binascii
import hashlib

from facesearch.rekognition.exceptions import InvalidPaginationTokenException

__all__ = ["parse_token", "token_of"]

_CHECK_BYTES = 8


def token_of(position: str, *listing: str) -> str:
    """Give the token for a position, such as the last id of a page, in a listing: an operation and what it lists.

    Examples
    --------
    >>> parse_token(token_of("ada", "ListUsers", "staff"), "ListUsers", "staff")
    'ada'
    """
    plain = position.encode()
    # Not the alphabet for URLs: the aws command takes a token that starts with "-" for an option.
    return base64.b64encode(_check(plain, listing) + plain).decode()


def parse_token(token: str | None, *listing: str) -> str | None:
    """Give the position that `token_of` was given; ``None`` for ``None``.

    Raises
    ------
    InvalidPaginationTokenException
        If it is no token of this listing.
    """
    if token is None:
        return None
    try:
        data = base64.b64decode(token.encode(), validate=True)
        check, plain = data[:_CHECK_BYTES], data[_CHECK_BYTES:]
        if check == _check(plain, listing):
            return plain.decode()
    except (binascii.Error, UnicodeError):
        pass
    raise InvalidPaginationTokenException("Invalid Pagination Token")


def _check(plain: bytes, listing: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(plain + repr(listing).encode(), digest_size=_CHECK_BYTES).digest()
