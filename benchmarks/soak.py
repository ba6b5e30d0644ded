"""Mixed traffic on one collection for as long as asked: memory over time, latencies, errors.

Protocol
--------
- ``library``: processes with threads of their own open one file and search, index, enrol, delete, list and export. ``server``: the same by
  stock boto3 clients, one a thread, of one ``facesearch serve``, without exports, which it has not.
- Photographs are turned and cropped copies of scikit-image's astronaut; ``--fakes`` paints faces instead, and measures all but the networks.
- Users are drawn from few ids, so that requests meet: that a user is gone, or there already, is an answer. All else is an error, and the
  exit status is 1.
- Latencies are kept in classes of 5%, so that the measurement itself does not grow. Memory is the resident set, Linux only: of all
  processes that ask, and of the server.

Examples: ``python benchmarks/soak.py --seconds 3600 --threads 4``, ``python benchmarks/soak.py --seconds 20 --fakes --ways server``.
"""

import argparse
import contextlib
import io
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from _machine import memory_mb, print_machine
from PIL import Image

import facesearch as fs
from facesearch.common.printable import printable
from facesearch.testing.fakes import fake_analyzer, paint

WAYS = ("library", "server")
COLLECTION = "soak"
USERS = [f"user{number:02}" for number in range(30)]
MOST_UNASSOCIATED = 100  # faces; beyond them deleting comes first, so that the collection does not grow for ever
# How often each comes.
MIX = {"search": 60, "index": 8, "enroll": 12, "delete user": 8, "delete faces": 4, "list": 5, "export": 3}
EXPECTED = (fs.UserNotFoundError, fs.UserAlreadyExistsError, fs.QuotaExceededError, fs.FaceNotFoundError)
EXPECTED_CODES = {"ResourceNotFoundException", "ResourceAlreadyExistsException", "ServiceQuotaExceededException"}
CLASS = math.log(1.05)  # of latencies
START_SECONDS = 120


# ---------------------------------------------------------------- what is counted


class Counts:
    """Latencies by operation, and errors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.latencies: dict[str, Counter[int]] = defaultdict(Counter)
        self.errors: Counter[str] = Counter()

    def add(self, name: str, seconds: float, error: str | None) -> None:
        """Count one operation."""
        with self._lock:
            self.latencies[name][round(math.log(max(seconds * 1000, 0.01)) / CLASS)] += 1
            if error is not None:
                self.errors[f"{name}: {error}"] += 1

    def merge(self, told: dict[str, Any]) -> None:
        """Add what another process counted."""
        for name, classes in told["latencies"].items():
            self.latencies[name].update({int(each): count for each, count in classes.items()})
        self.errors.update(told["errors"])

    def to_dict(self) -> dict[str, Any]:
        """Return all as JSON takes it."""
        with self._lock:
            return {
                "latencies": {name: dict(each) for name, each in self.latencies.items()},
                "errors": dict(self.errors),
            }


def percentile(classes: Counter[int], share: float) -> float:
    """Return the latency, in milliseconds, below which that share of operations took, 0-1."""
    left = share * classes.total()
    for each in sorted(classes):
        left -= classes[each]
        if left <= 0:
            return math.exp(each * CLASS)
    return math.nan


# ---------------------------------------------------------------- a process that asks


def photographs(*, fakes: bool) -> list[bytes]:
    """Return encoded photographs of some people."""
    if fakes:
        colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (150, 150, 20), (20, 150, 150), (150, 20, 150)]
        images = [
            Image.fromarray(paint((110, 130), {(15, 15, 15 + size, 15 + size): colour}))
            for colour in colours
            for size in (60, 66, 72)
        ]
    else:
        from skimage.data import astronaut

        photo = Image.fromarray(astronaut())  # type: ignore[no-untyped-call]  # scikit-image has none
        images = [photo.rotate(angle).crop((96, 0, 352 + 8 * angle, 256 + 8 * angle)) for angle in range(8)]
    return [encoded(image) for image in images]


def encoded(image: Image.Image) -> bytes:
    """Encode an image without loss."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


Step = Callable[[random.Random, bytes], object]


def library_steps(collection: fs.Collection, folder: Path) -> dict[str, Step]:
    """Return what is done to a collection."""

    def delete_faces(draw: random.Random, _: bytes) -> object:
        free = [face.face_id for face in collection.faces() if face.user_id is None]
        chosen = draw.sample(free, min(len(free), 5 + max(len(free) - MOST_UNASSOCIATED, 0)))
        return collection.delete_faces(chosen) if chosen else None

    def export(draw: random.Random, _: bytes) -> object:
        path = folder / f"export{os.getpid()}-{draw.getrandbits(60)}.npz"
        collection.save(path)
        path.unlink()
        return path

    return {
        "search": lambda _, photo: fs.search_users_by_image(collection, photo),
        "index": lambda _, photo: collection.index_faces(photo),
        "enroll": lambda draw, photo: collection.enroll(draw.choice(USERS), [photo]),
        "delete user": lambda draw, _: collection.delete_user(draw.choice(USERS), faces=draw.random() < 0.8),
        "delete faces": delete_faces,
        "list": lambda _, __: (collection.users(), collection.faces()),
        "export": export,
    }


