"""Which faces are found, which are not, and what that costs: YuNet and our MMOD next to dlib's HOG and dlib's own MMOD.

Protocol
--------
`yunet` is `YuNetDetector`, `mmod` is `MmodDetector`, `hog` is `HogDetector` (one upsampling), `dlib` is ``dlib.cnn_face_detection_model_v1`` as its
examples call it, without upsampling; it is slow, so it sees the labelled photos only.

- Labelled groups: a label is found by a box whose intersection over union with it is at least MATCH, each box used once,
  the surest first. Labels come from dlib's own tool and have only few sizes, a quarter apart, so 0.4 is as strict as they
  bear. What matches no label is a false alarm.
- Single faces: found when the centre of the labelled points (landmarks106) or of the picture (people, lfw_grey) lies in a
  box; photos/ have no boxes, there any face counts. lfw_grey is padded by a quarter of its side, as its README says.
- No face: scikit-image's pictures without one and noise (`no_faces.own_pictures`), and dogs.jpg. Each box is a false alarm, but for one in dogs.jpg: on
  the book at the left is a face, lying on its side.
- Small faces: 48 faces of people/, reduced and put in a picture of 1920x1080. Their size is that of HOG's box, which on
  these photos has a median of 109 px of 250; the width of the face itself, and of AWS's box, is 0.8 of it.
- Roll: photos of people/ and landmarks106 turned about the middle of the picture, corners filled with the edge's mean;
  found as above, and right when `quarter_turns` leaves at most 45 degrees (and a tolerance of 10).
- Cut portraits: every seventh photo of people/, cut so that a share of the face's box (by YuNet) is missing at one side.
- South Asia: photos of south_asia/ with at least one box.
- Time: processor time of one thread, the least of REPEATS runs; with it the wall time of two threads.
- Memory: the most a fresh process holds after one picture (Linux only).
"""

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import skimage.data
from _machine import data_folder, print_machine
from no_faces import own_pictures
from PIL import Image

from facesearch.common.arrays import PixelArray
from facesearch.detection.dlib_detectors import HogDetector
from facesearch.detection.mmod import MmodDetector
from facesearch.detection.yunet import YuNetDetector
from facesearch.networks.weights import FACE_DETECTOR, weights_path
from facesearch.stages import Detection, Detector

MATCH = 0.4
REPEATS = 5
FACE_OF_PEOPLE = 109  # pixels: see above
Box = tuple[float, float, float, float]

_MEMORY = """
import sys, numpy as np
from facesearch.detection.{module} import {name}
height, width = map(int, sys.argv[1:])
{name}(threads=1).detect(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
lines = open("/proc/self/status").readlines()
print(next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")))
"""


class DlibMmod:
    """dlib's own engine, as its examples use it."""

    def __init__(self) -> None:
        import dlib

        self._model = dlib.cnn_face_detection_model_v1(str(weights_path(FACE_DETECTOR)))

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        """Find faces of 80 px and more."""
        return tuple(
            Detection(
                left=found.rect.left(),
                top=found.rect.top(),
                right=found.rect.right() + 1,
                bottom=found.rect.bottom() + 1,
                confidence=100 / (1 + np.exp(-5 * found.confidence)),
            )
            for found in self._model(pixels, 0)
        )


def main() -> None:
    """Measure and print."""
    print_machine()
    groups = data_folder("groups")
    detectors: dict[str, Detector] = {
        "yunet": YuNetDetector(threads=1),
        "mmod": MmodDetector(threads=1),
        "hog": HogDetector(),
    }
    for each in detectors.values():
        each.detect(loaded(groups / "dogs.jpg"))  # builds the session
    print_groups({**detectors, "dlib": DlibMmod()}, groups)
    print_singles(detectors)
    print_empty(detectors, groups)
    print_small(detectors)
    print_roll(detectors)
    print_crowds(detectors, groups)
    print_cut(detectors)
    print_south_asia(detectors)
    print_times(detectors, groups)
    print_memory()


