"""Locate the labelled faces once, with the library's own stages, and keep where each lies in one npz outside the repository.

``python training/aligned.py out/aligned.npz``: about 5 minutes of processor.
"""

import argparse
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from labelled import Photo, photos
from numpy.typing import NDArray

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.stages import Detection

_analyzers: list[FaceAnalyzer] = []


def align(photo: Photo) -> tuple[bool, NDArray[np.float64], NDArray[np.float64]]:
    """Find the face that the photograph is of: the one that fills most of its middle.

    Returns
    -------
    found, to_picture, points
        Whether a face was found; (2, 3) from the chip's xy to that of the photograph; (70, 2) xy there. Zeros where none was.
    """
    if not _analyzers:
        _analyzers.append(FaceAnalyzer(threads=1))
    analyzer = _analyzers[0]
    pixels = photo.pixels()
    middle = np.array(pixels.shape[1::-1]) / 2

    def off(face: Detection) -> float:
        side = face.right - face.left
        return float(np.hypot(*((np.array([face.left + face.right, face.top + face.bottom]) / 2) - middle))) - side / 2

    faces = sorted(analyzer.detector.detect(pixels), key=off)
    if not faces:
        return False, np.zeros((2, 3)), np.zeros((70, 2))
    face = analyzer.aligner.align(pixels, faces[0])
    return True, face.to_picture, analyzer.landmarker.locate(pixels, face)


def main() -> None:
    """Align everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    everything = photos()
    with Pool(arguments.processes) as pool:
        faces = pool.map(align, everything, chunksize=32)
    folders = np.array([photo.folder for photo in everything])
    found, to_picture, points = (np.array(column) for column in zip(*faces, strict=True))
    np.savez_compressed(
        arguments.cache, folder=folders, name=np.array([photo.name for photo in everything]),
        found=found, to_picture=to_picture, points=points,
    )  # fmt: skip
    for folder in np.unique(folders):
        print(f"{folder}: a face found in {found[folders == folder].sum()} of {(folders == folder).sum()}")


if __name__ == "__main__":
    main()