def server_steps(address: str) -> dict[str, Step]:
    """Return what a client asks of a server."""
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=1, retries={"total_max_attempts": 1}, read_timeout=120)
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    asker = boto3.client("rekognition", region_name="us-east-1", endpoint_url=address, config=config, **keys)
    where = {"CollectionId": COLLECTION}

    def index(_: random.Random, photo: bytes) -> list[str]:
        answer = asker.index_faces(**where, Image={"Bytes": photo}, MaxFaces=1)
        return [record["Face"]["FaceId"] for record in answer["FaceRecords"]]

    def enroll(draw: random.Random, photo: bytes) -> object:
        user = {**where, "UserId": draw.choice(USERS)}
        with contextlib.suppress(asker.exceptions.ConflictException):  # the user is there
            asker.create_user(**user)
        face_ids = index(draw, photo)
        return asker.associate_faces(**user, FaceIds=face_ids) if face_ids else None

    def delete_faces(draw: random.Random, _: bytes) -> object:
        faces = asker.list_faces(**where, MaxResults=1000)["Faces"]
        free = [face["FaceId"] for face in faces if "UserId" not in face]
        chosen = draw.sample(free, min(len(free), 5 + max(len(free) - MOST_UNASSOCIATED, 0)))
        return asker.delete_faces(**where, FaceIds=chosen) if chosen else None

    return {
        "search": lambda _, photo: asker.search_users_by_image(**where, Image={"Bytes": photo}),
        "index": index,
        "enroll": enroll,
        "delete user": lambda draw, _: asker.delete_user(**where, UserId=draw.choice(USERS)),
        "delete faces": delete_faces,
        "list": lambda _, __: (asker.list_users(**where), asker.list_faces(**where)),
    }


def outcome(step: Step, draw: random.Random, photo: bytes) -> str | None:
    """Do a step; what was wrong, if anything."""
    try:
        step(draw, photo)
    except EXPECTED:
        return None
    except Exception as error:  # noqa: BLE001  # to be counted
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        return None if code in EXPECTED_CODES else printable(f"{type(error).__name__}: {error}")[:200]
    return None


def traffic(steps: dict[str, Step], photos: Sequence[bytes], seed: str, end: float, counts: Counts) -> None:
    """Do steps, drawn from a seed, until the time is over."""
    draw = random.Random(seed)  # noqa: S311  # the same mix on every run
    names = [*steps]
    while time.monotonic() < end:
        (name,) = draw.choices(names, [MIX[each] for each in names])
        start = time.perf_counter()
        error = outcome(steps[name], draw, draw.choice(photos))
        counts.add(name, time.perf_counter() - start, error)


def work(asked: argparse.Namespace) -> None:
    """Run the threads of one process; print its memory now and then, and at the end what it counted."""
    photos, counts, folder = photographs(fakes=asked.fakes), Counts(), Path(asked.folder)
    with contextlib.ExitStack() as stack:
        if asked.work == "library":
            analyzer = fake_analyzer() if asked.fakes else fs.FaceAnalyzer()
            collection = stack.enter_context(fs.Collection.open(folder / "people.db", COLLECTION, analyzer=analyzer))
            shared = library_steps(collection, folder)
        print(json.dumps({"ready": True}), flush=True)
        end = time.monotonic() + asked.seconds
        threads = []
        for number in range(asked.threads):
            steps = shared if asked.work == "library" else server_steps(asked.address)
            arguments = (steps, photos, f"{asked.seed} {number}", end, counts)
            threads.append(threading.Thread(target=traffic, args=arguments))
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            print(json.dumps({"memory": memory_mb()}), flush=True)
            threads[0].join(1)
        for thread in threads:
            thread.join()
    print(json.dumps(counts.to_dict()), flush=True)


# ---------------------------------------------------------------- the process that counts


class Asker:
    """A process that asks, and what it said last."""

    def __init__(self, way: str, number: int, asked: argparse.Namespace, folder: Path, address: str) -> None:
        command = [sys.executable, __file__, "--work", way, "--folder", str(folder), "--address", address]
        command += [
            "--seconds",
            str(asked.seconds),
            "--threads",
            str(asked.threads),
            "--seed",
            f"{asked.seed} {number}",
        ]
        command += ["--fakes"] if asked.fakes else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")  # noqa: S603  # this file
        self.memory = 0.0
        self.counted: dict[str, Any] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101  # for mypy
        for line in self.process.stdout:
            told = json.loads(line)
            self.memory = told.get("memory", self.memory)
            self.counted = told if "latencies" in told else None

    def finish(self) -> int:
        """Wait for it; return the exit status."""
        status = self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


