"""Translate errors of Milvus and of the connection to it into this library's, each with the next step."""

import contextlib
from collections.abc import Iterator
from typing import Final

import grpc
from pymilvus.exceptions import MilvusException

from facesearch.errors import StorageBusyError, StorageError, StorageFormatError, StorageFullError
from facesearch.storage.milvus.address import MilvusAddress

__all__ = ["GoneError", "translated"]

_WITHOUT: Final = "or open the collection without index=, which searches in memory"
_DOWN: Final = f"start the server or correct the address, {_WITHOUT}"
# The first whose words are in the server's message, in small letters.
_FAULTS: Final[tuple[tuple[str, type[StorageError], str], ...]] = (
    ("auth check failure", StorageError, "check the user and the password in the address"),
    ("permission deny", StorageError, "grant this user the rights that docs/milvus.md lists"),
    ("database not found", StorageError, "create the database there, or correct the address"),
    ("fail connecting", StorageError, _DOWN),
    ("unavailable", StorageError, _DOWN),
    ("retry run out", StorageError, _DOWN),
    ("deadline exceeded", StorageBusyError, f"the server did not answer within the timeout: try again, {_WITHOUT}"),
    ("quota exceeded", StorageFullError, "the server is out of memory or disk: give it more, then try again"),
    ("memory", StorageFullError, "the server is out of memory: give it more, then try again"),
    ("disk", StorageFullError, "the server is out of disk: give it more, then try again"),
    ("rate limit", StorageBusyError, "the server limits requests: try again, or raise its limits"),
    ("dimension", StorageFormatError, "it holds vectors of another length: use another database"),
)
_GONE: Final = (100, 101)  # no such collection; the collection is not loaded


class GoneError(Exception):
    """The vectors are not there, or not loaded: somebody dropped or released the collection in Milvus."""


@contextlib.contextmanager
def translated(address: MilvusAddress) -> Iterator[None]:
    """Translate errors of pymilvus.

    Raises
    ------
    GoneError
        If the collection in Milvus is gone; the caller creates it again.
    StorageError
        And its subclasses, naming the server.
    """
    try:
        yield
    except MilvusException as error:
        if error.code in _GONE:
            raise GoneError from None
        raise _fault(address, str(error.message), f"{type(error).__name__} {error.code}") from None
    except grpc.RpcError as error:
        raise _fault(address, str(error), type(error).__name__) from None


def _fault(address: MilvusAddress, message: str, kind: str) -> StorageError:
    words = message.lower()
    for sign, error, step in _FAULTS:
        if sign in words:
            return error(f"{address.name}: the index can't be used ({sign}); the collection is unchanged; {step}")
    reason = " ".join(message.split())[:200]
    if address.password:
        reason = reason.replace(address.password, "***")
    return StorageError(
        f"{address.name}: the index can't be used ({kind}: {reason}); the collection is unchanged; {_DOWN}"
    )
