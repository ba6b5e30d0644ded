"""Fit the confidence of YuNet's faces: the probability that a detection is a face, a logistic of its score.

``PYTHONPATH=benchmarks python training/yunet_confidence.py FOLDER``, with the pictures without a face of ``benchmarks/no_faces.py`` in
FOLDER, prints the constants of `facesearch.detection.yunet`.

Faces: the surest detection of each photo of people/, landmarks106/, photos/ and south_asia/ that holds the labelled spot, where
there is one. No faces: every detection in the pictures without a face. All detections from a score of 0.7 on count. A photo with a face
weighs as much as a picture without one: that prior is a convention.

One half of the photos fits, the other half tests, and the other way round; the constants are fitted to both halves. Printed for each
test: detections by band of scores, faces among them (weighted), and the mean confidence.
"""

import argparse
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _machine import data_folder, print_machine
from no_faces import pictures

from detection import loaded, singles, some
from facesearch.common.arrays import PixelArray
from facesearch.detection import yunet

LEAST = 0.7
BANDS = (0.7, 0.75, 0.8, 0.82, 0.85, 0.88, 0.91, 0.94, 1.0)
STEPS = 100
Spot = tuple[float, float] | None
Halves = tuple[list[float], list[float]]
Floats = npt.NDArray[np.float64]


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description="Fit the confidence of YuNet's faces.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print_machine()
    yunet._LEAST = LEAST  # type: ignore[misc]  # noqa: SLF001  # also what the detector leaves out
    detector = yunet.YuNetDetector(threads=1)

    def scores(pixels: PixelArray, spot: Spot = None) -> list[float]:
        found = detector.detect(pixels)
        if spot:
            x, y = spot
            found = tuple(face for face in found if face.left < x < face.right and face.top < y < face.bottom)
        return [yunet._EVEN - np.log(100 / face.confidence - 1) / yunet._SLOPE for face in found]  # noqa: SLF001

    faces: Halves = ([], [])
    others: Halves = ([], [])
    photos, without = [0, 0], [0, 0]
    sets = singles() | {"south_asia": [(loaded(path), None) for path in some(data_folder("south_asia"), "images/*", 1)]}
    for title in ("people", "landmarks106", "photos", "south_asia"):
        for number, (pixels, spot) in enumerate(sets[title]):
            half = zlib.crc32(f"{title} {number}".encode()) % 2
            photos[half] += 1
            faces[half].extend(scores(pixels, spot)[:1])
    for name, pixels in pictures(folder):
        half = zlib.crc32(name.encode()) % 2
        without[half] += 1
        others[half].extend(scores(pixels))
    print(f"{photos} photos with a face, {without} pictures without one")
    for half in (0, 1):
        constants = fit(faces[half], others[half], photos[half], without[half])
        print(f"fitted to half {half}: slope {constants[0]:.1f}, even at {constants[1]:.4f}; the other half:")
        rest = 1 - half
        for low, high in pairwise(BANDS):
            here, there = (np.array([s for s in side[rest] if low <= s < high]) for side in (faces, others))
            if len(here) + len(there):
                share = len(here) / photos[rest] / (len(here) / photos[rest] + len(there) / without[rest])
                mean = confidence(np.concatenate([here, there]), *constants).mean()
                print(f"  {low:.2f}-{high:.2f}: {len(here)} faces, {len(there)} others: {share:.3f}; mean {mean:.3f}")
    slope, even = fit(faces[0] + faces[1], others[0] + others[1], sum(photos), sum(without))
    print(f"fitted to all: slope {slope:.1f}, even at {even:.4f}")


def confidence(scores: Floats, slope: float, even: float) -> Floats:
    """Compute the logistic."""
    result: Floats = 1 / (1 + np.exp(-slope * (scores - even)))
    return result


def fit(faces: list[float], others: list[float], photos: int, without: int) -> tuple[float, float]:
    """Fit a logistic by Newton's method: its slope, and the score of 50%."""
    scores = np.array([*faces, *others])
    design = np.stack([scores, np.ones_like(scores)], axis=1)
    right = np.repeat([1.0, 0.0], [len(faces), len(others)])
    weights = np.repeat([1000 / photos, 1000 / without], [len(faces), len(others)])
    found = np.zeros(2)
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-design @ found))
        gradient = design.T @ (weights * (right - likely)) - 1e-3 * found
        curvature = (design * (weights * likely * (1 - likely))[:, None]).T @ design + 1e-3 * np.eye(2)
        found += np.linalg.solve(curvature, gradient)
    return float(found[0]), float(-found[1] / found[0])


if __name__ == "__main__":
    main()
