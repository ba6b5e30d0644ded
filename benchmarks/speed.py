"""Ours against dlib's own engine and against face_recognition's usual path, in one run, as ratios.

Protocol
--------
All in one process on one machine, one after the other; each figure is the least of REPEATS runs after one to warm up, which
is what the code takes when nothing else runs. "dlib" is its own engine, called with the weights that we use.

- One embedding, and sixteen in one call, of scikit-image's astronaut: dlib's network in ONNX Runtime, the same vectors, and SFace, the default.
- Detection on the astronaut, 512x512: dlib's MMOD without upsampling and its HOG with one, beside MMOD in ONNX Runtime (the stage
  of ``models="dlib"``, which samples the photo up to find smaller faces) and YuNet, the default.
- One search end to end at 640x480 among 10,000 users: `search_users_by_image` from JPEG bytes to response, against
  face_recognition's path: decode, frontal HOG with one upsampling, five landmarks, embedding of the largest face, and the
  distances to 10,000 vectors, done here with the calls that package makes.
- The first search of a process: three new processes, from the start of the import on, as Python counts.
- `analyze_many` over photos of `lfw_grey`, against one `analyze` after another.
- Memory: the process's resident size after 10, 100 and 1,000 searches.
"""

import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

import dlib
import numpy as np
from _machine import data_folder, memory_mb, print_machine
from PIL import Image
from skimage.data import astronaut

import facesearch as fs
from facesearch.analysis.analyzer import default_analyzer
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.detection.mmod import MmodDetector
from facesearch.embedding.dlib_resnet import DlibEmbedder, OnnxEmbedder
from facesearch.images.reading import read_image
from facesearch.networks.runtime import usable_cores
from facesearch.networks.weights import FACE_DETECTOR, LANDMARKS_5, RESNET, weights_path

REPEATS = 15
USERS = 10_000
PHOTOS = 200


def least_ms(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Return the least time of *repeats* calls, in milliseconds, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def row(name: str, ours: float, theirs: float) -> None:
    """Print one comparison."""
    print(f"{name:<44}{ours:10.2f}{theirs:12.2f}{theirs / ours:8.1f}x")


def face_recognition_path(jpeg: bytes, gallery: FloatArray) -> Callable[[], object]:
    """Return what face_recognition does for load_image_file, face_locations(1), face_encodings and face_distance."""
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(weights_path(LANDMARKS_5)))
    network = dlib.face_recognition_model_v1(str(weights_path(RESNET)))

    def search() -> object:
        pixels = np.array(Image.open(io.BytesIO(jpeg)).convert("RGB"))
        box = max(detector(pixels, 1), key=lambda box: box.area())
        probe = np.array(network.compute_face_descriptor(pixels, predictor(pixels, box), 1))
        return np.argsort(np.linalg.norm(gallery - probe, axis=1))

    return search


