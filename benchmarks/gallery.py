# ruff: noqa: SLF001  # the bare product and the 8-bit pass work on the index's own rows, for there is no room for them twice
"""Searching among 10,000 to 10,000,000 users: time, memory, growth, and whether a first pass in 8 bits pays.

Protocol
--------
- The users are made up, a vector each: around one centre, spread along 128 directions that fall off by 6% each, so that lengths are
  1.4, strangers 0.78 +- 0.10 apart, and one in a thousand within the distance that reads 80, as on real photographs. A probe is a
  user's vector moved by 0.35, as another photo of the same person is.
- Each size runs in a process of its own. Memory is what the process holds more after loading than before, and at its most.
- A search is compared with the bare product ``matrix @ probe`` (``matrix @ probes.T``) in float32 by numpy, taken in turns with it.
  Both use all cores. Up to 1,000,000 users the bare matrix is one array, beyond that the index's blocks.
- Times are the least of REPEATS runs; those of adding and removing a user are medians.
- The 8-bit pass is the prototype below: vectors less a centre in 8 bits, products by ONNX Runtime's MatMulInteger, bounds from the
  length of what rounding took away, and the same exact second look. Its answers are checked to be the same.
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
import numpy.typing as npt
import onnxruntime
from _machine import memory_mb, print_machine
from onnx import TensorProto, helper

import facesearch as fs
from facesearch.networks import open_session
from facesearch.row_keys import NumberRows, Rows
from facesearch.stages import FloatArray
from facesearch.vector_index import Ranked, VectorIndex

DIMENSION = 128
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
ONE_ARRAY = 1_000_000
BATCHES = (1, 16, 64)
REPEATS = 15
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
        """Give the next users: (count, 128) float32."""
        vectors: FloatArray = self._random.standard_normal((count, DIMENSION), np.float32) @ self._axes + self._center
        return vectors

    def again(self, vectors: FloatArray) -> FloatArray:
        """Give another photo of each."""
        moved = self._random.standard_normal(vectors.shape).astype(np.float32)
        return vectors + moved * np.float32(ANOTHER_PHOTO / math.sqrt(DIMENSION))


def names(numbers: Sequence[int]) -> list[str]:
    """Give user ids."""
    return [f"user{number:08}" for number in numbers]


def least_ms(calls: Sequence[Callable[[], object]], repeats: int = REPEATS) -> list[float]:
    """Give the least time of each call, in milliseconds, taken in turns after one round to warm up."""
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
    if users >= ONE_ARRAY:
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
        least, *ours = least_ms([bare, *calls], REPEATS if len(index) <= ONE_ARRAY else 5)
        row = "".join(f"{taken:9.2f}" for taken in ours) + "    " + "".join(f"{taken / least:7.2f}" for taken in ours)
        print(f"  {f'{count} at once':<12}{least:8.2f}{row}")


def probes_of(index: VectorIndex[int], crowd: Crowd, count: int) -> FloatArray:
    """Give another photo of each of some users: (count, 128)."""
    users = [index.get(number) for number in np.linspace(1000, len(index) - 1000, count).astype(int).tolist()]
    return crowd.again(np.array([user for user in users if user is not None]))


# ---------------------------------------------------------------- a first pass in 8 bits


class EightBit:
    """The prototype: the index's rows once more, in 8 bits, each block transposed as the quickest product wants it."""

    def __init__(self, index: VectorIndex[int]) -> None:
        self.index = index
        left = len(index)
        self.blocks: list[tuple[npt.NDArray[np.int8], FloatArray, npt.NDArray[np.int32], float, float]] = []
        for block in index._blocks:
            vectors, left = block.matrix[: min(left, len(block.matrix))], left - len(block.matrix)
            if not self.blocks:
                self.center = vectors.mean(axis=0)
                self.step = np.float32(np.abs(vectors - self.center).max() / 120)
            moved = vectors - self.center
            codes = np.clip(np.rint(moved / self.step), -127, 127).astype(np.int8)
            lost = moved - codes * self.step
            norms, errors = (np.einsum("ij,ij->i", each, each) for each in (moved, lost))
            turned = np.ascontiguousarray(codes.T)
            # Probes are put into 0 to 255, with 128 for zero: what that adds is taken away again.
            excess = 128 * turned.sum(axis=0, dtype=np.int32)
            bounds = float(np.sqrt(errors.max())), float(np.sqrt(norms.max()))
            self.blocks.append((turned, norms / 2, excess, *bounds))
        product = helper.make_node("MatMulInteger", ["probes", "codes"], ["products"])
        inputs = [
            helper.make_tensor_value_info("probes", TensorProto.UINT8, ["P", DIMENSION]),
            helper.make_tensor_value_info("codes", TensorProto.INT8, [DIMENSION, "N"]),
        ]
        outputs = [helper.make_tensor_value_info("products", TensorProto.INT32, ["P", "N"])]
        graph = helper.make_graph([product], "products", inputs, outputs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        self.session = open_session(model)
        self.values = [onnxruntime.OrtValue.ortvalue_from_numpy(turned) for turned, *_ in self.blocks]
        self.candidates = 0

    def nearest(self, probes: FloatArray, *, max_distance: float, limit: int) -> list[Ranked]:
        """Do what the index's own method does."""
        moved = probes - self.center
        steps = np.abs(moved).max(axis=1, keepdims=True) / np.float32(127)
        codes = np.rint(moved / steps + 128).astype(np.uint8)
        lost = np.linalg.norm(moved - (codes.astype(np.float32) - 128) * steps, axis=1)
        lengths = np.linalg.norm(moved, axis=1)
        sieves = [Sieve((float(length) ** 2 - max_distance**2) / 2, limit + 1) for length in lengths]
        first, value = 0, onnxruntime.OrtValue.ortvalue_from_numpy(codes)
        for (_, halves, excess, error, length), block in zip(self.blocks, self.values, strict=True):
            binding = self.session.io_binding()
            binding.bind_ortvalue_input("probes", value)
            binding.bind_ortvalue_input("codes", block)
            binding.bind_output("products")
            self.session.run_with_iobinding(binding)
            products = binding.get_outputs()[0].numpy()
            for number, sieve in enumerate(sieves):
                scores = (products[number] - excess) * (steps[number] * self.step)
                scores -= halves
                # float32's own error is a thousandth of what 8 bits lose.
                sieve.see(first, scores, 1.01 * float(lengths[number] * error + lost[number] * length))
            first += len(halves)
        rows = [sieve.rows() for sieve in sieves]
        self.candidates = sum(map(len, rows)) // len(rows)
        return [
            self.index._ranked(probe, mine, max_distance, limit, names)
            for probe, mine in zip(probes, rows, strict=True)
        ]


class Sieve:
    """What `facesearch.shortlist.Shortlist` does, of one probe and with one bound for a block."""

    def __init__(self, reach: float, wanted: int) -> None:
        self.reach, self.wanted, self.cut = reach, wanted, -math.inf
        self.uppers, self.lowers, self.numbers = np.empty(0), np.empty(0), np.empty(0, np.int64)

    def see(self, first: int, scores: FloatArray, slack: float) -> None:
        """Look at the next rows."""
        hits = np.flatnonzero(scores >= np.float32(self.cut - slack))
        if not len(hits):
            return
        upper = scores[hits].astype(np.float64) + slack
        self.uppers = np.concatenate([self.uppers, upper])
        self.lowers = np.concatenate([self.lowers, upper - 2 * slack])
        self.numbers = np.concatenate([self.numbers, hits + first])
        beyond = self.uppers < self.reach
        if beyond.any():
            self.cut = max(self.cut, self.lowers[beyond].max())
        self._keep()
        if len(self.lowers) >= self.wanted:
            place = len(self.lowers) - self.wanted
            self.cut = max(self.cut, np.partition(self.lowers, place)[place])
            self._keep()

    def _keep(self) -> None:
        kept = self.uppers >= self.cut
        self.uppers, self.lowers, self.numbers = self.uppers[kept], self.lowers[kept], self.numbers[kept]

    def rows(self) -> Rows:
        """Give what is left."""
        return self.numbers


def eight_bit(index: VectorIndex[int], crowd: Crowd) -> None:
    """Compare with a first pass in 8 bits."""
    before, start = memory_mb(), time.perf_counter()
    quick = EightBit(index)
    size = len(index) * DIMENSION * 4 / 2**20
    more = (memory_mb() - before) / size
    print(f"  in 8 bits first: made in {time.perf_counter() - start:.1f} s, memory {more:.2f}x more")
    print(f"  {'ms':<12}{'at 80':>9}{'at 0':>9}    and times faster, second looks a probe")
    for count in BATCHES:
        probes = probes_of(index, crowd, count)
        row, seen = [], []
        for reach in (fs.calibration().distance_at(80), math.inf):
            ours = partial(index.nearest, probes, max_distance=reach, limit=500, names=names)
            theirs = partial(quick.nearest, probes, max_distance=reach, limit=500)
            if ours() != theirs():
                raise SystemExit("the 8-bit pass gave another answer: no figure would mean anything")
            row.append(least_ms([ours, theirs], REPEATS if len(index) <= ONE_ARRAY else 5))
            seen.append(quick.candidates)
        figures = "".join(f"{taken:9.2f}" for _, taken in row) + "    "
        print(f"  {f'{count} at once':<12}{figures}" + "".join(f"{a / b:6.2f}" for a, b in row) + f"   {seen}")


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
