"""Do the filters reject all groups alike, where all are made worse alike? See ``benchmarks/quality.py``."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attrs
import numpy as np
from _machine import data_folder
from numpy.typing import NDArray
from quality_looks import ANYTHING, FILTERS, THRESHOLD

import facesearch as fs
from facesearch.appearance.image_quality import measure_quality
from facesearch.benchmark import Rate, blurred, darkened
from facesearch.common.arrays import PixelArray
from facesearch.common.ordered_map import in_order
from facesearch.networks.runtime import usable_cores
from facesearch.selection.checks import quality_reasons
from facesearch.stages import CHIP_PADDING, CHIP_SIZE

from labelled import Photo, photos  # isort: skip  # quality_looks puts it on the path

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
RACES: Final = ("White", "Black", "Asian", "Indian")  # UTKFace's labels, as its makers chose them; "other" is left out
MOST: Final = 150  # photographs of each race and gender
YOUNGEST: Final = 12
DRAWS: Final = 2000
AS_IT_IS: Final = "as they are"
# Sigma in hundredths of the face's shorter side, and the share of the light that is left.
BLUR: Final = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
DARK: Final = (0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003)
SHOWN: Final = 0.01  # a reason that fewer of every race have is not printed
FEWEST: Final = 20  # faces of each race, for a line of a filter
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)


@attrs.frozen(eq=False)
class FaceResult:
    """Result for one face; ``measured`` is ``None`` where it is not found."""

    measured: fs.FaceMeasurements | None
    moved: bool


@attrs.frozen(eq=False)
class Groups:
    """N photographs.

    Attributes
    ----------
    race, male
        (N,) by UTKFace's labels.
    results
        One list for each way of making them worse.
    spot, luma
        One (N,) for each loss of light, of the same cut of the face, found again or not: brightness as the library measures
        it, and mean luma of the cut's middle, both 0-100.
    softness
        (N,) of the photographs as they are: see `softness`.
    """

    race: NDArray[np.int64]
    male: Bools
    results: Mapping[str, Sequence[FaceResult]]
    spot: Mapping[float, Floats]
    luma: Mapping[float, Floats]
    softness: Floats


def print_groups(limit: int | None) -> None:
    """Measure and print."""
    print("GROUPS: share rejected, by UTKFace's labels of race, as the photographs are and all made worse alike")
    groups = measure_groups(chosen(min(MOST, limit or MOST)))
    counts = [int((groups.race == number).sum()) for number in range(len(RACES))]
    print(
        f"utkface, ages from {YOUNGEST}, a face found: "
        + ", ".join(f"{name} {count}" for name, count in zip(RACES, counts, strict=True))
        + f"; men {int(groups.male.sum())}, women {int((~groups.male).sum())}"
    )
    print("blur: sigma in hundredths of the face's shorter side; light: share that is left, with a sensor's noise")
    print("gap: highest race less lowest, in points; chance: what the gap stays below in 95 of 100 draws without race")
    print("\nno filter: percent [95% interval] of these photographs")
    print_head()
    for step, results in groups.results.items():
        if step != AS_IT_IS:
            print_row(groups, f"{step}: not found again", np.array([result.measured is None for result in results]))
            print_row(groups, "  found, but moved", np.array([result.moved for result in results]), found_in(results))
    print(f"  moved: the vector is farther from that of the photo as it is than similarity {THRESHOLD:g}")
    for quality in FILTERS:
        auto = ", which AUTO is" if fs.SHIPPED_BARS.auto is quality else ""
        print(
            f"\nfilter {quality.value}{auto}: percent rejected of the faces that are found; a face may have several reasons"
        )
        print_head()
        print_filter(groups, quality)
    print_mean_luma(groups)
    print_equally_soft(groups)


def chosen(most: int) -> list[Photo]:
    """Draw photographs of each race and gender."""
    data_folder("utkface")
    drawn = []
    every = [photo for photo in photos() if photo.folder == "utkface" and photo.known["age"] >= YOUNGEST]
    for race in range(len(RACES)):
        for male in (0.0, 1.0):
            group = [each for each in every if (each.known["race"], each.known["male"]) == (race, male)]
            drawn += sorted(group, key=lambda photo: zlib.crc32(photo.name.encode()))[:most]
    return drawn


def measure_groups(drawn: Sequence[Photo]) -> Groups:
    """Analyse photographs unchanged and degraded; those without a face are left out."""
    analyzer = fs.FaceAnalyzer(threads=1)
    reach = fs.distance_at(THRESHOLD)

    def middle(pixels: PixelArray) -> fs.AnalyzedFace | None:
        face = min(analyzer.locate(pixels), key=off_centre, default=None)
        return None if face is None else analyzer.embed(analyzer.assess([face], ANYTHING))[0]

    def measure_photo(photo: Photo) -> tuple[dict[str, FaceResult], list[tuple[float, float]], float] | None:
        pixels, seed = photo.pixels(), zlib.crc32(photo.name.encode())
        face = middle(pixels)
        if face is None:
            return None
        found = {AS_IT_IS: FaceResult(face.measurements, moved=False)}
        for step, worse in made_worse(pixels, face.measurements.size, seed):
            again = middle(worse)
            moved = again is not None and float(np.linalg.norm(again.embedding - face.embedding)) > reach
            found[step] = FaceResult(None if again is None else again.measurements, moved=moved)
        dark = [brightnesses(darkened(face.chip, light, seed=seed)) for light in DARK]
        return found, dark, softness(face.chip)

    rows = [
        (photo, *results)
        for photo, results in zip(drawn, in_order(measure_photo, drawn, usable_cores()), strict=True)
        if results is not None
    ]
    bright = np.array([pairs for _, _, pairs, _ in rows])  # (N, steps, 2)
    return Groups(
        race=np.array([int(photo.known["race"]) for photo, *_ in rows]),
        male=np.array([photo.known["male"] > 0.5 for photo, *_ in rows]),
        results={step: [results[step] for _, results, *_ in rows] for step in rows[0][1]},
        spot={light: bright[:, place, 0] for place, light in enumerate(DARK)},
        luma={light: bright[:, place, 1] for place, light in enumerate(DARK)},
        softness=np.array([soft for *_, soft in rows]),
    )


def off_centre(face: fs.LocatedFace) -> float:
    """Return the distance of a face from the centre of its photograph."""
    box = face.detail.bounding_box
    return abs(box.left + box.width / 2 - 0.5) + abs(box.top + box.height / 2 - 0.5)


def made_worse(pixels: PixelArray, side: float, seed: int) -> Iterator[tuple[str, PixelArray]]:
    """Return a photograph degraded step by step."""
    for sigma in BLUR:
        yield f"blur {sigma:g}", blurred(pixels, sigma / 100 * side)
    for light in DARK:
        yield f"light {light:g}", darkened(pixels, light, seed=seed)


def brightnesses(chip: PixelArray) -> tuple[float, float]:
    """Return brightness as the library measures it, and mean luma of the middle, as it did before."""
    edge = round(CHIP_SIZE * CHIP_PADDING / (1 + 2 * CHIP_PADDING))
    luma = chip[edge:-edge, edge:-edge] @ _LUMA
    return measure_quality(chip).brightness, float(luma.mean()) / 255 * 100


def found_in(results: Sequence[FaceResult]) -> Bools:
    """Return where the face is detected."""
    return np.array([result.measured is not None for result in results])


def softness(chip: PixelArray) -> float:
    """Return how little of the face's detail a blur takes: another measure than the library's, over all pixels and half as fine."""
    edge = round(CHIP_SIZE * CHIP_PADDING / (1 + 2 * CHIP_PADDING))
    slopes: list[float] = []
    for sigma in (1, 2):
        luma = (blurred(chip, sigma)[edge:-edge, edge:-edge] @ _LUMA).astype(np.float64)
        slopes.append(float(np.mean(np.diff(luma, axis=0) ** 2) + np.mean(np.diff(luma, axis=1) ** 2)))
    return slopes[1] / max(slopes[0], 1e-9)


def print_equally_soft(groups: Groups) -> None:
    """Print what bars of sharpness refuse among photographs that were equally soft as they are.

    The photographs are parted in fifths by `softness`; each race's share is the mean of its shares in the fifths.
    """
    print(
        "\nsharpness by itself: percent of the faces found below the bar, as they come and, in brackets, equally soft before"
    )
    fifths = np.searchsorted(np.quantile(groups.softness, (0.2, 0.4, 0.6, 0.8)), groups.softness)
    for quality in FILTERS:
        bars = fs.SHIPPED_BARS.of(quality)
        for step in (f"blur {sigma:g}" for sigma in BLUR):
            results = groups.results[step]
            found = found_in(results)
            below = np.array(
                [
                    each.measured is not None and bars is not None and each.measured.sharpness < bars.min_sharpness
                    for each in results
                ]
            )
            if not 0.05 <= below[found].mean() <= 0.95:
                continue
            plain, equal = [], []
            for number in range(len(RACES)):
                own = found & (groups.race == number)
                plain.append(100 * below[own].mean())
                equal.append(
                    100 * np.mean([below[own & (fifths == k)].mean() for k in range(5) if (own & (fifths == k)).any()])
                )
            shares = "".join(f"{f'{one:.0f} ({other:.0f})':>12}" for one, other in zip(plain, equal, strict=True))
            print(f"  {quality.value:7} {step:8}{shares}   gap {np.ptp(plain):.0f} ({np.ptp(equal):.0f})")


def print_filter(groups: Groups, quality: fs.QualityFilter) -> None:
    """Print what a filter rejects: all of it, and by reason."""
    gaps: dict[str, list[float]] = {}
    for step, results in groups.results.items():
        found = found_in(results)
        if min(np.bincount(groups.race[found], minlength=len(RACES))) < FEWEST:
            print(f"  {step}: of some race fewer than {FEWEST} faces are found")
            continue
        reasons = [
            () if result.measured is None else quality_reasons(result.measured, fs.SHIPPED_BARS.of(quality))
            for result in results
        ]
        gap = print_row(groups, step, np.array([bool(each) for each in reasons]), found)
        gaps.setdefault(step.split()[0] if step != AS_IT_IS else step, []).append(gap)
        for reason in fs.QualityReason:
            has = np.array([reason in each for each in reasons])
            if max(has[found & (groups.race == number)].mean() for number in range(len(RACES))) >= SHOWN:
                print_row(groups, f"  {reason.value}", has, found)
    print("  largest gap in points: " + ", ".join(f"{kind} {max(values):.1f}" for kind, values in gaps.items()))


def print_head() -> None:
    """Print the columns' names."""
    print(
        f"{'':32}"
        + "".join(f"{name:>19}" for name in RACES)
        + "".join(f"{name:>8}" for name in ("gap", "chance", "men", "women"))
    )


