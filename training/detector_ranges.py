"""Reproduce `_RANGES` of ``facesearch.detection.mmod``: how far the detector's maps reach, for calculating in 8 bits.

Protocol: the first eight photos of ``groups/`` by name, each at once and at twice its size; the largest value of each map,
times the margin of `facesearch.networks.dlib_onnx.detector_ranges`.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from facesearch.networks.dlib_onnx import detector_ranges
from facesearch.networks.dlib_reader import read_network
from facesearch.networks.weights import FACE_DETECTOR, weights_path

PHOTOS = 8


def main() -> None:
    """Print the ranges."""
    data = Path(os.environ.get("FACESEARCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
    pictures = []
    for path in sorted((data / "groups").glob("*.jpg"))[:PHOTOS]:
        image = Image.open(path).convert("RGB")
        twice = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BILINEAR)
        pictures += [np.asarray(image), np.asarray(twice)]
    ranges = detector_ranges(read_network(weights_path(FACE_DETECTOR).read_bytes()), pictures)
    print(tuple(round(value, 2) for value in ranges))


if __name__ == "__main__":
    main()
