"""Searches with an index in Milvus, beside the same collection in a file.

    python benchmarks/milvus_index.py --users 10000 100000

It starts a server of its own, from the wheel milvus (Linux on x86-64), in memory, with the settings that it comes with. For each number of
users it prints the time to fill the index, of a search with it and in the process's own memory, and of a change that the next search
sees; for vectors in 8 bits also the recall: how many of the nearest ten are found. Vectors are random and of unit length. No two are
near each other, which is the hardest case for the recall.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _machine import median, print_machine

import facesearch as fs

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from milvus_server import MilvusServer, started

_AT_ONCE = 10_000
_NEAREST = 10


def fill(users: int, where: str) -> None:
    """Add users of one face each."""
    rng = np.random.default_rng(0)
    with fs.Collection.open(where, "people") as people:
        for first in range(0, users, _AT_ONCE):
            vectors = rng.normal(size=(min(_AT_ONCE, users - first), 128)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            people.add_embeddings([f"user{first + number}" for number in range(len(vectors))], vectors)


def nearest(people: fs.Collection, probe: object) -> list[str]:
    """Return the nearest ten users."""
    found, _ = people.rank(probe, user_match_threshold=0, max_users=_NEAREST)  # type: ignore[arg-type]  # an array
    return [match.user.user_id for match in found]


def memory_of(server: MilvusServer) -> float:
    """Return the resident memory of the server, MB."""
    pid = server.process.pid if server.process else 0
    status = Path(f"/proc/{pid}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1e3


def measure(users: int, where: str, server: MilvusServer) -> None:
    """Print the times for one collection."""
    probes = np.random.default_rng(1).normal(size=(60, 128)) / np.sqrt(128)
    with fs.Collection.open(where, "people") as alone:
        first = median(lambda _: nearest(alone, probes[0]), 1)
        print(
            f"{users:>9,} file  first search {first / 1e3:>6.1f} s  search {median(lambda n: nearest(alone, probes[n]), 30):>6.1f} ms",
            flush=True,
        )
        for vectors in ("flat", "sq8"):
            url = server.url(vectors=vectors)
            with fs.Collection.open(where, "people", index=url, timeout=120) as people:
                start = time.perf_counter()
                nearest(people, probes[0])
                filled = time.perf_counter() - start
                people.erase_deleted()  # seals segments, which get their index then
                time.sleep(20 + users / 20_000)
                search = median(lambda n: nearest(people, probes[n]), 30)
                all_of_them = median(
                    lambda n: people.search_embedding(probes[n], user_match_threshold=0),
                    10,
                )
                found = [len(set(nearest(people, probe)) & set(nearest(alone, probe))) for probe in probes]
                change = median(lambda n: (people.add_embedding(f"new{n}", probes[n]), nearest(people, probes[n])), 10)
            print(
                f"{users:>9,} {vectors:<4}  filled in {filled:>6.1f} s  search {search:>6.1f} ms  of 500 users {all_of_them:>6.1f} ms  "
                f"change and search {change:>6.1f} ms  recall {sum(found) / _NEAREST / len(found):.4f}  "
                f"server's memory {memory_of(server):,.0f} MB",
                flush=True,
            )
            with fs.Collection.open(where, "people") as people:
                for number in range(10):
                    people.delete_user(f"new{number}", faces=True)


def main() -> None:
    """Measure each number of users."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000])
    numbers = parser.parse_args().users
    print_machine()
    for users in numbers:
        server = started({})
        with tempfile.TemporaryDirectory() as folder:
            fill(users, f"{folder}/people.db")
            measure(users, f"{folder}/people.db", server)
        server.stop()


if __name__ == "__main__":
    main()