def print_groups(detectors: dict[str, Detector], folder: Path) -> None:
    """Print recall and false alarms on the labelled groups."""
    labelled = dict(labels(folder))
    count = sum(map(len, labelled.values()))
    print(f"labelled groups: {len(labelled)} photos, {count} faces")
    for name, detector in detectors.items():
        start = time.process_time()
        found = {file: detector.detect(loaded(folder / file)) for file in labelled}
        spent = 1000 * (time.process_time() - start) / len(labelled)
        hits = [matched(found[file], boxes) for file, boxes in labelled.items()]
        alarms = sorted(
            face.confidence for file, used in zip(found, hits, strict=True) for face in set(found[file]) - used
        )
        misses = count - sum(map(len, hits))
        print(
            f"  {name:<6}found {count - misses}, false alarms {len(alarms)} {rounded(alarms)}, {spent:.0f} ms a photo"
        )
    print()


def labels(folder: Path) -> Iterator[tuple[str, list[Box]]]:
    """Read dlib's labels."""
    for file in ("dlib_training.xml", "dlib_testing.xml"):
        for image in ET.parse(folder / file).getroot().iter("image"):  # noqa: S314  # our own data folder
            boxes = [
                [float(box.get(key, "")) for key in ("left", "top", "width", "height")] for box in image.iter("box")
            ]
            yield image.get("file", ""), [(left, top, left + w, top + h) for left, top, w, h in boxes]


def matched(found: Iterable[Detection], boxes: Iterable[Box]) -> set[Detection]:
    """Return the detections that match a label."""
    left, used = list(boxes), set()
    for face in found:
        best = max(left, key=lambda box: overlap(face, box), default=None)
        if best is not None and overlap(face, best) >= MATCH:
            left.remove(best)
            used.add(face)
    return used


def overlap(face: Detection, box: Box) -> float:
    """Intersection over union."""
    width = min(face.right, box[2]) - max(face.left, box[0])
    height = min(face.bottom, box[3]) - max(face.top, box[1])
    shared = max(width, 0) * max(height, 0)
    both = (face.right - face.left) * (face.bottom - face.top) + (box[2] - box[0]) * (box[3] - box[1])
    return shared / (both - shared)


def print_singles(detectors: dict[str, Detector]) -> None:
    """Print how many photos of one person show a face."""
    print("single faces: found, other boxes a photo (bystanders or false alarms), ms a photo")
    for title, photos in singles().items():
        for name, detector in detectors.items():
            hits, others, start = 0, 0, time.process_time()
            for pixels, spot in photos:
                found = detector.detect(pixels)
                hit = any(holds(face, spot) for face in found)
                hits, others = hits + hit, others + len(found) - hit
            spent = 1000 * (time.process_time() - start) / len(photos)
            print(f"  {title:<16}{name:<6}{hits} of {len(photos)}, others {others / len(photos):.2f}, {spent:.0f} ms")
    print()


Spot = tuple[float, float] | None  # where the face is: x, y


def singles() -> dict[str, list[tuple[PixelArray, Spot]]]:
    """Return the sets of photos."""
    turned = data_folder("landmarks106")
    points = json.loads((turned / "labels.json").read_text(encoding="utf-8"))
    grey = sorted(data_folder("lfw_grey").glob("*/*.*"))
    return {
        "landmarks106": [
            (loaded(path, 640), spot_of(points[path.name], path, 640)) for path in some(turned, "images/*", 3)
        ],
        "people": [middle(loaded(path)) for path in some(data_folder("people"), "*/*.jpg", 1)],
        "lfw_grey": [middle(np.pad(loaded(path), ((44, 44), (44, 44), (0, 0)), mode="edge")) for path in grey[::20]],
        "photos": [(loaded(path), None) for path in some(data_folder("photos"), "*.jpg", 1)],
    }


def some(folder: Path, pattern: str, step: int) -> list[Path]:
    """Return every *step*-th file."""
    return sorted(folder.glob(pattern))[::step]


def spot_of(label: dict[str, list[list[float]]], path: Path, longest: int) -> Spot:
    """Return the middle of the labelled points in the picture as `loaded` gives it."""
    with Image.open(path) as image:
        scale = min(1, longest / max(image.size))
    x, y = (np.array(label["points"])[:, :2] * scale).mean(axis=0).tolist()
    return x, y


def middle(pixels: PixelArray) -> tuple[PixelArray, Spot]:
    """Return a picture whose face is in its middle."""
    return pixels, (pixels.shape[1] / 2, pixels.shape[0] / 2)


def holds(face: Detection, spot: Spot) -> bool:
    """Return whether a detection is the face at *spot*."""
    return spot is None or (face.left < spot[0] < face.right and face.top < spot[1] < face.bottom)


