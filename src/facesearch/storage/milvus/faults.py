"""Translate errors of Milvus and of the connection to it into this library's, each with the next step."""

import contextlib
from collections.abc import Iterator
from typing import Final

import grpc
from pymilvus.exceptions import MilvusException

from facesearch.errors import StorageBusyError, StorageError, StorageFullError
from facesearch.storage.milvus.address import MilvusAddress

__all__ = ["GoneError", "translated"]

_WITHOUT: Final = "or open the collection without index=, which searches in memory"
_DOWN: Final = f"start the server or correct the address, {_WITHOUT}"
# Words in the server's message, in small letters; the reason, and the next step. The first that has all its words counts.
_FAULTS: Final[tuple[tuple[tuple[str, ...], type[StorageError], str, str], ...]] = (
    (("auth check failure",), StorageError, "wrong user or password", "correct them in the address"),
    (("missing authorization",), StorageError, "it asks for a user and a password", "add them to the address"),
    (("permission",), StorageError, "a right is missing", "grant this user the rights that docs/milvus.md lists"),
    (("database", "not found"), StorageError, "no such database", "create it there, or correct the address"),
    (("fail connecting",), StorageError, "no connection", _DOWN),
    (("unavailable",), StorageError, "no connection", _DOWN),
    (("not ready",), StorageBusyError, "it is starting", f"try again, {_WITHOUT}"),
    (("deadline",), StorageBusyError, "no answer within the timeout", f"try again, {_WITHOUT}"),
    (("quota",), StorageFullError, "it is out of memory or disk", "add some, then try again"),
    (("memory",), StorageFullError, "it is out of memory", "add some, then try again"),
    (("disk",), StorageFullError, "it is out of disk", "add some, then try again"),
    (("rate limit",), StorageBusyError, "it limits requests", "try again, or raise its limits"),
)
_GONE: Final = (100, 101)  # no such collection; the collection is not loaded


class GoneError(Exception):
    """The collection in Milvus was dropped or released by another client; the caller creates or loads it again."""


@contextlib.contextmanager
def translated(address: MilvusAddress) -> Iterator[None]:
    """Translate errors of pymilvus into `StorageError` and its subclasses, naming the server, and into `GoneError`."""
    try:
        yield
    except MilvusException as error:
        if error.code in _GONE:
            raise GoneError from None
        raise _fault(address, f"{error.message} {_details(error.__cause__)}", error) from None
    except grpc.RpcError as error:
        raise _fault(address, _details(error), error) from None


def _details(error: BaseException | None) -> str:
    return str(error.details()) if isinstance(error, grpc.Call) else ""


def _fault(address: MilvusAddress, message: str, error: Exception) -> StorageError:
    small = message.lower()
    for words, kind, reason, step in _FAULTS:
        if all(word in small for word in words):
            return kind(
                f"{address.name}: the index can't be used, {reason}; nothing was changed in the collection; {step}"
            )
    reason = " ".join(message.split())[:200]
    if address.password:
        reason = reason.replace(address.password, "***")
    name = f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
    return StorageError(
        f"{address.name}: the index can't be used ({name}: {reason}); nothing was changed in the collection; {_DOWN}"
    )
