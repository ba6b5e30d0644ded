"""Feed whatever takes a stranger's bytes with mutated ones, and count what must not happen.

Protocol
--------
- Targets: pictures in every format that is read; random requests to Rekognition in Python, by boto3 in-process and to the server; bytes that
  are nearly HTTP; exports, files of collections and ONNX networks. Faces are painted ones: what finds and embeds them is no target.
- A case is drawn from the seed, the target and its number alone, so ``--seed S --targets T --first N --cases 1`` does it again
  (but for the random keys that files of collections have, which their mutations may hit).
- Each target runs in a process of its own, so that a crash is counted and does not end it, and the next case goes on in a new one. A case
  that takes more than ``--hang`` seconds is a hang, and ends the process too.
- Answered and refused are right. Foreign are exceptions that are none of the library's, warnings of others that come through, answers
  with status 500, crashes and hangs: each is printed with its case, and the exit status is 1.

Examples: ``python benchmarks/fuzz.py --seconds 600``, ``python benchmarks/fuzz.py --targets exports networks --cases 10000 --seed 7``.
"""

import argparse
import contextlib
import json
import os
import queue
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _fuzz_targets import TARGETS, FoundError
from _machine import memory_mb, print_machine

from facesearch.common.printable import printable

KINDS = ("answered", "refused", "foreign", "500", "warning", "crash", "hang")
WRONG = KINDS[2:]
START_SECONDS = 120  # for a process to be ready
_LONGEST = 300  # characters of a finding
SHOWN = 5  # findings printed of each kind


# ---------------------------------------------------------------- the process of a target


def one_case(case: Any, seed: str, target: str, number: int) -> dict[str, Any]:
    """Do a case; what came of it."""
    found: dict[str, Any] = {"number": number}
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found["kind"] = case(random.Random(f"{seed} {target} {number}"))  # noqa: S311  # the same on every run
        except FoundError as error:
            found |= {"kind": "500", "detail": str(error)}
        except Exception as error:  # noqa: BLE001  # to be counted
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            found |= {"kind": "foreign", "detail": f"{type(error).__name__} at {place}: {error}"}
    found["ms"] = (time.perf_counter() - start) * 1000
    # Two kinds of a case: an answer with a warning is still an answer.
    found["warnings"] = sorted({f"{each.category.__name__}: {each.message}" for each in caught})
    return found


def work(target: str, seed: str, first: int, seconds: float, cases: int | None) -> None:
    """Do cases and write a line of JSON about each, after a line that says that it begins."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever libraries print goes elsewhere
    with tempfile.TemporaryDirectory() as folder:
        case = TARGETS[target](Path(folder))
        print(json.dumps({"ready": True}), file=out, flush=True)
        end, number = time.monotonic() + seconds, first
        while time.monotonic() < end and (cases is None or number < first + cases):
            print(json.dumps(one_case(case, seed, target, number)), file=out, flush=True)
            number += 1
        print(json.dumps({"memory": memory_mb(most=True)}), file=out, flush=True)
    os._exit(0)  # the server's thread has no end of its own


# ---------------------------------------------------------------- the process that counts


class Tally:
    """Results of the cases of a target."""

    def __init__(self, target: str) -> None:
        self.target, self.count, self.memory = target, 0, 0.0
        self.kinds: Counter[str] = Counter()
        self.slowest = (0.0, -1)  # milliseconds, number
        self.details: dict[str, Counter[str]] = {kind: Counter() for kind in WRONG}
        self.first: dict[tuple[str, str], int] = {}

    def add(self, found: dict[str, Any]) -> None:
        """Count a case."""
        self.count += 1
        self.slowest = max(self.slowest, (found["ms"], found["number"]))
        self.kinds[found["kind"]] += 1
        if found["kind"] in WRONG:
            self.note(found["kind"], found.get("detail", ""), found["number"])
        for warning in found.get("warnings", ()):
            self.kinds["warning"] += 1
            self.note("warning", warning, found["number"])

    def note(self, kind: str, detail: str, number: int) -> None:
        """Remember a finding, and the first case that it came of."""
        detail = printable(detail)[:_LONGEST]
        self.details[kind][detail] += 1
        self.first.setdefault((kind, detail), number)

    def row(self) -> str:
        """Return the line of the table."""
        counts = "".join(f"{self.kinds[kind]:>10,}" for kind in KINDS)
        return f"{self.target:<10}{self.count:>10,}{counts}{self.slowest[0]:>12,.0f}{self.slowest[1]:>9}{self.memory:>8.0f}"

    def findings(self, seed: str) -> Iterator[str]:
        """Describe a failure and how to reproduce it."""
        for kind, details in self.details.items():
            for detail, count in details.most_common(SHOWN):
                number = self.first[kind, detail]
                yield f"{self.target}, {kind}, {count}x: {detail}"
                yield f"    python benchmarks/fuzz.py --seed {seed} --targets {self.target} --first {number} --cases 1"


def run(target: str, asked: argparse.Namespace) -> Tally:
    """Have a target's cases done, in as many processes as it takes."""
    tally, number = Tally(target), asked.first
    end = time.monotonic() + asked.seconds
    last = None if asked.cases is None else asked.first + asked.cases
    while time.monotonic() < end and (last is None or number < last):
        left = None if last is None else last - number
        number = _one_process(tally, asked, number, end - time.monotonic(), left)
    return tally