def print_empty(detectors: dict[str, Detector], groups: Path) -> None:
    """Print what is found where there is nothing."""
    pictures = {"dogs (a face is printed on a book)": loaded(groups / "dogs.jpg"), **dict(own_pictures())}
    print(f"no face: {len(pictures)} pictures: {', '.join(pictures)}")
    for name, detector in detectors.items():
        found = {title: detector.detect(pixels) for title, pixels in pictures.items()}
        alarms = {title: rounded(face.confidence for face in faces) for title, faces in found.items() if faces}
        print(f"  {name:<6}false alarms {alarms}")
    print()


def print_small(detectors: dict[str, Detector]) -> None:
    """Print how small a face may be in 1920x1080."""
    with Image.open(Path(skimage.data.__file__).parent / "coffee.png") as image:
        back = np.asarray(image.convert("RGB").resize((1920, 1080), Image.Resampling.BICUBIC))
    photos = [Image.fromarray(loaded(path)) for path in some(data_folder("people"), "*/*.jpg", 2)[:48]]
    print("faces of a size, in pixels, found in 1920x1080: of 48")
    for size in (12, 16, 20, 24, 28, 32, 36, 40, 48, 64):
        scene, spots = back.copy(), []
        side = round(250 * size / FACE_OF_PEOPLE)
        for number, photo in enumerate(photos):
            x, y = 15 + number % 12 * 156 + number % 7, 15 + number // 12 * 260 + number % 5
            part = np.asarray(photo.resize((side, side), Image.Resampling.LANCZOS))[: 1080 - y, : 1920 - x]
            scene[y : y + part.shape[0], x : x + part.shape[1]] = part
            spots.append((x + side / 2, y + side / 2))
        row = []
        for name, detector in detectors.items():
            found = detector.detect(scene)
            row.append(f"{name} {sum(any(holds(face, spot) for face in found) for spot in spots)}")
        print(f"  {size} px: {', '.join(row)}")
    print()


def print_roll(detectors: dict[str, Detector]) -> None:
    """Print what is found of turned photos."""
    photos = [loaded(path, 320) for path in some(data_folder("people"), "*/*.jpg", 4)]
    turned = data_folder("landmarks106")
    points = json.loads((turned / "labels.json").read_text(encoding="utf-8"))
    paths = some(turned, "images/*", 28)
    cases = [middle(photo) for photo in photos] + [
        (loaded(path, 320), spot_of(points[path.name], path, 320)) for path in paths
    ]
    print(f"roll, in degrees counterclockwise: found, and the right way up, of {len(cases)}")
    for roll in (0, 30, 45, 60, 90, 180, 270):
        row = []
        for name, detector in detectors.items():
            hits = right = 0
            for pixels, spot in cases:
                picture, place = rolled(pixels, spot, roll)
                faces = [face for face in detector.detect(picture) if holds(face, place)]
                hits += bool(faces)
                # A face rolled by 90 degrees counterclockwise needs three quarters more.
                right += bool(faces) and abs((roll + 90 * faces[0].quarter_turns + 180) % 360 - 180) <= 55
            row.append(f"{name} {hits}, {right}")
        print(f"  {roll:>3}: {'; '.join(row)}")
    print()


def rolled(pixels: PixelArray, spot: Spot, roll: float) -> tuple[PixelArray, Spot]:
    """Turn a picture counterclockwise, and the spot with it."""
    image = Image.fromarray(pixels)
    grey = tuple(pixels[[0, -1]].mean(axis=(0, 1)).astype(int).tolist())
    turned = image.rotate(roll, Image.Resampling.BICUBIC, expand=True, fillcolor=grey)
    x, y = np.array(spot) - np.array(image.size) / 2
    cos, sin = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    return np.asarray(turned), (turned.width / 2 + x * cos + y * sin, turned.height / 2 - x * sin + y * cos)


def print_crowds(detectors: dict[str, Detector], groups: Path) -> None:
    """Print the number of boxes in photos of many small faces."""
    numbers = (1, 8, 25, 26, 27)
    print(f"boxes in crowds {numbers}")
    for name, detector in detectors.items():
        print(f"  {name:<6}{[len(detector.detect(loaded(groups / f'crowd_{number}.jpg'))) for number in numbers]}")
    print()


