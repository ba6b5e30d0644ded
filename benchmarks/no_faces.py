"""Pictures without a person's face, and how many false alarms the detectors give on them.

Protocol
--------
`python benchmarks/no_faces.py FOLDER`, where FOLDER holds what these commands of a Debian 12 write:

    apt-get download tuxpaint-stamps-default gcompris-qt-data plasma-workspace-wallpapers
    for package in *.deb; do dpkg-deb -x $package FOLDER; done

- Stamps of Tux Paint, photographs and drawings of animals, plants and things, each on a wallpaper, 640x480.
- Photographs of GCompris: animals, monuments, food, tools and instruments, at most 640 px a side.
- Plasma's wallpapers at 640x480, scikit-image's pictures, and noise (`own_pictures`: those `detection.py` takes too).

Left out are the folders that show people, coins and smileys. The pictures were not looked through one by one: toys, statues and drawn
faces remain, for all detectors alike. Thresholds may be chosen on the tuning half; the other half only reports. Halves go by the source's name.
"""

import argparse
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import skimage.data
from _machine import print_machine
from PIL import Image

from facesearch.common.arrays import PixelArray
from facesearch.detection.dlib_detectors import HogDetector
from facesearch.detection.mmod import MmodDetector
from facesearch.detection.yunet import YuNetDetector
from facesearch.stages import Detector

__all__ = ["own_pictures", "pictures", "tunes"]

_STAMPS: Final = "usr/share/tuxpaint/stamps"
_NOT_STAMPS: Final = ("people", "symbols", "seasonal/halloween/mask", "animals/mammals/bears/toys")
_GCOMPRIS: Final = (
    "babyshapes", "categorization", "erase", "explore_farm_animals", "explore_monuments", "explore_world_animals", "lang",
)  # fmt: skip
_NO_FACE: Final = (
    "brick", "cell", "chelsea", "chessboard_GRAY", "clock_motion", "coffee", "coins", "color", "grass", "gravel", "horse",
    "hubble_deep_field", "ihc", "logo", "moon", "motorcycle_left", "motorcycle_right", "page", "retina", "rocket", "text",
)  # fmt: skip


def pictures(folder: Path) -> Iterator[tuple[str, PixelArray]]:
    """Return names and pictures."""
    backs = []
    for path in sorted((folder / "usr/share/wallpapers").glob("*/contents/screenshot.*")):
        with Image.open(path) as image:
            backs.append(image.convert("RGB").resize((640, 480), Image.Resampling.BICUBIC))
        yield f"wallpaper {path.parts[-3]}", np.asarray(backs[-1])
    root = folder / _STAMPS
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        name = path.relative_to(root).as_posix()
        if not name.startswith(_NOT_STAMPS):
            yield name, _stamped(path, backs[number % len(backs)].copy(), number)
    for title in _GCOMPRIS:
        data = (folder / f"usr/share/gcompris-qt/rcc/{title}.rcc").read_bytes()
        for number, found in enumerate(re.finditer(rb"RIFF(....)WEBPVP8", data, re.DOTALL)):
            size = int.from_bytes(found.group(1), "little") + 8
            with Image.open(io.BytesIO(data[found.start() : found.start() + size])) as image:
                picture = image.convert("RGB")
            if min(picture.size) >= 150:
                picture.thumbnail((640, 640))
                yield f"{title} {number}", np.asarray(picture)
    yield from own_pictures()


def own_pictures() -> Iterator[tuple[str, PixelArray]]:
    """Return names and pictures of those that need no folder: scikit-image's without a face, and noise of several grains."""
    own = Path(skimage.data.__file__).parent
    for name in _NO_FACE:
        with Image.open(next(own.glob(f"{name}.*"))) as image:
            yield name, np.asarray(image.convert("RGB"))
    rng = np.random.default_rng(0)
    for step in (1, 2, 4, 8, 16, 32):
        squares = rng.integers(0, 256, (512 // step, 512 // step, 3), dtype=np.uint8)
        yield f"noise {step}", squares.repeat(step, axis=0).repeat(step, axis=1)


def tunes(name: str) -> bool:
    """Return whether a picture belongs to the half for tuning."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def _stamped(path: Path, scene: Image.Image, number: int) -> PixelArray:
    """Return a stamp, as high as 60 to 100% of the picture, on a wallpaper."""
    with Image.open(path) as image:
        stamp = image.convert("RGBA")
    factor = min(640 / stamp.width, 480 / stamp.height) * (0.6 + number % 5 / 10)
    stamp = stamp.resize((round(stamp.width * factor), round(stamp.height * factor)), Image.Resampling.BICUBIC)
    scene.paste(stamp, ((640 - stamp.width) // 2, (480 - stamp.height) // 2), stamp)
    return np.asarray(scene)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Count false alarms.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print_machine()
    detectors: dict[str, Detector] = {
        "yunet": YuNetDetector(threads=1),
        "mmod": MmodDetector(threads=1),
        "hog": HogDetector(),
    }
    alarms: dict[tuple[str, bool], list[tuple[float, str]]] = {
        (name, half): [] for name in detectors for half in (True, False)
    }
    counts = [0, 0]
    for title, pixels in pictures(folder):
        counts[tunes(title)] += 1
        for name, detector in detectors.items():
            alarms[name, tunes(title)] += [(face.confidence, title) for face in detector.detect(pixels)]
    print(f"pictures without a face: {counts[1]} for tuning, {counts[0]} for the report")
    for (name, half), found in alarms.items():
        sure = sum(confidence >= 90 for confidence, _ in found)
        photos = len({title for _, title in found})
        print(
            f"  {name:<6}{'tuning' if half else 'report'}: {len(found)} boxes in {photos} pictures, {sure} of 90% and more"
        )
        for confidence, title in sorted(found, reverse=True)[:40]:
            print(f"      {confidence:.0f} {title}")


if __name__ == "__main__":
    main()
