"""The labelled photographs that the attribute heads learn from and are measured on: what is known of each, and its part.

Every photograph belongs to one part for good, by the name of its group: seven tenths to learn from, one to calibrate on, two to measure
on. Of the four regions of south_asia three are learned from and one is measured on.
"""

import csv
import json
import os
import zlib
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

DATA: Final = Path(os.environ.get("FACESEARCH_DATA", Path(__file__).parents[2] / "shared/data"))

Pixels = NDArray[np.uint8]


class Part(Enum):
    """Use of a photograph."""

    LEARN = "learn"
    CALIBRATE = "calibrate"
    MEASURE = "measure"


def part_of(name: str) -> Part:
    """Return the part that a photograph, or a person with all photographs, belongs to, derived from the name."""
    tenth = zlib.crc32(name.encode()) % 10
    return Part.LEARN if tenth < 7 else Part.CALIBRATE if tenth == 7 else Part.MEASURE


# Regions of south_asia, and the one that is measured on: its people are in no other part.
REGIONS: Final = ("north_kashmir", "north_punjab", "south_telangana", "west_gujrat")
ASIDE: Final = "north_punjab"


@attrs.frozen
class Photo:
    """A photograph of one face, and what is known of it.

    Attributes
    ----------
    folder
        Of the data.
    name
        Unique within the folder; FER2013's are numbers.
    known
        Label by name. Yes and no are 1.0 and 0.0; ``age`` is in years, ``emotion`` the index in `EMOTIONS`. ``child`` is
        known of south_asia only.
    group
        Photographs that show the same or, where it is known, the same person are of one group, and so of one part.
    """

    folder: str
    name: str
    known: dict[str, float]
    group: str

    @property
    def part(self) -> Part:
        """Use of this photograph."""
        return self.part_without(ASIDE)

    def part_without(self, region: str) -> Part:
        """Return the use of this photograph where *region* of south_asia is the one that is measured on."""
        if self.folder == "south_asia":
            return Part.MEASURE if self.group == region else Part.LEARN
        return part_of(f"{self.folder}/{self.group}")

    def pixels(self) -> Pixels:
        """Return the photograph as it is: (H, W, 3) uint8 RGB."""
        if self.folder == "fer2013":
            return np.repeat(_fer()[int(self.name)][..., None], 3, axis=2)
        return np.asarray(Image.open(DATA / self.folder / self.name).convert("RGB"))


EMOTIONS: Final = ("ANGRY", "DISGUSTED", "FEAR", "HAPPY", "CALM", "SAD", "SURPRISED")  # in FER2013's order


def photos() -> list[Photo]:
    """List every labelled photograph."""
    return [*_celeba(), *_utkface(), *_fer2013(), *_masks(), *_landmarks106(), *_south_asia()]


def _rows(path: str) -> list[dict[str, str]]:
    with (DATA / path).open(newline="") as file:
        return list(csv.DictReader(file))


def _celeba() -> list[Photo]:
    eyewear = {row["image"]: row["label"] for row in _rows("celeba/eyewear.csv")}
    eyes = {row["image"]: row["label"] for row in _rows("celeba/eyes.csv")}
    person = {row["image"]: row["person"] for row in _rows("celeba/identity.csv")}
    first: dict[str, str] = {}  # photograph of each person, which names the group
    found = []
    for row in _rows("celeba/attributes.csv"):
        name = row["image"]
        yes = {key: float(value == "1") for key, value in row.items() if key != "image"}
        known = {
            "smile": yes["Smiling"],
            "mouth_open": yes["Mouth_Slightly_Open"],
            "eyeglasses": yes["Eyeglasses"],
            "beard": 1 - yes["No_Beard"],
            "mustache": yes["Mustache"],
            "male": yes["Male"],
            "masked": 0.0,
        }
        if eyewear.get(name) != "unsure":
            known["sunglasses"] = float(eyewear.get(name) == "sunglasses")
        if eyes.get(name) in {"open", "closed"}:
            known["eyes_open"] = float(eyes[name] == "open")
        found.append(Photo("celeba", f"images/{name}", known, first.setdefault(person.get(name, name), name)))
    return found


def _utkface() -> list[Photo]:
    return [
        Photo(
            "utkface",
            f"images/{row['image']}",
            {
                "age": float(row["age"]),
                "male": float(row["gender"] == "Male"),
                "race": float(row["race"]),
                "masked": 0.0,
            },
            row["image"],
        )
        for row in _rows("utkface/labels.csv")
    ]


@cache
def _fer() -> Pixels:
    with np.load(DATA / "fer2013/faces.npz") as data:
        images: Pixels = data["images"]
    return images


def _fer2013() -> list[Photo]:
    with np.load(DATA / "fer2013/faces.npz") as data:
        labels = data["labels"].tolist()
    # The set repeats some faces: what has the same pixels is one group.
    return [
        Photo("fer2013", str(index), {"emotion": float(label), "masked": 0.0}, str(zlib.crc32(_fer()[index].tobytes())))
        for index, label in enumerate(labels)
    ]


def _masks() -> list[Photo]:
    # Most masks are pasted on photographs of the other folder; the number says on which.
    return [
        Photo(
            "masks",
            f"{kind}/{path.name}",
            {"masked": float(kind == "with_mask")},
            path.name.split(".")[0].split("-")[0],
        )
        for kind in ("with_mask", "without_mask")
        for path in sorted((DATA / "masks" / kind).iterdir())
    ]


def _landmarks106() -> list[Photo]:
    found = []
    for name, label in json.loads((DATA / "landmarks106/labels.json").read_text()).items():
        work = label["work"]
        known = {"eyeglasses": float(work["glasses"] == "yes"), "male": float(work["gender"] == "male")}
        known["eyes_open"] = float(work["eye"] == "open")
        found.append(Photo("landmarks106", f"images/{name}", known, name))
    return found


def _south_asia() -> list[Photo]:
    return [
        Photo(
            "south_asia",
            f"images/{row['image']}",
            {
                "male": float(row["gender"] == "Male"),
                "child": float(row["image"].removesuffix(".jpg") in _CHILDREN),
                "masked": 0.0,
            },
            row["region"],
        )
        for row in _rows("south_asia/labels.csv")
    ]


# Who looks younger than 13 in south_asia, which has no ages: judged once by eye, before the heads in use were trained.
_CHILDREN: Final = frozenset(
    f"{kind}_{number}"
    for kind, numbers in {
        "1_male": "2 3 4 19 31 35 36 40 46 48 53 59 62 64 65 72 77 88 91 93 98",
        "3_female": "33 36 73 75",
        "3_male": "6 23 27 28 36 40 41 50 51 53 56 67 75 78 79 80 81 86 93 95 99",
        "6_male": "15 38 50 83",
        "8_male": "30 83 93",
    }.items()
    for number in numbers.split()
)
