"""Measure a Dask cluster that indexes a folder: photos a second with one and two workers, and what killed workers lose.

Protocol
--------
The photos of `benchmarks/bulk.py`, PHOTOS in all, go into a new collection in a file. Ways: the default, a thread for each core; a
cluster of one and of two worker processes with one thread each, on the same machine, which get the photos' bytes; and two workers that
read the files. All ways take turns, ROUNDS times in one process, since other work on the machine comes and goes; the best round of each
counts. The clusters stay up, and have loaded their networks before; scheduler and workers are processes of their own. Processor times are those
of the best round, idle seconds included. All collections must be equal, by a SHA-256 over users, faces and vectors.

``--kills N``: a worker is killed by SIGKILL, again and again, N times in all, while folders are indexed on two workers. A photo is lost if
its face is missing in the collection, and duplicated if the collection has more faces or users than that of a serial run. Dask gives up a photo
that was in progress on 4 killed workers; here it may be on N, since a busy machine may take longer to start a worker than to the next kill.
"""

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dask
import numpy as np
from _machine import print_machine
from bulk import write_list
from distributed import Client, LocalCluster, Worker
from distributed.deploy.subprocess import SubprocessCluster

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.arrays import FloatArray
from facesearch.responses.folder import FolderReport

PHOTOS = 600
ROUNDS = 3
KILL_EVERY = 10.0  # seconds: a worker needs some to load the networks, and would never finish a photo otherwise
ONE_CORE = FaceAnalyzer(threads=1)  # as in the workers


def start_cluster(start: Any, workers: int, stack: ExitStack, **options: Any) -> Any:
    """Return a client of a cluster of worker processes with a thread each."""
    connect: Any = Client  # distributed annotates some of its methods only
    cluster = stack.enter_context(start(n_workers=workers, threads_per_worker=1, **options))
    client = connect(cluster, set_as_default=False)
    client.wait_for_workers(workers)
    return stack.enter_context(client)


def index(file: Path, executor: Executor | None, *, send_photos: bool | None = None) -> tuple[FolderReport, float, str]:
    """Index the photos that a file lists into a new collection; return the report, the seconds, and the collection's digest."""
    with (
        tempfile.TemporaryDirectory() as folder,
        fs.Collection.open(Path(folder, "people.db"), "people", analyzer=ONE_CORE) as collection,
    ):
        start = time.perf_counter()
        report = collection.index_folder(file, executor=executor, send_photos=send_photos, progress=False)
        seconds = time.perf_counter() - start
        return report, seconds, digest_of(collection)


def digest_of(collection: fs.Collection) -> str:
    """Return the SHA-256 of users, faces and vectors, without the ids, which each collection draws anew."""
    content = hashlib.sha256()
    for user in collection.users():
        content.update(user.user_id.encode())
        faces = sorted(collection.faces(user.user_id), key=lambda face: face.source or "")
        for face in faces:
            content.update(f"{face.source} {face.bounding_box} {face.confidence}".encode())
            content.update(collection.face_embedding(face.face_id).tobytes())
    content.update(str(len(collection.faces())).encode())
    return content.hexdigest()


def processor_times(client: Any) -> FloatArray:
    """Return the processor times, in seconds, of this process, of a cluster's scheduler, and of its workers together."""
    scheduler = client.run_on_scheduler(time.process_time) if client else 0.0
    workers = sum(client.run(time.process_time).values()) if client else 0.0
    return np.array([time.process_time(), scheduler, workers], np.float32)


def measure_ways(file: Path, few: Path, rounds: int) -> None:
    """Print the photos per second of each way, and compare the collections."""
    with ExitStack() as stack:
        one, two = (start_cluster(SubprocessCluster, workers, stack) for workers in (1, 2))
        ways: dict[str, tuple[Any, bool | None]] = {
            "a thread for each core, the default": (None, None),
            "cluster, one worker, sent the bytes": (one, True),
            "cluster, two workers, sent the bytes": (two, True),
            "cluster, two workers that read the files": (two, False),
        }
        for client, send in ways.values():
            index(few, client and client.get_executor(), send_photos=send)  # loads the networks
        best: dict[str, tuple[float, list[float]]] = {}
        found = set()
        for round_ in range(rounds):
            for name, (client, send) in ways.items():
                before = processor_times(client)
                report, seconds, digest = index(file, client and client.get_executor(), send_photos=send)
                busy = (processor_times(client) - before) / report.photos * 1000
                found.add((digest, report.accepted, len(report.refused), len(report.broken)))
                figures = report.photos / seconds, busy.tolist()
                print(f"round {round_}, {name}: {figures}", file=sys.stderr, flush=True)
                best[name] = max(best.get(name, figures), figures)
    first = next(iter(best.values()))[0]
    print(f"{'':<44}{'photos':>8}{'':>8}{'ms of a core for a photo':>36}")
    print(f"{'who analyzes':<44}{'a second':>8}{'ratio':>8}{'this process':>16}{'scheduler':>10}{'workers':>10}")
    for name, (rate, (here, scheduler, workers)) in best.items():
        print(f"{name:<44}{rate:>8.1f}{rate / first:>8.2f}{here:>16.1f}{scheduler:>10.1f}{workers:>10.1f}")
    print(f"\n{rounds * len(ways)} collections, different ones: {len(found)}")
    for _, accepted, refused, broken in found:
        print(f"{accepted} photos accepted, {refused} refused, {broken} broken")


def process_of(dask_worker: Worker) -> int:  # noqa: ARG001  # Dask passes the worker by this name
    """Return the process id of a worker."""
    return os.getpid()


def measure_kills(file: Path, kills: int, every: float) -> None:
    """Kill workers while photos are indexed, and count what is lost and what is there twice."""
    serial, _, expected = index(file, None)
    killed = runs = lost = more = different = 0
    with ExitStack() as stack:
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": kills}))
        client = start_cluster(LocalCluster, 2, stack, dashboard_address=":0")  # with nannies, which restart workers
        choice = random.Random(0)  # noqa: S311  # which worker dies, no secret
        while killed < kills:
            done = threading.Event()

            def kill(done: threading.Event = done) -> None:
                nonlocal killed
                while killed < kills and not done.wait(every):
                    client.cluster.scale(2)  # a nanny that fails to start a new worker in time gives up
                    client.wait_for_workers(1)
                    running = list(client.run(process_of).values())
                    os.kill(choice.choice(running), signal.SIGKILL)
                    killed += 1

            killer = threading.Thread(target=kill)
            killer.start()
            try:
                report, _, digest = index(file, client.get_executor())
            finally:
                done.set()
                killer.join()
            runs += 1
            lost += max(serial.accepted - report.accepted, 0)
            more += max(report.accepted - serial.accepted, 0)
            different += (digest, report.users) != (expected, serial.users)
    print(
        f"workers killed: {killed}, in {runs} runs of {serial.photos} photos; photos lost: {lost}, duplicated: {more}; "
        f"collections that differ from the serial one: {different}"
    )


def main() -> None:
    """Print the machine and the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=int, default=PHOTOS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--kills", type=int, default=0, help="kill workers instead, so many times")
    parser.add_argument("--every", type=float, default=KILL_EVERY, help="seconds between two kills, at least")
    options = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "list.csv")
        write_list(file, options.photos)
        if options.kills:
            measure_kills(file, options.kills, options.every)
        else:
            few = Path(folder, "few.csv")
            write_list(few, 8)
            measure_ways(file, few, options.rounds)


if __name__ == "__main__":
    main()
