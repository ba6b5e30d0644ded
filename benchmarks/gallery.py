# ruff: noqa: SLF001  # the bare product works on the index's own rows, for there is no room for them twice
"""Searching among 10,000 to 10,000,000 users: time, memory, growth, and what the first pass in 8 bits gains.

Protocol
--------
- The users are made up, a vector each: around one centre, spread along 128 directions that fall off by 6% each, so that lengths are
  1.4, strangers 0.78 +- 0.10 apart, and one in a thousand within the distance that reads 80, as on real photographs. A probe is a
  user's vector moved by 0.35, as another photo of the same person is.
- Each size runs in a process of its own. Memory is what the process holds more after loading than before, and at its most.
- A search is compared with the bare product ``matrix @ probe`` (``matrix @ probes.T``) in float32 by numpy, taken in turns with it.
  Both use all cores. Up to 1,000,000 users the bare matrix is one array, beyond that the index's blocks.
- Times are the least of REPEATS runs, of FEWER_REPEATS beyond 1,000,000 users; those of adding and removing a user are medians.
- Where the index keeps its vectors in 8 bits, too, the same searches are timed in 8 bits and in float32, taken in turns, whatever
  the index would choose for so many probes. The answers are checked to be the same.
- ``--open`` makes a file of so many users and opens it in a new process.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
from _machine import memory_mb, print_machine

import facesearch as fs
from facesearch.common.arrays import FloatArray
from facesearch.matching import vector_index
from facesearch.matching.row_keys import NumberRows
from facesearch.matching.vector_index import Ranked, VectorIndex

DIMENSION = 128
SIZES = (10_000, 100_000, 1_000_000, 2_000_000, 10_000_000)
ONE_ARRAY = 1_000_000
BATCHES = (1, 16, 64)
REPEATS = 15
FEWER_REPEATS = 5
ROWS_AT_ONCE = 10_000
ANOTHER_PHOTO = 0.35


class Crowd:
    """Makes up users, always the same."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        directions, _ = np.linalg.qr(self._random.standard_normal((DIMENSION, DIMENSION)))
        spread = 0.94 ** np.arange(DIMENSION)
        self._axes = (directions * np.sqrt(0.31 * spread / spread.sum())).T.astype(np.float32)
        self._center = (1.26 * directions[:, 5]).astype(np.float32)

    def draw(self, count: int) -> FloatArray:
        """Return the next users: (count, 128) float32."""
        vectors: FloatArray = self._random.standard_normal((count, DIMENSION), np.float32) @ self._axes + self._center
        return vectors

    def again(self, vectors: FloatArray) -> FloatArray:
        """Return another photo of each."""
        moved = self._random.standard_normal(vectors.shape).astype(np.float32)
        return vectors + moved * np.float32(ANOTHER_PHOTO / math.sqrt(DIMENSION))


def names(numbers: Sequence[int]) -> list[str]:
    """Return user ids."""
    return [f"user{number:08}" for number in numbers]


