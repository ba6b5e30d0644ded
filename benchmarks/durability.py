"""Collections in a file, killed at random moments, and what is left in the file of people who were deleted.

Protocol
--------
- Killing: two processes write to two collections of one file, operations of all kinds drawn from a seed; each tells through a
  pipe what has returned. Both are killed (SIGKILL) after a random number of operations and a random fraction of the next,
  or while they open the file; every tenth trial begins with no file. Then the file must hold what was acknowledged and
  nothing else, but for the one operation that was under way, which must be there whole or not at all; SQLite's own checks must
  pass, the counts must be right, and nothing must be marked as still to be erased. The next trial goes on from there. Both collections are compared, in all there is to
  see of them, with collections in memory that were told the same.
- Erasing: users with random ids, vectors and pictures are added and deleted at random, then the bytes of the file and of its log are searched for
  pieces of those that were deleted. The same is done with the plain tables that one would write first, in SQLite with
  ``secure_delete`` and a checkpoint: rows that SQLite moved to another page leave copies.
"""

import argparse
import contextlib
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _machine import print_machine

import facesearch as fs
from facesearch.domain.entities import Face
from facesearch.storage.catalog import is_erased
from facesearch.storage.store import StoredFace

USERS = [f"user{number}" for number in range(12)]
NAMES = ("one", "two")
FRESH = 10  # trials with one file
PIECE = 24  # bytes: what is searched for


def operation(seed: str, number: int, collection: fs.Collection) -> Callable[[], object]:
    """Draw an operation; the same one for the same number and the same contents."""
    draw = random.Random(f"{seed} {number}")  # noqa: S311  # the same on every run
    user, kind = draw.choice(USERS), draw.random()
    many = draw.choice([1, 1, 2, 60])
    vectors = np.random.default_rng([number, len(seed)]).normal(size=(many, 128)) * 0.08
    faces = [face.face_id for face in collection.faces()]
    some = draw.sample(faces, min(len(faces), 3))
    if kind < 0.4 or not faces:
        names = [user, *draw.choices([f"{user}-{extra}" for extra in range(30)], k=many - 1)]
        return lambda: collection.add_embeddings(names, vectors)
    if kind < 0.5:
        return lambda: collection.create_user(user)
    if kind < 0.7:
        chosen = draw.choice([each.user_id for each in collection.users()] or USERS)
        return lambda: collection.delete_user(chosen, faces=draw.random() < 0.7)
    if kind < 0.8:
        options = {} if kind < 0.75 else {"user_match_threshold": 0}
        change = collection.associate_faces if options else collection.disassociate_faces
        return lambda: change(user, some, **options)
    if kind < 0.85:
        return lambda: collection.delete_faces(some)
    return correction(draw, collection, user, some)


def correction(draw: random.Random, collection: fs.Collection, user: str, faces: list[str]) -> Callable[[], object]:
    """Draw a change by a reviewer."""
    other, kind = draw.choice([each.user_id for each in collection.users()] or USERS), draw.random()
    if kind < 0.2:
        return lambda: collection.name_group(faces, user)
    if kind < 0.4:
        return lambda: collection.set_aside(faces, aside=draw.random() < 0.8)
    if kind < 0.5:
        return lambda: collection.merge_users(user, other)
    if kind < 0.6:
        return lambda: collection.rename_user(other, user)
    if kind < 0.8:
        return lambda: collection.move_face(faces[0], draw.choice([None, user, other]))
    return collection.undo


def apply(seed: str, number: int, collection: fs.Collection) -> None:
    """Do an operation; that it can't be done, because there is no such user, is an answer too."""
    call = operation(seed, number, collection)
    with contextlib.suppress(*_ANSWERS):
        call()


_ANSWERS = (
    fs.UserNotFoundError,
    fs.UserAlreadyExistsError,
    fs.QuotaExceededError,
    fs.GroupChangedError,
    fs.InvalidParameterError,  # a user merged into itself, a face moved to where it is
    fs.NothingToUndoError,
    fs.UndoConflictError,
)


def contents(collection: fs.Collection) -> Any:
    """Return the whole visible content of a collection."""
    users, faces = collection.users(), collection.faces()
    vectors = [collection.user_embedding(user.user_id) for user in users]
    store = collection._store  # noqa: SLF001  # what no answer shows by itself
    with store.reading():
        aside, changes = store.aside(), [text for _, text in store.changes()]
    return (
        aside,
        changes,
        users,
        faces,
        [None if vector is None else vector.tobytes() for vector in vectors],
        [collection.face_embedding(face.face_id).tobytes() for face in faces],
        repr(collection),
        collection.search_embedding(np.full(128, 0.01), user_match_threshold=0),
    )