def print_row(groups: Groups, label: str, has: Bools, among: Bools | None = None) -> float:
    """Print the shares of each race, among some of the photographs, and give the gap."""
    counted = np.ones(len(has), bool) if among is None else among
    members = [counted & (groups.race == number) for number in range(len(RACES))]
    rates = [Rate.of(int(has[member].sum()), int(member.sum())) for member in members]
    cells = [
        "-" if rate.value is None else f"{100 * rate.value:.1f} [{100 * rate.low:.1f}-{100 * rate.high:.1f}]"
        for rate in rates
    ]
    sexes = [
        f"{100 * has[who].mean():.1f}" if who.any() else "-" for who in (counted & groups.male, counted & ~groups.male)
    ]
    gap, chance = gap_of([rate for rate in rates if rate.trials])
    print(
        f"  {label:<30}"
        + "".join(f"{cell:>19}" for cell in cells)
        + "".join(f"{cell:>8}" for cell in (f"{gap:.1f}", f"{chance:.1f}", *sexes))
    )
    return gap


def gap_of(rates: Sequence[Rate]) -> tuple[float, float]:
    """Return the gap between groups, in points, and the one that chance stays below in 95 of 100 draws."""
    if not rates:
        return 0.0, 0.0
    sizes = np.array([rate.trials for rate in rates])
    events = sum(rate.events for rate in rates)
    shares = np.random.default_rng(0).multivariate_hypergeometric(sizes, events, size=DRAWS) / sizes
    values = [rate.value or 0.0 for rate in rates]
    return 100 * (max(values) - min(values)), float(100 * np.quantile(np.ptp(shares, axis=1), 0.95))


def print_mean_luma(groups: Groups) -> None:
    """Print what bars of mean luma would do that reject as many faces as the bars of brightness do."""
    print(
        "\nbrightness by itself, on the same cut of every face with less light, found again or not: percent below the bar of"
    )
    print("the brightest spot, as it is measured, and below a bar of mean luma that rejects as many of all these faces")
    print_head()
    for quality in FILTERS:
        bars = fs.SHIPPED_BARS.of(quality)
        for light in DARK:
            dark = groups.spot[light] < (bars.min_brightness if bars else 0)
            if SHOWN <= dark.mean() <= 1 - SHOWN:
                print_row(groups, f"{quality.value} {light:g}: spot", dark)
                bar = np.sort(groups.luma[light])[dark.sum()]
                print_row(groups, f"  mean luma, bar {bar:.1f}", groups.luma[light] < bar)
