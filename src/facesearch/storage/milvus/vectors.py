"""The vectors in Milvus: one collection there for all collections of one dimension, with a partition key.

A row is the owner (a digest), the number of a user or face, the version of its vector, and the vector. Rows are only inserted and
deleted: in Milvus 2.3 an upsert into a collection with a partition key loses rows. A row with a negative number is a position: see
`facesearch.storage.milvus.index`. Its vector is all zeros, as no other is.

There is one channel (``num_shards=1``). Milvus applies what was sent to a channel in its order, one time tick after the other. So a
search that sees a position that was sent after `Vectors.await_applied` sees all rows that were sent before, at any consistency level.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import attrs
import numpy as np
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from facesearch.common.arrays import FloatArray
from facesearch.errors import StorageFormatError
from facesearch.storage.milvus.address import MilvusAddress, Stored
from facesearch.storage.milvus.faults import GoneError, translated

__all__ = ["MOST_FOUND", "Found", "Position", "Row", "Vectors"]

MOST_FOUND: Final = 16_384
"""Rows that Milvus returns at most for a search or query."""

_PARTITIONS: Final = 16
_PATIENCE: Final = 300  # seconds for a change; the server may have much to do
_BYTES_AT_ONCE: Final = 4_000_000  # of vectors in a message
_NUMBERS_AT_ONCE: Final = 2000  # in an expression
_FIELDS: Final = ("key", "owner", "number", "version", "vector")
_STRONG: Final = "Strong"
_WAITING: Final = "Eventually"  # does not wait for the time tick: see above

T = TypeVar("T")

# It logs each error with a traceback, and raises it too.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)


@attrs.frozen(order=False)
class Position:
    """The state of a collection that the index has."""

    first: int = 0  # of users the number of the last change; of faces the highest row number
    second: int = 0  # of faces the number of the last removal; 0 for users

    @property
    def total(self) -> int:
        """A number that rises with each change."""
        return self.first + self.second


@attrs.frozen
class Row:
    """A row in Milvus, as `Vectors.rows` reads it."""

    key: int
    number: int
    version: int
    vector: FloatArray | None = attrs.field(eq=False)


@attrs.frozen(eq=False)
class Found:
    """The rows that Milvus found for one probe, nearest first: their numbers, and Milvus's squared distances.

    *whole* is true if these are all rows.
    """

    numbers: list[int]
    squares: list[float]
    whole: bool


class Vectors:
    """The vectors of one dimension on a server that may take *timeout* seconds to answer. Thread-safe; connects on first use."""

    def __init__(self, address: MilvusAddress, dimension: int, timeout: float) -> None:
        self.address, self._dimension = address, dimension
        self._timeout = max(1.0, timeout)
        self._client: MilvusClient | None = None
        self._name = f"facesearch_{dimension}_{address.stored.name.lower()}"

    @property
    def is_coded(self) -> bool:
        """Whether Milvus holds the vectors in 8 bits, so that its order of rows is approximate."""
        return self.address.stored is Stored.SQ8

    def description(self) -> str:
        """Return the version of the server."""
        with translated(self.address):
            return f"Milvus {self._connected().get_server_version()}"

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def abandon(self) -> None:
        """Forget the connection of the parent process."""
        self._client = None

    # ---------------------------------------------------------------- change

    def insert(self, owner: str, version: int, numbers: Sequence[int], vectors: FloatArray) -> None:
        """Add rows; rows with the same numbers stay."""
        step = max(1, _BYTES_AT_ONCE // (4 * self._dimension))
        for first in range(0, len(numbers), step):
            part = vectors[first : first + step]
            rows = [
                {"owner": owner, "number": number, "version": version, "vector": vector}
                for number, vector in zip(numbers[first : first + step], part, strict=True)
            ]
            self._on(lambda client, rows=rows: client.insert(self._name, rows, timeout=_PATIENCE))  # type: ignore[misc]  # rows is of this round

    def put_position(self, owner: str, position: Position) -> None:
        """Record what the rows sent before `await_applied` contain, then remove earlier records."""
        nothing = np.zeros((1, self._dimension), np.float32)
        self.insert(owner, position.first, [-1 - position.second], nothing)
        past = [row.key for row in self._positions(owner) if _position(row.number, row.version).total < position.total]
        self.delete_keys(past)

    def delete_older(self, owner: str, version: int, numbers: Sequence[int] | None = None) -> None:
        """Delete rows of versions below *version*: all, or those of some numbers."""
        condition = f'owner == "{owner}" and number >= 0 and version < {version}'
        if numbers is None:
            self._delete(condition)
            return
        for first in range(0, len(numbers), _NUMBERS_AT_ONCE):
            some = ", ".join(map(str, numbers[first : first + _NUMBERS_AT_ONCE]))
            self._delete(f"{condition} and number in [{some}]")

    def delete_keys(self, keys: Sequence[int]) -> None:
        """Delete rows by their keys."""
        for first in range(0, len(keys), _NUMBERS_AT_ONCE):
            some = list(keys[first : first + _NUMBERS_AT_ONCE])
            self._on(lambda client, some=some: client.delete(self._name, ids=some, timeout=_PATIENCE))  # type: ignore[misc]  # some is of this round

    def clear(self, owner: str) -> None:
        """Delete all rows; the positions first, so that no process takes the rest for all."""
        self._delete(f'owner == "{owner}" and number < 0')
        self.await_applied()
        self._delete(f'owner == "{owner}"')

    def await_applied(self) -> None:
        """Wait until everything that was sent before is applied; what is sent after comes in a later time tick."""
        self._query("number == -1", ["number"], limit=1)

    def compact(self) -> None:
        """Seal and write the rows in memory, and merge files without deleted rows, without waiting for it."""
        self._on(lambda client: client.flush(self._name, timeout=_PATIENCE))
        self._on(lambda client: client.compact(self._name, timeout=_PATIENCE))

    # ---------------------------------------------------------------- read

    def position(self, owner: str) -> Position:
        """Return the position, read strongly; the first one if there is none."""
        found = [_position(row.number, row.version) for row in self._positions(owner)]
        return max(found, key=lambda each: each.total, default=Position())

    def rows(self, owner: str, first: int, last: int, *, vectors: bool) -> Iterator[Row]:
        """Iterate over the rows with numbers from *first* to *last*, read strongly."""
        fields = ["key", "number", "version", *(["vector"] if vectors else [])]
        bounds = [(first, last)]
        while bounds:
            low, high = bounds.pop()
            condition = f'owner == "{owner}" and number >= {low} and number <= {high}'
            found = self._query(condition, fields, limit=MOST_FOUND)
            if len(found) >= MOST_FOUND and low < high:
                middle = (low + high) // 2
                bounds += [(middle + 1, high), (low, middle)]
                continue
            for row in found:
                vector = np.asarray(row["vector"], np.float32) if vectors else None
                yield Row(row["key"], row["number"], row["version"], vector)

    def count(self, owner: str) -> int:
        """Return the number of rows, without positions, read strongly."""
        (row,) = self._query(f'owner == "{owner}" and number >= 0', ["count(*)"])
        return int(row["count(*)"])

    def search(self, owner: str, probes: FloatArray, limit: int) -> tuple[Position | None, list[Found]]:
        """Find the nearest rows for each of fewer than 16,384 probes, and the position, all in one state of Milvus."""
        # The vector of positions is the nearest to itself.
        data = [*probes, np.zeros(self._dimension, np.float32)]
        found: Any = self._on(
            lambda client: client.search(
                self._name,
                data,
                limit=limit,
                filter=f'owner == "{owner}"',
                output_fields=["number", "version"],
                search_params={"metric_type": "L2", "params": {"nprobe": 1} if self.is_coded else {}},
                consistency_level=_WAITING,
                timeout=self._timeout,
            )
        )
        hits = [[(hit["entity"], hit["distance"]) for hit in each] for each in found]
        positions = [_position(row["number"], row["version"]) for row, _ in hits[-1] if row["number"] < 0]
        return max(positions, key=lambda each: each.total, default=None), [
            Found(
                [row["number"] for row, _ in each if row["number"] >= 0],
                [square for row, square in each if row["number"] >= 0],
                whole=len(each) < limit,
            )
            for each in hits[:-1]
        ]

    # ---------------------------------------------------------------- the collection in Milvus

    def _positions(self, owner: str) -> list[Row]:
        found = self._query(f'owner == "{owner}" and number < 0', ["key", "number", "version"])
        return [Row(row["key"], row["number"], row["version"], None) for row in found]

    def _query(self, condition: str, fields: list[str], **options: Any) -> list[dict[str, Any]]:
        found: Any = self._on(
            lambda client: client.query(
                self._name,
                filter=condition,
                output_fields=fields,
                consistency_level=_STRONG,
                timeout=self._timeout,
                **options,
            )
        )
        return list(found)

    def _delete(self, condition: str) -> None:
        self._on(
            lambda client: client.delete(self._name, filter=condition, consistency_level=_STRONG, timeout=_PATIENCE)
        )

    def _on(self, call: Callable[[MilvusClient], T]) -> T:
        """Call the server; create the collection, or load it, if it is not there."""
        with contextlib.suppress(GoneError), translated(self.address):
            return call(self._connected())
        with translated(self.address):
            client = self._connected()
            self._prepare(client)
            return call(client)

    def _connected(self) -> MilvusClient:
        if self._client is None:
            client = MilvusClient(
                self.address.uri,
                user=self.address.user,
                password=self.address.password,
                db_name=self.address.database,
                timeout=self._timeout,
            )
            self._prepare(client)
            self._client = client
        return self._client

    def _prepare(self, client: MilvusClient) -> None:
        if not client.has_collection(self._name):
            try:
                self._create(client)
            except MilvusException:  # another process was faster
                if not client.has_collection(self._name):
                    raise
        fields = {field["name"]: field for field in client.describe_collection(self._name)["fields"]}
        length = fields.get("vector", {}).get("params", {}).get("dim")
        if set(fields) != set(_FIELDS) or int(length or 0) != self._dimension:
            raise StorageFormatError(
                f"{self.address.name}: its collection {self._name} is not of facesearch, or holds vectors of another length: "
                f"expected {', '.join(_FIELDS)} of {self._dimension} numbers, got {', '.join(fields)} of {length}; "
                "drop it there, or name another database in the address"
            )
        client.load_collection(self._name, timeout=_PATIENCE)

    def _create(self, client: MilvusClient) -> None:
        schema = client.create_schema(auto_id=True, enable_dynamic_field=False)
        schema.add_field("key", DataType.INT64, is_primary=True)
        schema.add_field("owner", DataType.VARCHAR, max_length=64, is_partition_key=True)
        schema.add_field("number", DataType.INT64)
        schema.add_field("version", DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._dimension)
        index = client.prepare_index_params()
        # One list: all of it is read, so nothing is missed but by the rounding to 8 bits.
        options = {"params": {"nlist": 1}} if self.is_coded else {}
        index.add_index("vector", index_type=self.address.stored.value, metric_type="L2", **options)
        client.create_collection(
            self._name,
            schema=schema,
            index_params=index,
            consistency_level=_STRONG,
            num_shards=1,
            num_partitions=_PARTITIONS,
        )


def _position(number: int, version: int) -> Position:
    return Position(version, -1 - number)