class Writer:
    """One collection of the file: the process that writes it, and what it must hold."""

    def __init__(self, seed: str, name: str) -> None:
        self.seed, self.name = f"{seed} {name}", name
        self.model = fs.Collection(name)
        self.done = 0  # operations that the model has

    def start(self, path: Path | str) -> None:
        """Begin to write where the last process ended."""
        self.pipe, theirs = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                collection = self.open(path)
                for number in range(self.done, self.done + 1_000_000):
                    self.apply(number, collection)
                    os.write(theirs, b".")
            except BaseException as error:  # noqa: BLE001  # whatever it is, this process ends here
                print(f"a writer ends: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)  # only after an error: it writes until it is killed
        os.close(theirs)

    def open(self, path: Path | str) -> fs.Collection:
        """Open the collection, as the process begins."""
        return fs.Collection.open(path, self.name)

    def apply(self, number: int, collection: fs.Collection) -> None:
        """Do an operation."""
        apply(self.seed, number, collection)

    def wait_for(self, operations: int) -> None:
        """Wait until so many more operations have returned."""
        self.acknowledged = 0
        while self.acknowledged < operations and (told := os.read(self.pipe, operations - self.acknowledged)):
            self.acknowledged += len(told)

    def kill(self) -> bool:
        """Kill the process, and count what it had told; give whether it was still at work."""
        os.kill(self.process, signal.SIGKILL)
        _, self.status = os.waitpid(self.process, 0)
        while told := os.read(self.pipe, 65536):
            self.acknowledged += len(told)
        os.close(self.pipe)
        return os.WIFSIGNALED(self.status)

    def check(self, path: Path | str) -> str:
        """Compare the file with the model; give what became of the operation that was under way."""
        with fs.Collection.open(path, self.name) as collection:
            self.model._store.set_secret(collection._store.secret())  # noqa: SLF001  # so that ids are the same
            found = contents(collection)
        for _ in range(self.acknowledged):
            apply(self.seed, self.done, self.model)
            self.done += 1
        if found == contents(self.model):
            return "not there"
        apply(self.seed, self.done, self.model)
        self.done += 1
        return "there" if found == contents(self.model) else "LOST OR HALF DONE"


def faults(path: Path) -> list[str]:
    """Ask SQLite what it thinks of the file, and count by other means than the library."""
    with contextlib.closing(sqlite3.connect(path)) as sql:
        found = [text for (text,) in sql.execute("PRAGMA integrity_check") if text != "ok"]
        found += [f"foreign key {row}" for row in sql.execute("PRAGMA foreign_key_check")]
        for number, users, faces in sql.execute("SELECT id, users, faces FROM collections").fetchall():
            for table, count in (("users", users), ("faces", faces)):
                (real,) = sql.execute(f"SELECT count(*) FROM {table} WHERE collection = ?", (number,)).fetchone()  # noqa: S608  # names of ours
                if real != count:
                    found.append(f"collection {number}: {real} {table}, counted {count}")
        wrong = "SELECT uid FROM users WHERE faces != (SELECT count(*) FROM faces WHERE faces.uid = users.uid)"
        found += [f"user {uid}: wrong number of faces" for (uid,) in sql.execute(wrong)]
    return found


def kill_at_random(trials: int, seed: str, folder: Path) -> Counter[str]:
    """Run trials; give how often what came out."""
    draw = random.Random(seed)  # noqa: S311  # the same on every run
    counts: Counter[str] = Counter()
    for trial in range(trials):
        if trial % FRESH == 0:
            path = folder / f"{trial}.db"
            writers = [Writer(f"{seed} {trial}", name) for name in NAMES]
        for writer in writers:
            writer.start(path)
        operations = draw.choice([0, 0, 1, 2, 3, 5, 10])
        for writer in writers:
            writer.wait_for(operations)
        time.sleep(draw.random() * 0.02)
        killed = [writer.kill() for writer in writers]
        counts["killed"] += sum(killed)
        counts["died of an error"] += len(killed) - sum(killed)
        for writer in writers:
            counts["acknowledged"] += writer.acknowledged
            counts[f"under way: {writer.check(path)}"] += 1
        counts["faults in the file"] += len(faults(path))
        counts["not erased when opened again"] += not is_erased(path)
    return counts


def churn(seed: int, adds: int, change: Callable[[str, bytes, bytes, bytes], Callable[[], None]]) -> Iterator[bytes]:
    """Add and delete people at random, and give pieces of those that were deleted.

    *change* adds one, of an id, two vectors and a picture, and gives what deletes it.
    """
    draw = random.Random(seed)  # noqa: S311  # the same on every run
    there: list[tuple[tuple[bytes, ...], Callable[[], None]]] = []
    for _ in range(adds):
        vector = np.random.default_rng(draw.getrandbits(32)).normal(size=(2, 128)).astype("<f4")
        user_id = f"person-{draw.getrandbits(80):020x}" + "x" * draw.randrange(60)
        one, other, picture = vector[0].tobytes(), vector[1].tobytes(), draw.randbytes(draw.choice([0, 3000, 5000]))
        pieces = (user_id.encode(), one, other, *([picture] if picture else []))
        there.append((pieces, change(user_id, one, other, picture)))
        while there and draw.random() < 0.45:
            gone, delete = there.pop(draw.randrange(len(there)))
            delete()
            for piece in gone:
                yield from (piece[start : start + PIECE] for start in range(0, len(piece) - PIECE + 1, 97))


def residue(path: Path, pieces: Iterator[bytes]) -> tuple[int, int]:
    """Count pieces, and those that are still in the file, its log or its index."""
    sought = set(pieces)
    files = (path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm"))
    raw = b"".join(file.read_bytes() for file in files if file.exists())
    return len(sought), len(sought & {raw[start : start + PIECE] for start in range(len(raw) - PIECE + 1)})


def erase_ours(seed: int, adds: int, path: Path) -> tuple[int, int]:
    """Delete users and their faces from a collection, which stays open."""
    collection = fs.Collection.open(path, "people", thumbnails=True)
    store = collection._store  # noqa: SLF001  # pictures without photographs

    def change(user_id: str, one: bytes, other: bytes, picture: bytes) -> Callable[[], None]:
        with store.writing():
            store.create_users([user_id])
            for vector in (one, other):
                digits = random.Random(vector).getrandbits(128)  # noqa: S311  # the same on every run
                face_id = str(uuid.UUID(int=digits))
                face = Face(face_id=face_id, user_id=user_id)
                store.put_faces([StoredFace(face, np.frombuffer(vector, "<f4"), picture or None)])
            store.refresh([user_id])
        return lambda: collection.delete_user(user_id, faces=True)

    found = residue(path, churn(seed, adds, change))
    collection.close()
    return found


def erase_plain(seed: int, adds: int, path: Path) -> tuple[int, int]:
    """Do the same with tables as one would write them first."""
    sql = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA secure_delete = ON",
        "CREATE TABLE users (uid INTEGER PRIMARY KEY, user_id TEXT UNIQUE, vector BLOB)",
        "CREATE TABLE faces (face_id BLOB PRIMARY KEY, uid INTEGER, vector BLOB, picture BLOB)",
        "CREATE INDEX faces_by_user ON faces (uid)",
    ):
        sql.execute(statement)

    def change(user_id: str, one: bytes, other: bytes, picture: bytes) -> Callable[[], None]:
        uid = sql.execute("INSERT INTO users (user_id, vector) VALUES (?, ?)", (user_id, one)).lastrowid
        for vector in (one, other):
            sql.execute("INSERT INTO faces VALUES (?, ?, ?, ?)", (vector[:16], uid, vector, picture))

        def delete() -> None:
            sql.execute("DELETE FROM faces WHERE uid = ?", (uid,))
            sql.execute("DELETE FROM users WHERE uid = ?", (uid,))

        return delete

    pieces = list(churn(seed, adds, change))
    sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found = residue(path, iter(pieces))
    sql.close()
    return found


def main() -> int:
    """Measure; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="how often to kill (200)")
    parser.add_argument("--people", type=int, default=2000, help="how many to add, and nearly as many to delete (2000)")
    parser.add_argument("--seed", type=int, default=0, help="(0)")
    parser.add_argument("--folder", help="where to write; one in memory is quick, and no less of a trial for killing")
    parser.add_argument("--quiet", action="store_true", help="don't describe the machine")
    options = parser.parse_args()
    if not options.quiet:
        print_machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        start = time.perf_counter()
        counts = kill_at_random(options.trials, str(options.seed), folder)
        print(f"{options.trials} trials, {time.perf_counter() - start:.0f} s")
        for what in sorted(counts):
            print(f"{counts[what]:8,}  {what}")
        print()
        ours = erase_ours(options.seed, options.people, folder / "ours.db")
        plain = erase_plain(options.seed, options.people, folder / "plain.db")
        for label, (sought, left) in (("collection", ours), ("plain tables", plain)):
            print(f"{label:<14}{left:6,} of {sought:,} pieces of those who were deleted are left")
    broken = (
        counts["under way: LOST OR HALF DONE"]
        + counts["faults in the file"]
        + counts["died of an error"]
        + counts["not erased when opened again"]
        + ours[1]
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
