"""Measure the time of one search by stage, and the time to start.

Protocol
--------
The process's default analyzer; 10,000 users with random vectors of the length that the network's have, and the person in the
photo as one more. After one run to warm up, REPEATS runs; each goes through the stages one by one, in the order in which
`search_users_by_image` calls them, and then through the whole of it in one call. Printed is the median, and the minimum,
which is what the code takes when nothing else runs. Stages of a face are summed over all faces of the photo; one face is
embedded. The users are ranked with the default threshold, and, to see the worst case, with 0.

Photos: (a) scikit-image's astronaut, 4:3, as a JPEG of 640x480; (b) the same enlarged to 4000x3000, with some noise, since
a smooth JPEG decodes faster than a camera's; (c) the photo of data/photos with the most pixels.

Starting is measured in fresh processes with warm disk caches: the import alone, and, for each photo, the import, the first
search, the second and the most memory held (Linux only); the least of STARTS processes.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import numpy as np
import numpy.typing as npt
from _machine import data_folder, print_machine
from PIL import Image
from skimage.data import astronaut

import facesearch as fs
from facesearch.appearance.image_quality import measure_quality
from facesearch.detection.landmarks import aws_landmarks, face_box
from facesearch.detection.pose import solve_pose

USERS = 10_000
VECTOR_LENGTH = 1.0  # of the network's vectors
REPEATS = 9
STARTS = 5

_IMPORT = """
import time
start = time.perf_counter()
import facesearch
print(time.perf_counter() - start)
"""
_COLD = """
import json, os, sys, time
marks = [time.perf_counter()]
import facesearch as fs
marks.append(time.perf_counter())
fs.search_users_by_image(fs.Collection("nobody"), sys.argv[1])
marks.append(time.perf_counter())
fs.search_users_by_image(fs.Collection("nobody"), sys.argv[1])
marks.append(time.perf_counter())
times = [1000 * (end - start) for start, end in zip(marks, marks[1:])]
status = "/proc/self/status"  # getrusage would give what the parent held, where that is more
lines = open(status).readlines() if os.path.exists(status) else []
held = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
print(json.dumps([*times, *(held or [float("nan")])]))
"""


class Stopwatch:
    """Times named stages, run after run."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is within, in milliseconds."""
        start = time.perf_counter()
        yield
        self.times.setdefault(name, []).append(1000 * (time.perf_counter() - start))

    def print(self) -> None:
        """Print a row for each stage; those of all but the first run."""
        print(f"  {'stage':<22}{'median ms':>10}{'min ms':>10}")
        for name, times in self.times.items():
            print(f"  {name:<22}{median(times[1:]):10.2f}{min(times[1:]):10.2f}")


def main() -> None:
    """Measure and print."""
    print_machine()
    print(
        f"import facesearch: {1000 * min(float(python(_IMPORT)) for _ in range(STARTS)):.1f} ms, the least of {STARTS}\n"
    )
    staff = crowd()
    print_photo(staff, "(a) astronaut", encoded(640, 480, noise=0))
    print_photo(staff, "(b) 12 megapixels", encoded(4000, 3000, noise=3))
    largest = max(sorted(data_folder("photos").glob("*.jpg")), key=lambda path: fs.read_image(path).pixels.size)
    print_photo(staff, f"(c) {largest.name}", largest.read_bytes())


def crowd() -> fs.Collection:
    """Make many users out of nothing, and one of the astronaut."""
    staff = fs.Collection("crowd")
    vectors = np.random.default_rng(0).normal(size=(USERS, staff.face_model.dimension))
    vectors *= VECTOR_LENGTH / np.linalg.norm(vectors, axis=1, keepdims=True)
    staff.add_embeddings([f"user-{number}" for number in range(USERS)], vectors)
    staff.enroll("astronaut", [person()])
    return staff


def person() -> npt.NDArray[np.uint8]:
    """Return a photo of one person: (512, 512, 3) RGB."""
    photo: npt.NDArray[np.uint8] = astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no types
    return photo


def encoded(width: int, height: int, *, noise: float) -> bytes:
    """Return the astronaut's upper three quarters as a JPEG; *noise* is in grey levels."""
    photo = Image.fromarray(person()[:384]).resize((width, height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0).normal(0, noise, (height, width, 1)) if noise else 0
    pixels = np.clip(np.asarray(photo, np.float32) + grain, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def print_photo(staff: fs.Collection, title: str, photo: bytes) -> None:
    """Print the stages of one photo, and its first search in a fresh process."""
    picture = fs.read_image(photo)
    watch = Stopwatch()
    for _ in range(REPEATS + 1):
        response = run_stages(watch, staff, photo)
    faces = (response.searched_face is not None) + len(response.unsearched_faces)
    found = ", ".join(f"{match.user.user_id} {match.similarity:.1f}" for match in response.user_matches) or "nobody"
    print(f"{title}: {picture.width}x{picture.height}, {len(photo) / 1000:.0f} kB, {faces} faces, found {found}")
    watch.print()
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photo)
        file.flush()
        starts = [json.loads(python(_COLD, file.name)) for _ in range(STARTS)]
    start, first, second, memory = (min(column) for column in zip(*starts, strict=True))
    print(
        f"  fresh process: import {start:.0f} ms, first search {first:.0f} ms, second {second:.0f} ms, peak {memory:.0f} MiB\n"
    )


def run_stages(watch: Stopwatch, staff: fs.Collection, photo: bytes) -> fs.SearchUsersByImageResponse:
    """Do what a search does, timing each stage; then let the library do it."""
    analyzer = staff.analyzer
    with watch.stage("read"):
        pixels = fs.read_image(photo).pixels
    height, width = pixels.shape[:2]
    with watch.stage("detect"):
        detections = analyzer.detector.detect(pixels)
    with watch.stage("align"):
        aligned = [analyzer.aligner.align(pixels, detection) for detection in detections]
    chips = [face.chip for face in aligned]
    with watch.stage("landmarks"):
        points = [analyzer.landmarker.locate(pixels, face) for face in aligned]
    with watch.stage("AWS landmarks, box"):
        boxes = [face_box(each, width, height) for each in points]
        for each in points:
            aws_landmarks(each, pixels)
    with watch.stage("pose"):
        for each in points:
            solve_pose(each)
    with watch.stage("quality"):
        for chip in chips:
            measure_quality(chip)
    largest = max(range(len(boxes)), key=lambda position: boxes[position].area)
    with watch.stage("crop for the embedder"):
        crops = [analyzer.embedder.cut(pixels, face, each) for face, each in zip(aligned, points, strict=True)]
    with watch.stage("embed"):
        (vector,) = analyzer.embedder.embed(crops[largest][np.newaxis])
    with watch.stage(f"rank {USERS:,} users"):
        staff.search_embedding(vector)
    with watch.stage("  threshold 0"):
        staff.search_embedding(vector, user_match_threshold=0)
    with watch.stage("all of it in one call"):
        response = fs.search_users_by_image(staff, photo)
    with watch.stage("to_aws"):
        fs.to_aws(response)
    return response


def python(code: str, *arguments: str) -> str:
    """Run code in a fresh process and give what it prints."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own code


if __name__ == "__main__":
    main()