@contextlib.contextmanager
def server(folder: Path, *, fakes: bool) -> "Iterator[tuple[str, subprocess.Popen[str]]]":
    """Serve a file in a process of its own; gives the address."""
    db = str(folder / "people.db")
    own = [__file__, "--serve", "--folder", str(folder)]
    command = [sys.executable, *(own if fakes else ["-m", "facesearch", "serve", "--db", db, "--port", "0"])]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, encoding="utf-8")  # noqa: S603  # this very library
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://[\d.]+:\d+", line)
            if found is None:
                raise SystemExit(f"the server did not start: {line!r}")
            yield found[0], process
        finally:
            process.terminate()
            process.wait(START_SECONDS)
            if process.stdout is not None:
                process.stdout.close()


def serve_fakes(folder: Path) -> None:
    """Serve painted faces."""
    from facesearch.rekognition import Rekognition
    from facesearch.rekognition.http.server import serve

    with Rekognition(folder / "people.db", analyzer=fake_analyzer()) as service:
        serve(service, port=0, ready=lambda url: print(url, flush=True))


def soak(way: str, asked: argparse.Namespace) -> bool:
    """Run one way; print what came of it; tell whether all went well."""
    print(f"\n{way}: {asked.processes} processes, {asked.threads} threads each, {asked.seconds:g} s")
    counts, memories, lost = Counts(), [], []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, address, watched = Path(name), "", None
        analyzer = fake_analyzer() if asked.fakes else fs.FaceAnalyzer()
        fs.Collection.open(folder / "people.db", COLLECTION, analyzer=analyzer).close()
        if way == "server":
            address, watched = stack.enter_context(server(folder, fakes=asked.fakes))
        askers = [Asker(way, number, asked, folder, address) for number in range(asked.processes)]
        start = time.monotonic()
        print(f"{'seconds':>8}{'askers MiB':>12}{'server MiB':>12}{'file MiB':>10}")
        while any(asker.process.poll() is None for asker in askers):
            time.sleep(min(asked.every, asked.seconds / 4))
            if watched is not None and watched.poll() is not None:
                lost.append(f"the server ended with {watched.poll()}")
                break
            size = sum(path.stat().st_size for path in folder.glob("people.db*")) / 2**20
            mine, theirs = sum(asker.memory for asker in askers), memory_of(watched.pid) if watched else math.nan
            memories.append(mine if watched is None else theirs)
            print(f"{time.monotonic() - start:>8.0f}{mine:>12.0f}{theirs:>12.0f}{size:>10.1f}", flush=True)
        for asker in askers:
            status = asker.finish()
            if status or asker.counted is None:
                lost.append(f"a process that asked ended with {status}")
            else:
                counts.merge(asker.counted)
        taken = time.monotonic() - start
    _print_counts(counts, taken)
    steady = [each for each in memories[len(memories) // 4 :] if each > 0]
    if len(steady) > 1:
        print(
            f"memory from a quarter on: {steady[0]:.0f} MiB, at the end {steady[-1]:.0f} MiB, at most {max(steady):.0f} MiB"
        )
    for error, count in [*counts.errors.most_common(), *((each, 1) for each in lost)]:
        print(f"ERROR {count}x {error}")
    return not counts.errors and not lost


def _print_counts(counts: Counts, seconds: float) -> None:
    total = sum(classes.total() for classes in counts.latencies.values())
    print(f"\n{'operation':<14}{'count':>9}{'median ms':>11}{'95% ms':>9}{'99% ms':>9}{'most ms':>9}")
    for name in MIX:
        if classes := counts.latencies.get(name):
            times = "".join(
                f"{percentile(classes, share):>{width}.1f}"
                for share, width in ((0.5, 11), (0.95, 9), (0.99, 9), (1, 9))
            )
            print(f"{name:<14}{classes.total():>9,}{times}")
    print(f"{total:,} operations, {total / seconds:.1f} a second, {counts.errors.total():,} errors")


def memory_of(pid: int) -> float:
    """Return the resident set of a process, MiB; not a number where it can't be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return math.nan
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    """Run all ways, one after the other."""
    parser = argparse.ArgumentParser(description="Mixed traffic on library and server for as long as asked.")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seconds", type=float, default=60, help="of each way")
    parser.add_argument("--threads", type=int, default=2, help="of each process")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--every", type=float, default=10, help="seconds between two lines")
    parser.add_argument("--fakes", action="store_true", help="painted faces: all but the networks")
    parser.add_argument("--seed", default="0")
    for hidden in ("--folder", "--address"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    parser.add_argument("--work", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work(asked)
        return 0
    if asked.serve:
        serve_fakes(Path(asked.folder))
        return 0
    print_machine()
    went_well = [soak(way, asked) for way in asked.ways]
    return 0 if all(went_well) else 1


if __name__ == "__main__":
    sys.exit(main())