def crowd(photo: PixelArray) -> tuple[fs.Collection, FloatArray]:
    """Make a collection of random users with the person in the photo as one more."""
    vectors = np.random.default_rng(0).normal(size=(USERS, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    collection = fs.Collection("crowd")
    collection.add_embeddings([f"user{row}" for row in range(USERS)], vectors)
    collection.enroll("astronaut", [photo])
    return collection, vectors


FIRST_SEARCH = """
import time
start = time.perf_counter()
import facesearch as fs
staff = fs.Collection("staff")
staff.add_embedding("nobody", [1.0] + [0.0] * 127)
fs.search_users_by_image(staff, open({path!r}, "rb").read())
print(time.perf_counter() - start)
"""


def first_search(jpeg: bytes) -> float:
    """Return the least time of the first search of a process, in seconds, of three."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(jpeg)
        file.flush()
        program = FIRST_SEARCH.format(path=file.name)
        runs = [subprocess.run([sys.executable, "-c", program], check=True, capture_output=True) for _ in range(3)]  # noqa: S603  # our own code
    return min(float(each.stdout) for each in runs)


def main() -> None:
    """Measure and print."""
    print_machine()
    photo = astronaut()  # type: ignore[no-untyped-call]  # scikit-image has none
    analyzer = default_analyzer()
    (face, *_) = analyzer.locate(photo)
    sixteen, crops = (np.stack([each] * 16) for each in (face.chip, face.probe))
    plain, reference, mirrored = OnnxEmbedder(mirrored=False), DlibEmbedder(mirrored=False), DlibEmbedder()
    print(f"{'least of ' + str(REPEATS) + ' runs':<44}{'ours, ms':>10}{'theirs, ms':>12}{'ratio':>9}")
    theirs_plain = least_ms(lambda: reference.embed(sixteen[:1]))
    row("one embedding, dlib", least_ms(lambda: plain.embed(sixteen[:1])), theirs_plain)
    row("  the same, SFace", least_ms(lambda: analyzer.embedder.embed(crops[:1])), theirs_plain)
    row("  the same, SFace, of sixteen", least_ms(lambda: analyzer.embedder.embed(crops)) / 16, theirs_plain)
    row(
        "sixteen embeddings, dlib",
        least_ms(lambda: plain.embed(sixteen)),
        least_ms(lambda: reference.embed(sixteen), 3),
    )
    theirs_mirrored = least_ms(lambda: mirrored.embed(sixteen[:1]), 5)
    both = OnnxEmbedder()
    row("a face and its mirror image, dlib", least_ms(lambda: both.embed(sixteen[:1])), theirs_mirrored)
    mmod = dlib.cnn_face_detection_model_v1(str(weights_path(FACE_DETECTOR)))
    hog = dlib.get_frontal_face_detector()
    theirs = {"dlib MMOD": least_ms(lambda: mmod(photo, 0), 3), "dlib HOG upsampled": least_ms(lambda: hog(photo, 1))}
    for name, detector in (("MMOD", MmodDetector()), ("YuNet", analyzer.detector)):
        ours = least_ms(partial(detector.detect, photo))
        for title, milliseconds in theirs.items():
            row(f"{name} 512x512, {title}", ours, milliseconds)
    buffer = io.BytesIO()
    Image.fromarray(photo).crop((0, 0, 512, 384)).resize((640, 480)).save(buffer, "JPEG", quality=90)
    jpeg = buffer.getvalue()
    collection, vectors = crowd(photo)
    if fs.search_users_by_image(collection, jpeg).user_matches[0].user.user_id != "astronaut":
        raise SystemExit("the astronaut was not found: no figure below would mean anything")
    path = least_ms(face_recognition_path(jpeg, vectors))
    row(
        "one search 640x480, face_recognition's path",
        least_ms(lambda: fs.search_users_by_image(collection, jpeg)),
        path,
    )
    family = fs.Collection("dlib", analyzer=fs.FaceAnalyzer(models="dlib"))
    family.add_embeddings([f"user{row}" for row in range(USERS)], vectors)
    row("  the same, models='dlib'", least_ms(lambda: fs.search_users_by_image(family, jpeg)), path)
    print("\nmemory after searches, MiB:", end=" ")
    for count in (10, 90, 900):
        for _ in range(count):
            fs.search_users_by_image(collection, jpeg)
        print(f"{memory_mb():.0f}", end=" ")
    print("(10, 100, 1,000)\n")

    print(f"the first search of a process: {first_search(jpeg):.2f} s\n")
    photos = [read_image(path).pixels for path in sorted(data_folder("lfw_grey").rglob("*.jpg"))[:PHOTOS]]
    start = time.perf_counter()
    one_by_one = [analyzer.analyze(pixels) for pixels in photos]
    single = time.perf_counter() - start
    for workers in (1, usable_cores()):
        start = time.perf_counter()
        many = list(analyzer.analyze_many(photos, workers=workers))
        taken = time.perf_counter() - start
        same = all(
            [face.detail for face in one] == [face.detail for face in other]
            for one, other in zip(one_by_one, many, strict=True)
        )
        print(
            f"analyze_many, {workers} workers: {PHOTOS / taken:.1f} photos a second, {sum(map(len, many))} faces; "
            f"one after another {PHOTOS / single:.1f}; the same answers: {same}"
        )


if __name__ == "__main__":
    main()