def print_cut(detectors: dict[str, Detector]) -> None:
    """Print what is found of faces that the picture's edge cuts."""
    photos = [loaded(path) for path in some(data_folder("people"), "*/*.jpg", 7)]
    boxes = [detectors["yunet"].detect(photo)[0] for photo in photos]
    print(f"faces cut at the left, right, top, bottom: found of {len(photos)}")
    for share in (0.25, 0.4):
        for name, detector in detectors.items():
            found = [0, 0, 0, 0]
            for photo, box in zip(photos, boxes, strict=True):
                left, top, right, bottom = (round(edge) for edge in (box.left, box.top, box.right, box.bottom))
                part = round((right - left) * share)
                cuts = (photo[:, left + part :], photo[:, : right - part], photo[top + part :], photo[: bottom - part])
                for side, cut in enumerate(cuts):
                    found[side] += bool(detector.detect(np.ascontiguousarray(cut)))
            print(f"  {share:.0%} {name:<6}{found}")
    print()


def print_south_asia(detectors: dict[str, Detector]) -> None:
    """Print how many photos of south_asia/ have a detected face."""
    photos = [loaded(path) for path in some(data_folder("south_asia"), "images/*", 1)]
    for name, detector in detectors.items():
        print(f"south_asia: {name:<6}{sum(bool(detector.detect(photo)) for photo in photos)} of {len(photos)}")
    print()


def print_times(detectors: dict[str, Detector], groups: Path) -> None:
    """Print milliseconds."""
    crowd = loaded(groups / "crowd_11.jpg")
    pictures = {
        "500x375": loaded(groups / "2007_007763.jpg"),
        "640x480": fitted(crowd, 640, 480),
        "1024x791": crowd,
        "1920x1080": fitted(crowd, 1920, 1080),
        "4000x3000": fitted(crowd, 4000, 3000),
        "1024x1024 without a face": np.full((1024, 1024, 3), 128, np.uint8),
    }
    twice: dict[str, Detector] = {"yunet": YuNetDetector(threads=2), "mmod": MmodDetector(threads=2)}
    few = sorted(groups.glob("crowd_*.jpg"))[::4]
    for name, detector in detectors.items():
        print(
            f"crowds: {name} finds {sum(len(detector.detect(loaded(path))) for path in few)} boxes in {len(few)} photos"
        )
    print()
    print(
        "milliseconds of one thread; wall of two threads in brackets; processor time of hog over that of yunet, of mmod"
    )
    for title, pixels in pictures.items():
        spent = {name: least(lambda: each.detect(pixels), time.process_time) for name, each in detectors.items()}  # noqa: B023  # called at once
        wall = {name: least(lambda: each.detect(pixels), time.perf_counter) for name, each in twice.items()}  # noqa: B023  # called at once
        row = [f"{name} {spent[name]:.1f}" + (f" ({wall[name]:.1f})" if name in wall else "") for name in spent]
        ratios = [f"{spent['hog'] / spent[name]:.1f}" for name in wall]
        print(f"  {title:<26}{', '.join(row)}; {', '.join(ratios)}")
    print()


def least(run: Callable[[], object], clock: Callable[[], float], repeats: int = REPEATS) -> float:
    """Return milliseconds."""
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(1000 * (clock() - start))
    return min(times)


def fitted(pixels: PixelArray, width: int, height: int) -> PixelArray:
    """Resize."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def print_memory() -> None:
    """Print what a fresh process holds at most."""
    if not Path("/proc/self/status").exists():
        return
    for name in ("YuNetDetector", "MmodDetector"):
        code = _MEMORY.format(name=name, module=name.removesuffix("Detector").lower())
        for height, width in ((375, 500), (1080, 1920), (3000, 4000), (80, 10_000), (10_000, 10_000)):
            command = [sys.executable, "-c", code, str(height), str(width)]
            held = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  # our own code
            print(f"peak memory, {name}, noise of {width}x{height}: {held} MiB")


def loaded(path: Path, longest: int = 10_000) -> PixelArray:
    """Read a photo, reduced to *longest* pixels where it is larger."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((longest, longest))
    return np.asarray(picture)


def rounded(values: Iterable[float]) -> list[int]:
    """Round."""
    return [round(value) for value in values]


if __name__ == "__main__":
    main()
