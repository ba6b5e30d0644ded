"""Measure the cost of indexing a folder: photos per second by executor, memory, bytes sent to processes, and a second run.

Protocol
--------
The photos of `people/` and the first of `cacd_vs/`, PHOTOS in all, go into a new collection in a file, as a CSV file says: a user
for each person of `people/`, and for each pair of `cacd_vs/`. Each way of looking runs in a process of its own, so that
memory is its own, and all ways have their turn ROUNDS times, since other work on the machine comes and goes. Time is from the
call to its report, after an analyzer was loaded, and of a process pool after its workers were. Memory is what the process
held after a tenth of the photos and at the end, and its workers' peak.
"""

import argparse
import csv
import multiprocessing
import pickle
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from _machine import data_folder, print_machine

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer, default_analyzer
from facesearch.enrolment.candidates import analyze_to_enroll
from facesearch.images.reading import read_image
from facesearch.responses.folder import FolderProgress

PHOTOS = 600
ROUNDS = 3
WAYS = {
    "one": "one thread",
    "threads": "a thread for each core, the default",
    "processes": "two processes",
    "bytes": "two processes, sent the photos' bytes",
}


def resident_mb() -> float:
    """Return the memory held by this process, in MiB; Linux only."""
    status = Path("/proc/self/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else float("nan")


def any_photo() -> Path:
    """Return a photo with one face."""
    return min(data_folder("people").rglob("*.jpg"))


def write_list(file: Path, photos: int) -> None:
    """Write down which photos are whose."""
    people = sorted(data_folder("people").rglob("*.jpg"))
    pairs = sorted(data_folder("cacd_vs").glob("*.jpg"))
    owned = [(photo, photo.parent.name) for photo in people] + [
        (photo, f"pair-{photo.stem.split('_')[0]}") for photo in pairs
    ]
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["photo", "user_id"])
        rows.writerows(owned[:photos])


@contextmanager
def executor_of(way: str) -> Iterator[Executor | None]:
    """Return the worker that analyses photos, with its networks loaded."""
    if way == "threads":
        yield None
    elif way == "one":
        with ThreadPoolExecutor(1) as threads:
            yield threads
    else:
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "list.csv")
                write_list(file, 8)
                fs.Collection("warm").index_folder(file, progress=False, executor=processes)
            yield processes


def measure(way: str, file: Path) -> None:
    """Index the photos that a file lists, and print a row."""
    default_analyzer().analyze(any_photo())
    seen: list[float] = []

    def show_progress(now: FolderProgress) -> None:
        if now.done in {now.total // 10, now.total}:
            seen.append(resident_mb())

    with (
        tempfile.TemporaryDirectory() as folder,
        executor_of(way) as executor,
        fs.Collection.open(Path(folder, "people.db"), "people") as collection,
    ):
        start, busy = time.perf_counter(), time.process_time()
        report = collection.index_folder(file, executor=executor, send_photos=way == "bytes", progress=show_progress)
        took, busy = time.perf_counter() - start, time.process_time() - busy
        start = time.perf_counter()
        again = collection.index_folder(file, progress=False)
        second = time.perf_counter() - start
    if again.known != report.photos:
        raise SystemExit("photos were not known again")
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{WAYS[way]:<40}{report.photos / took:8.1f}{busy / took:8.2f}{seen[0]:8.0f}{seen[-1]:8.0f}{workers:9.0f}"
        f"{again.photos / second:12,.0f}    {report.accepted} accepted, {len(report.refused)} refused",
        flush=True,
    )


def main() -> None:
    """Measure each way of looking in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=int, default=PHOTOS)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--list", type=Path)
    options = parser.parse_args()
    if options.way:
        measure(options.way, options.list)
        return
    print_machine()
    analyzer = FaceAnalyzer()
    analysis = analyze_to_enroll(analyzer, read_image(any_photo()), fs.QualityFilter.AUTO, thumbnails=False)
    print(
        f"a photo sends its path and {len(pickle.dumps(analyzer))} bytes of settings, and gets {len(pickle.dumps(analysis))} back\n"
    )
    print(f"{'':<40}{'photos':>8}{'cores':>8}{'MiB at':>8}{'MiB at':>8}{'a worker':>9}{'known':>12}")
    print(f"{'who looks':<40}{'a s':>8}{'busy':>8}{'a tenth':>8}{'the end':>8}{'at most':>9}{'a s':>12}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "list.csv")
        write_list(file, options.photos)
        for way in [*WAYS] * ROUNDS:
            command = [sys.executable, __file__, "--way", way, "--list", str(file)]
            subprocess.run(command, check=True)  # noqa: S603  # ourselves


if __name__ == "__main__":
    main()