def least_ms(calls: Sequence[Callable[[], object]], repeats: int = REPEATS) -> list[float]:
    """Return the least time of each call, in milliseconds, taken in turns after one round to warm up."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats + 1):
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            taken.append(1000 * (time.perf_counter() - start))
    return [min(taken[1:]) for taken in times]


def measure(users: int) -> None:
    """Measure an index of one size, and print."""
    crowd, loading = Crowd(), 0.0
    crowd.draw(ROWS_AT_ONCE)  # what BLAS takes for itself is not counted
    before, index = memory_mb(), VectorIndex(DIMENSION, NumberRows())
    for first in range(0, users, ROWS_AT_ONCE):
        vectors, none = crowd.draw(ROWS_AT_ONCE), np.zeros(ROWS_AT_ONCE)
        start = time.perf_counter()
        index.put_many(range(first, first + ROWS_AT_ONCE), vectors, none)
        loading += time.perf_counter() - start
    size = users * DIMENSION * 4 / 2**20
    held, most = memory_mb() - before, memory_mb(most=True) - before
    print(
        f"{users:,} users, {size:,.0f} MiB of vectors: loaded in {loading:.2f} s; memory {held / size:.2f}x, at most {most / size:.2f}x"
    )
    growth(index, crowd)
    searches(index, crowd)
    if index._center is not None:
        eight_bit(index, crowd)


def growth(index: VectorIndex[int], crowd: Crowd) -> None:
    """Add and remove some users, one by one."""
    added, removed = [], []
    count = len(index)
    for number, vector in enumerate(crowd.draw(1000)):
        times = [time.perf_counter()]
        index.put(count + number, vector)
        times.append(time.perf_counter())
        index.remove(count + number - 500 if number >= 500 else number)
        times.append(time.perf_counter())
        add, remove = (1e6 * (b - a) for a, b in pairwise(times))
        added.append(add)
        removed.append(remove)
    print(f"  add a user {median(added):.0f} us (at most {max(added):,.0f}), remove one {median(removed):.0f} us")


def searches(index: VectorIndex[int], crowd: Crowd) -> None:
    """Compare searches with the bare product."""
    reach = fs.calibration().distance_at(80)
    matrices = [block.matrix for block in index._blocks]
    if len(index) <= ONE_ARRAY:
        matrices = [np.concatenate(matrices)[: len(index)]]
    print(f"  {'ms':<12}{'bare':>8}{'at 80':>9}{'at 0':>9}{'nearest':>9}    and times the bare product")
    for count in BATCHES:
        probes = probes_of(index, crowd, count)

        def bare(probes: FloatArray = probes) -> None:
            for matrix in matrices:
                np.matmul(matrix, probes[0] if len(probes) == 1 else probes.T)

        calls = [
            partial(index.nearest, probes, max_distance=reach, limit=limit, names=names)
            for reach, limit in ((reach, 500), (math.inf, 500), (math.inf, 1))
        ]
        least, *ours = least_ms([bare, *calls], REPEATS if len(index) <= ONE_ARRAY else FEWER_REPEATS)
        row = "".join(f"{taken:9.2f}" for taken in ours) + "    " + "".join(f"{taken / least:7.2f}" for taken in ours)
        print(f"  {f'{count} at once':<12}{least:8.2f}{row}")


def probes_of(index: VectorIndex[int], crowd: Crowd, count: int) -> FloatArray:
    """Return another photo of each of some users: (count, 128)."""
    users = [index.get(number) for number in np.linspace(1000, len(index) - 1000, count).astype(int).tolist()]
    return crowd.again(np.array([user for user in users if user is not None]))


def eight_bit(index: VectorIndex[int], crowd: Crowd) -> None:
    """Compare the first pass in 8 bits with that in float32."""
    print(f"  {'in 8 bits, ms':<15}{'at 80':>9}{'at 0':>9}{'nearest':>9}    and times faster than in float32")
    for count in BATCHES:
        probes = probes_of(index, crowd, count)

        def search(few: int, reach: float, limit: int, probes: FloatArray = probes) -> list[Ranked]:
            vector_index._FEW_PROBES = few
            return index.nearest(probes, max_distance=reach, limit=limit, names=names)

        taken = []
        for reach, limit in ((fs.calibration().distance_at(80), 500), (math.inf, 500), (math.inf, 1)):
            calls = [partial(search, few, reach, limit) for few in (count, 0)]
            if calls[0]() != calls[1]():
                raise SystemExit("8 bits gave another answer: no figure would mean anything")
            taken.append(least_ms(calls, FEWER_REPEATS))
        row = "".join(f"{coded:9.2f}" for coded, _ in taken) + "    " + "".join(f"{b / a:6.2f}" for a, b in taken)
        print(f"  {f'{count} at once':<15}{row}")


# ---------------------------------------------------------------- a file


def make_file(path: Path, users: int) -> None:
    """Make a file of users with a face each."""
    crowd = Crowd()
    with fs.Collection.open(path, "crowd") as collection:
        start = time.perf_counter()
        for first in range(0, users, ROWS_AT_ONCE):
            collection.add_embeddings(names(range(first, first + ROWS_AT_ONCE)), crowd.draw(ROWS_AT_ONCE))
        taken = time.perf_counter() - start
    print(f"{users:,} users in a file of {path.stat().st_size / 2**20:,.0f} MiB, made in {taken:.0f} s", flush=True)


def open_file(path: Path, users: int) -> None:
    """Open it, search, add a user, search again."""
    crowd, before, size = Crowd(), memory_mb(), users * DIMENSION * 4 / 2**20
    probe = crowd.again(crowd.draw(1))[0]
    times = [time.perf_counter()]
    with fs.Collection.open(path, "crowd") as collection:
        times.append(time.perf_counter())
        found = collection.search_embedding(probe)
        times.append(time.perf_counter())
        collection.add_embedding("another", probe)
        times.append(time.perf_counter())
        collection.search_embedding(probe)
        times.append(time.perf_counter())
        taken = [b - a for a, b in pairwise(times)]
        (least,) = least_ms([partial(collection.search_embedding, probe)])
    steps = zip(("opened", "first search", "a user added", "next search"), taken, strict=True)
    print("  " + ", ".join(f"{step} {seconds:.3f} s" for step, seconds in steps))
    print(
        f"  a search {least:.1f} ms, {len(found)} found; memory at most {(memory_mb(most=True) - before) / size:.2f}x the vectors"
    )


def main() -> None:
    """Measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description="Searching among many users.")
    parser.add_argument("--users", type=int, nargs="+", default=SIZES, help="sizes, multiples of 10,000")
    parser.add_argument("--open", action="store_true", help="collections in files instead")
    parser.add_argument("--part", choices=("measure", "make", "open"), help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.part == "measure":
        measure(asked.users[0])
    elif asked.part == "make":
        make_file(asked.path, asked.users[0])
    elif asked.part == "open":
        open_file(asked.path, asked.users[0])
    if asked.part:
        return
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        for users in asked.users:
            path = Path(folder) / f"{users}.db"
            for part in ("make", "open") if asked.open else ("measure",):
                sys.stdout.flush()
                command = [sys.executable, __file__, "--users", str(users), "--part", part, "--path", str(path)]
                subprocess.run(command, check=True)  # noqa: S603  # this very script


if __name__ == "__main__":
    main()