def _one_process(tally: Tally, asked: argparse.Namespace, first: int, seconds: float, cases: int | None) -> int:
    """Run a process until it is done, dies or hangs; return the number of the next case."""
    command = [sys.executable, sys.argv[0], "--work", tally.target, "--seed", asked.seed, "--first", str(first)]
    command += ["--seconds", str(seconds), *([] if cases is None else ["--cases", str(cases)])]
    number, ready = first, False
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8")  # noqa: S603  # this file
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            while True:
                line = lines.get(timeout=asked.hang if ready else START_SECONDS)
                if not line:
                    break
                found = json.loads(line)
                ready = True
                if "memory" in found:
                    tally.memory = max(tally.memory, found["memory"])
                elif "number" in found:
                    tally.add(found)
                    number = found["number"] + 1
        except queue.Empty:
            tally.add(
                {"kind": "hang", "detail": f"more than {asked.hang:g} s", "ms": asked.hang * 1000, "number": number}
            )
            number += 1
        finally:
            if process.poll() is None and not ended_by_itself(process):
                process.kill()
            status = process.wait()
            reader.join()
            if process.stdout is not None:
                process.stdout.close()
        if not ready:
            errors.seek(0)
            raise SystemExit(f"{tally.target} did not start: {errors.read().decode(errors='replace')[-2000:]}")
        if status not in {0, -signal.SIGKILL}:
            tally.add({"kind": "crash", "detail": f"exit status {status}", "ms": 0.0, "number": number})
            number += 1
    return number


def ended_by_itself(process: "subprocess.Popen[str]") -> bool:
    """Wait a little for a process that has said all to end."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    return process.poll() is not None


def _read(process: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    assert process.stdout is not None  # noqa: S101  # for mypy
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def main() -> int:
    """Feed the targets one after the other."""
    parser = argparse.ArgumentParser(description="Mutated input for whatever takes a stranger's bytes.")
    parser.add_argument("--targets", nargs="+", choices=[*TARGETS], default=[*TARGETS], help="by default all")
    parser.add_argument("--seconds", type=float, help="for each target; by default 30, or as long as --cases take")
    parser.add_argument("--cases", type=int, help="of each target")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--hang", type=float, default=30, help="seconds that a case may take")
    parser.add_argument("--work", choices=[*TARGETS], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.seconds is None:
        asked.seconds = 30.0 if asked.cases is None else float("inf")
    if asked.work:
        work(asked.work, asked.seed, asked.first, asked.seconds, asked.cases)
    print_machine()
    print(
        f"{'target':<10}{'cases':>10}"
        + "".join(f"{kind:>10}" for kind in KINDS)
        + f"{'slowest ms':>12}{'its case':>9}{'MiB':>8}"
    )
    tallies = []
    for target in asked.targets:
        tallies.append(run(target, asked))
        print(tallies[-1].row(), flush=True)
    findings = [line for tally in tallies for line in tally.findings(asked.seed)]
    print("\n" + ("\n".join(findings) if findings else "nothing that must not be"))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
