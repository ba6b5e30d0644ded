"""Connections to a PostgreSQL server, shared by all collections of a process that have the same address.

Connections are opened by the thread that needs one, so that a wrong password is that thread's error, at once; psycopg_pool opens them
in the background and would report a timeout. A lost connection is replaced by the next call. After a failover, calls wait for the server
up to their timeout. No connection crosses a fork: the child opens its own, and never ends those of its parent.
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from facesearch.common import forks as _forks
from facesearch.errors import ClosedError, StorageBusyError, StorageError, StorageReadOnlyError
from facesearch.storage.postgres.faults import connection_fault, is_transient, lost, translated
from facesearch.storage.postgres.vectors import Connection, adapt_vectors, spelt
from facesearch.storage.server_address import Address
from facesearch.storage.sql import Kind

__all__ = ["Sessions", "use_schema"]

Cursor = psycopg.Cursor[tuple[Any, ...]]

_MOST_CONNECTIONS: Final = 10  # of a process to a server
_PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds between attempts to connect again; the last one is repeated
# The server ends a connection, and its transaction, within a minute after a client's machine vanished; the client notices likewise.
# Rows are found by indexes: without statistics of ids, see facesearch.storage.postgres.schema, the planner would read whole tables.
_SETTINGS: Final = (
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; "
    "SET jit = off; SET client_min_messages = warning; "
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
)
_KEEPALIVES: Final = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",  # milliseconds
}
_READ: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITE: Final = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {}"


class _Pool:
    """Connections to one address; idle ones are kept."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.users = 0  # open `Sessions`
        self.once_connected = False
        self._begin()

    def _begin(self) -> None:
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)

    def acquire(self, timeout: float) -> tuple[Connection, bool]:
        """Return a connection, and whether it is a new one."""
        if not self._free.acquire(timeout=timeout):
            raise StorageBusyError(
                f"{self.address.name}: other threads use all {_MOST_CONNECTIONS} connections of this process; try again"
            )
        try:
            with contextlib.suppress(IndexError):
                return self._idle.pop(), False
            return self._connect(timeout), True
        except BaseException:
            self._free.release()
            raise

    def release(self, connection: Connection) -> None:
        """Take a connection back; close it if it is broken or within a transaction."""
        if connection not in self._all:  # it is of the parent process
            return
        if self.users and connection.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            self._idle.append(connection)
        else:
            self._all.discard(connection)
            connection.close()
        self._free.release()

    def close(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            self._all.discard(connection)
            connection.close()

    def abandon(self) -> None:
        """Forget the connections of the parent process, without ending them."""
        for connection in self._all:
            _forks.abandon(connection)
        self._begin()

    def _connect(self, timeout: float) -> Connection:
        deadline = time.monotonic() + timeout
        for pause in (*_PAUSES, *[_PAUSES[-1]] * 3600):
            try:
                connection = self._connected(timeout)
            except psycopg.Error as error:
                if self.once_connected and is_transient(error) and time.monotonic() + pause < deadline:
                    time.sleep(pause)
                    continue
                raise connection_fault(self.address, error) from None
            self._all.add(connection)
            self.once_connected = True
            return connection
        raise AssertionError  # pragma: no cover  # the deadline comes first

    def _connected(self, timeout: float) -> Connection:
        given = conninfo_to_dict(self.address.conninfo)
        defaults = {
            **_KEEPALIVES,
            "connect_timeout": str(max(2, round(timeout))),
            "application_name": "facesearch",
            "client_encoding": "UTF8",
        }
        options = {key: value for key, value in defaults.items() if key not in given}
        connection = Connection.connect(make_conninfo(self.address.conninfo, **options), autocommit=True)
        try:
            connection.execute(_SETTINGS)
            use_schema(connection, self.address.schema)
        except BaseException:
            connection.close()
            raise
        return connection


def use_schema(connection: Connection, schema: str) -> bool:
    """Set the search path of a connection to a schema and to pgvector; return whether pgvector is installed."""
    found = connection.execute(
        """SELECT nspname, pg_type.oid::bigint, typarray::bigint FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
        JOIN pg_type ON typnamespace = pg_namespace.oid AND typname = 'vector' WHERE extname = 'vector'"""
    ).fetchone()
    home = "" if found is None else f', "{found[0].replace(chr(34), chr(34) * 2)}"'
    connection.execute(f'SET search_path TO "{schema}"{home}, pg_catalog')
    if found is not None:
        adapt_vectors(connection, *found[1:])
    return found is not None


_pools: Final[dict[str, _Pool]] = {}
_pools_lock = _forks.ForkLock(_forks.Level.LEAF)


def _pool_of(address: Address) -> _Pool:
    with _pools_lock:
        pool = _pools.setdefault(address.url, _Pool(address))
        pool.users += 1
        return pool


def _leave(pool: _Pool) -> None:
    with _pools_lock:
        pool.users -= 1
        if not pool.users:
            _pools.pop(pool.address.url, None)
            pool.close()


class _Lane(threading.local):
    """What a thread holds: at most one connection that reads and one that writes."""

    read: Connection | None = None
    write: Connection | None = None


class Sessions:
    """The connections of one collection, or of the catalog, to a server. Thread-safe.

    Parameters
    ----------
    timeout
        Seconds to wait for other writers, for a free connection, and for a server that starts.
    read_only
        Whether to refuse `writing`; ``None``: only if the server does.
    """

    def __init__(self, address: Address, timeout: float, *, read_only: bool | None = False) -> None:
        self.address, self.name = address, address.name
        self.timeout = timeout
        self._asked_read_only = read_only
        self._pool = _pool_of(address)
        self._leave = weakref.finalize(self, _leave, self._pool)
        self._closed = False
        self._begin()
        _forks.register(self, _forks.Level.FILE)

    def _begin(self) -> None:
        self._lane = _Lane()
        self._writing = threading.RLock()

    @property
    def read_only(self) -> bool:
        """Whether writing is refused."""
        if self._asked_read_only is None:
            ((self._asked_read_only,),) = self.ask(
                "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'"
            )
        return self._asked_read_only

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def is_mine(self) -> bool:
        """Check whether this thread is within a block."""
        return self.current is not None

    def is_writing(self) -> bool:
        """Check whether this thread is within `writing`."""
        return self._lane.write is not None

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of one statement, without a transaction, from the last committed state."""
        with translated(self.name):
            connection, cursor = self._started(query, values)
            try:
                return cursor.fetchall()
            finally:
                self._pool.release(connection)

    def committed_among(self, _: Sequence[Kind], query: str, values: Sequence[Any]) -> list[Any]:
        """Return rows of the last committed state that have one of many values, written ``(*)`` in the query."""
        return self.ask(spelt(query), list(values))

    @contextlib.contextmanager
    def bare(self) -> Iterator[Connection]:
        """Yield a connection without a transaction, for statements that allow none."""
        with translated(self.name):
            connection, _ = self._started("SELECT 1")
            try:
                yield connection
            finally:
                self._pool.release(connection)

    @property
    def current(self) -> Connection | None:
        """The connection of the block that this thread is within; ``None`` outside of blocks."""
        return self._lane.write or self._lane.read

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that reads one committed state, and within `writing` the uncommitted changes too."""
        if self._lane.write is not None:
            yield self._lane.write
        else:
            with self.committed() as connection:
                yield connection

    @contextlib.contextmanager
    def committed(self) -> Iterator[Connection]:
        """Yield a connection that reads one committed state, even within `writing`."""
        if self._lane.read is not None:
            yield self._lane.read
            return
        with self._transaction(_READ) as connection:
            self._lane.read = connection
            try:
                yield connection
            finally:
                self._lane.read = None

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a write transaction: durable when the block ends, rolled back if the block raises."""
        if self._lane.write is not None:
            yield self._lane.write
            return
        self.check_free()
        if self.read_only:
            raise StorageReadOnlyError(
                f"{self.name}: was opened read-only, or the server accepts no changes; "
                "open it without read_only=True, with the address of the primary"
            )
        # Threads wait here, and not with a connection each.
        if not self._writing.acquire(timeout=self.timeout):
            raise StorageBusyError(f"{self.name}: another thread wrote for more than {self.timeout:g} s")
        try:
            with self._transaction(_WRITE.format(max(1, round(self.timeout * 1000)))) as connection:
                self._lane.write = connection
                try:
                    yield connection
                finally:
                    self._lane.write = None
        finally:
            self._writing.release()

    def check_free(self) -> None:
        """Raise RuntimeError if this thread holds a read transaction, within which it would wait for others."""
        if self._lane.read is not None:
            raise RuntimeError("a thread that reads must not wait for a writer; end the read block first")

    def close(self) -> None:
        """Refuse every later call; close the connections if no other collection uses them."""
        self._closed = True
        self._leave()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with translated(self.name):
            connection, _ = self._started(begin)
            pool, generation = self._pool, _forks.generation()
            try:
                yield connection
                self._commit(connection, generation)
            except BaseException:
                if generation == _forks.generation():
                    with contextlib.suppress(psycopg.Error):
                        connection.execute("ROLLBACK")
                raise
            finally:
                pool.release(connection)

    def _commit(self, connection: Connection, generation: int) -> None:
        if generation != _forks.generation():
            raise StorageError(f"{self.name}: this process was forked within a block; its changes are the parent's")
        try:
            ended = connection.execute("COMMIT").statusmessage
        except psycopg.OperationalError as error:
            if connection.broken or connection.closed:
                raise lost(self.name, committing=True) from None
            raise error from None
        if ended != "COMMIT":  # the server rolled back, as an earlier statement had failed
            raise StorageError(f"{self.name}: the server rolled the changes back; nothing was changed")

    def _started(self, query: str, values: Sequence[Any] | None = None) -> tuple[Connection, Cursor]:
        """Execute a first statement on a connection; connections that were lost while idle are replaced."""
        while True:
            connection, new = self._take()
            try:
                return connection, connection.execute(query, values or None, binary=values is not None)
            except BaseException as error:
                broken = connection.closed or connection.broken
                self._pool.release(connection)
                if new or not broken or not isinstance(error, psycopg.Error):
                    raise

    def _take(self) -> tuple[Connection, bool]:
        if self._closed:
            raise ClosedError(f"{self.name}: closed; open it again with Collection.open")
        return self._pool.acquire(self.timeout)

    # ---------------------------------------------------------------- forks

    def before_fork(self) -> None:
        """Do nothing: other threads may go on, as the child abandons whatever they hold."""

    def after_fork(self, *, child: bool) -> None:
        """In a child, begin without connections."""
        if child:
            self._pool.abandon()
            self._begin()
