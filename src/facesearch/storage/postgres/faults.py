"""Translate errors of PostgreSQL and of the connection to it into this library's, each with the next step.

Messages of the server may quote rows (``Key (user_id)=(ada) already exists``), so only the code of an error is passed on, and its name.
Messages about a connection that can't be opened are passed on: they name the host and the reason.
"""

import contextlib
from collections.abc import Iterator
from typing import Final

import psycopg

from facesearch.errors import (
    StorageBusyError,
    StorageError,
    StorageFormatError,
    StorageFullError,
    StorageReadOnlyError,
    StorageUncertainError,
)
from facesearch.storage.server_address import Address

__all__ = ["connection_fault", "is_transient", "lost", "pooled", "translated"]

_Fault = tuple[type[StorageError], str]

_BUSY: Final = "others wrote for longer than the timeout; nothing was changed, try again"
_LOST: Final = "the connection was lost; nothing was changed, try again"
_POOLED: Final = "a pooler such as PgBouncer gave the connection to another client meanwhile; nothing was changed, set pool_mode = session there"
_CONTRADICTION: Final = "damaged, its tables contradict each other"
_FOREIGN: Final = (
    "the schema lacks a table or column of facesearch; restore it from a backup, or use another schema (?schema=); "
    "behind a pooler such as PgBouncer, set pool_mode = session there"
)

_FAULTS: Final[dict[str, _Fault]] = {
    "25006": (
        StorageReadOnlyError,
        (
            "the server accepts no changes: it is a replica, or default_transaction_read_only is on; "
            "connect to the primary (target_session_attrs=read-write), or open it with read_only=True"
        ),
    ),
    "42501": (
        StorageReadOnlyError,
        "the role lacks a right on the tables; the page docs/postgresql.md lists those to grant",
    ),
    "53100": (StorageFullError, "no room on the server's disk; nothing was changed, free space there"),
    "53200": (StorageFullError, "the server is out of memory; nothing was changed"),
    "53300": (StorageBusyError, "the server has no free connection; raise max_connections, or close other clients"),
    "55P03": (StorageBusyError, _BUSY),
    "57014": (
        StorageBusyError,
        (
            "a statement took longer than the server's statement_timeout, or was cancelled there; "
            "nothing was changed, raise the limit for this role"
        ),
    ),
    "40001": (StorageBusyError, _BUSY),
    "40P01": (StorageBusyError, _BUSY),
    "26000": (StorageError, _POOLED),
    "42P05": (StorageError, _POOLED),
    "42P01": (StorageFormatError, _FOREIGN),
    "42703": (StorageFormatError, _FOREIGN),
    "3F000": (StorageFormatError, _FOREIGN),
    "XX001": (StorageFormatError, "the server reports damaged data; restore a backup"),
    "XX002": (StorageFormatError, "the server reports a damaged index; run REINDEX there"),
}
_FAULTS_OF_CLASS: Final[dict[str, _Fault]] = {
    "08": (StorageError, _LOST),
    "22": (StorageFormatError, "the server refuses a value"),
    "23": (StorageFormatError, _CONTRADICTION),
    "57": (StorageError, f"the server shut down, or ended the connection; {_LOST.partition('; ')[2]}"),
}
_CONNECTING: Final = (
    ("certificate", "check sslrootcert, the certificate of the server, and the name of the host in the address"),
    ("root.crt", "name the file with the certificate of the authority by sslrootcert in the address"),
    ("SSL", "switch TLS on at the server (ssl = on), or check sslmode in the address"),
    ("password", "check the user and the password, in PGPASSWORD, ~/.pgpass or the address"),
    ("authentication failed", "check the user, and pg_hba.conf on the server"),
    ("no pg_hba.conf entry", "allow this host, user and database in pg_hba.conf on the server"),
    ("database", "create the database there, or correct the address"),
    ("role", "create the role there, or correct the address"),
    ("too many", "raise max_connections on the server, or close other clients"),
    ("session is read-only", "the primary is not among the hosts of the address"),
    ("", "start the server, or correct the address"),
)
_TRANSIENT: Final = ("starting up", "shutting down", "refused", "No such file", "read-only", "recovery")


def connection_fault(address: Address, error: psycopg.Error) -> StorageError:
    """Return the error for a connection that can't be opened; the password is not in it."""
    reason = " ".join(str(error).split())
    if address.secret:
        reason = reason.replace(address.secret, "***")
    step = next(step for words, step in _CONNECTING if words in reason)
    kind = StorageBusyError if "too many" in reason else StorageError
    return kind(f"{address.name}: no connection ({reason}); {step}")


def is_transient(error: psycopg.Error) -> bool:
    """Return whether a connection may soon be possible, as after a failover."""
    return any(words in str(error) for words in _TRANSIENT)


def lost(name: str, *, committing: bool = False) -> StorageError:
    """Return the error for a lost connection; *committing* if the change may have been made nevertheless."""
    if committing:
        return StorageUncertainError(
            f"{name}: the connection was lost while a change was confirmed: it may or may not have been made; "
            "read it, and repeat it if not"
        )
    return StorageError(f"{name}: {_LOST}")


def pooled(name: str) -> StorageError:
    """Return the error for a connection that serves several clients in turns."""
    return StorageError(f"{name}: {_POOLED}")


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """Translate errors of psycopg into `StorageError` and its subclasses, naming the server."""
    try:
        yield
    except psycopg.Error as error:
        raise _storage_error(name, error) from None  # the server's message may quote personal data


def _storage_error(name: str, error: psycopg.Error) -> StorageError:
    code = error.sqlstate
    if code is None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return lost(name)
        return StorageError(f"{name}: the client refuses a value or an answer ({type(error).__name__})")
    kind, text = _FAULTS.get(code) or _FAULTS_OF_CLASS.get(code[:2]) or (StorageError, "the server reports an error")
    return kind(f"{name}: {text} ({code}, {type(error).__name__})")
