"""Every implementation of `Store`, each behind a collection. A new store is one line of CASES; the suites then run it too.

A store of somebody else is added by the environment: FACESEARCH_STORE=module:function names a function like `in_memory`; its attribute
`durable`, if it has one, is that of `Case`.
"""

import os
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol

import attrs

import facesearch as fs
from postgres_server import schema_of, server

__all__ = ["CASES", "DURABLE", "Case"]


class Open(Protocol):
    """Open a collection in a store; create it if it does not exist."""

    def __call__(self, folder: Path, collection_id: str, /, **options: Any) -> fs.Collection: ...


@attrs.frozen
class Case:
    """A store.

    A durable one keeps its files in the folder, any number of handles may be open at once, and a failed transaction is undone.
    """

    open: Open
    durable: bool
    examples: int = 25  # that the state machine tries


def in_memory(_: Path, collection_id: str, /, **options: Any) -> fs.Collection:
    return fs.Collection(collection_id, **options)


def in_a_file(folder: Path, collection_id: str, /, **options: Any) -> fs.Collection:
    return fs.Collection.open(folder / "people.db", collection_id, **options)


def on_a_server(folder: Path, collection_id: str, /, **options: Any) -> fs.Collection:
    return fs.Collection.open(server().url(schema_of(folder)), collection_id, **options)


CASES = {
    "in memory": Case(in_memory, durable=False),
    "in a file": Case(in_a_file, durable=True),
    "on a server": Case(on_a_server, durable=True, examples=8),
}
if yours := os.environ.get("FACESEARCH_STORE"):
    CASES["yours"] = Case(resolve_name(yours), durable=getattr(resolve_name(yours), "durable", False))
DURABLE = {name: case for name, case in CASES.items() if case.durable}
