"""SearchUsersByImage over HTTP: requests a second, latency, overhead over the direct call, memory.

Protocol
--------
- A file of USERS made-up users and one real one; the photograph is scikit-image's astronaut, 512x512, as a JPEG of some 60 kB.
- ``facesearch serve`` runs in a process of its own; stock boto3 clients ask it, one a thread, in this process. Two cores do the work of both.
- Overhead: one client over HTTP, a boto3 client in-process, `Rekognition.call` and `facesearch.search_users_by_image`, taken in turns; medians.
- Throughput: CLIENTS clients ask without a pause. Memory is the server's resident set.
"""

import argparse
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from _machine import print_machine
from botocore.config import Config
from PIL import Image
from skimage.data import astronaut

import facesearch as fs
from facesearch.rekognition import Rekognition, client

USERS = 10_000
CLIENTS = (1, 4, 16)
PER_RUN = 160
TURNS = 60


def make_file(path: Path, jpeg: bytes) -> None:
    """Make a file of users who are nobody, and one who is on the photo."""
    vectors = np.random.default_rng(0).normal(size=(USERS, 128)).astype(np.float32) * 0.12
    with fs.Collection.open(path, "crowd") as collection:
        collection.add_embeddings([f"user{number:05}" for number in range(USERS)], vectors)
        collection.enroll("eileen", [jpeg])


def remote(address: str) -> Callable[[bytes], str]:
    """Return the client that asks over HTTP."""
    config = Config(max_pool_connections=1, retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    asker = boto3.client("rekognition", region_name="us-east-1", endpoint_url=address, config=config, **keys)
    return lambda jpeg: first(asker.search_users_by_image(CollectionId="crowd", Image={"Bytes": jpeg}))


def first(answer: Mapping[str, Any]) -> str:
    """Return who was found first."""
    return str(answer["UserMatches"][0]["User"]["UserId"])


def memory_of(pid: int) -> float:
    """Return the resident set of a process, MiB (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def timed(ask: Callable[[bytes], str], jpeg: bytes) -> float:
    """Ask once; milliseconds."""
    start = time.perf_counter()
    if ask(jpeg) != "eileen":
        raise SystemExit("somebody else was found: no figure would mean anything")
    return (time.perf_counter() - start) * 1000


def overhead(address: str, path: Path, jpeg: bytes) -> None:
    """Compare the ways in, in turns."""
    with Rekognition(path) as own, fs.Collection.open(path, "crowd") as collection:
        inside = client(service=own)
        request = {"CollectionId": "crowd", "Image": {"Bytes": jpeg}}
        ways: dict[str, Callable[[bytes], str]] = {
            "search_users_by_image": lambda data: first(fs.to_aws(fs.search_users_by_image(collection, data))),
            "Rekognition.call": lambda _: first(own.call("SearchUsersByImage", request)),
            "boto3 in-process": lambda data: first(
                inside.search_users_by_image(CollectionId="crowd", Image={"Bytes": data})
            ),
            "boto3 over HTTP": remote(address),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(TURNS + 3):
            for name, ask in ways.items():
                taken = timed(ask, jpeg)
                if turn >= 3:
                    times[name].append(taken)
    direct = statistics.median(times["search_users_by_image"])
    print(f"\n{'one after the other':<24}{'median ms':>10}{'over the direct call':>22}")
    for name, taken_ms in times.items():
        median = statistics.median(taken_ms)
        print(f"{name:<24}{median:10.1f}{100 * (median / direct - 1):21.1f}%")


def throughput(address: str, pid: int, jpeg: bytes, clients: int) -> None:
    """Ask with several clients at once."""
    askers = [remote(address) for _ in range(clients)]
    for ask in askers:
        ask(jpeg)
    times: list[float] = []

    def run(ask: Callable[[bytes], str]) -> None:
        times.extend(timed(ask, jpeg) for _ in range(PER_RUN // clients))

    threads = [threading.Thread(target=run, args=(ask,)) for ask in askers]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    worst = statistics.quantiles(times, n=100, method="inclusive")[94]
    print(
        f"{clients:>7}{len(times) / seconds:12.1f}{statistics.median(times):12.0f}{worst:12.0f}{memory_of(pid):14.0f}"
    )


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description="SearchUsersByImage over HTTP.")
    parser.add_argument("--requests", type=int, default=1000, help="of the memory test")
    asked = parser.parse_args()
    print_machine()
    file = io.BytesIO()
    photo = astronaut()  # type: ignore[no-untyped-call]  # scikit-image has none
    Image.fromarray(photo).save(file, "JPEG", quality=90)
    jpeg = file.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.db"
        make_file(path, jpeg)
        command = [sys.executable, "-m", "facesearch", "serve", "--db", str(path), "--port", "0"]
        with subprocess.Popen(  # noqa: S603  # this very library
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            address = re.findall(r"http://[\d.]+:\d+", server.stdout.readline() if server.stdout else "")[0]
            try:
                overhead(address, path, jpeg)
                print(f"\n{'clients':>7}{'requests/s':>12}{'median ms':>12}{'95% ms':>12}{'server MiB':>14}")
                for clients in CLIENTS:
                    throughput(address, server.pid, jpeg, clients)
                before, ask = memory_of(server.pid), remote(address)
                for _ in range(asked.requests):
                    ask(jpeg)
                after = memory_of(server.pid)
                print(f"\n{asked.requests:,} requests more: {before:.0f} MiB before, {after:.0f} MiB after")
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
