"""Measure the benefit of a filter at enrolment when a third of the photographs are bad. See ``benchmarks/quality.py``."""

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from _machine import data_folder
from numpy.typing import NDArray
from PIL import Image
from quality_looks import (
    FILTERS,
    THRESHOLD,
    OneAnalysisAnalyzer,
    PhotoMeasurements,
    is_aside,
    measure_photos,
    padded,
    table_row,
)

import facesearch as fs
from facesearch.benchmark import blurred, compressed, covered, darkened, shrunk
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.images.reading import read_image

PADDING: Final = 0.25  # of lfw_grey: faces fill the frame
ENROLLED: Final = 3
ENOUGH: Final = 6
DRAWS: Final = 2000
DEFAULT_THRESHOLD: Final = 75.0  # of `Collection.enroll`

Worse = Callable[[PixelArray, fs.LocatedFace], PixelArray]


def with_face_of(pixels: PixelArray, face: fs.LocatedFace, side: float) -> PixelArray:
    """Return the photograph with its face reduced to that side in pixels, cropped and enlarged to the former size."""
    small = Image.fromarray(shrunk(pixels, min(1.0, side / face.measurements.size)))
    return np.asarray(small.resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BICUBIC))


def half_covered(pixels: PixelArray, face: fs.LocatedFace) -> PixelArray:
    """Cover the lower 45% of the face."""
    box = face.detail.bounding_box
    if box is None:
        raise RuntimeError("a located face has a box")
    return covered(pixels, box, 0.45)


def compressed_small(pixels: PixelArray, face: fs.LocatedFace) -> PixelArray:
    """Store the photograph as a JPEG of little quality and few pixels."""
    factor = min(1.0, 50 / face.measurements.size)
    small = Image.fromarray(compressed(shrunk(pixels, factor), 4))
    return np.asarray(small.resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BICUBIC))


# So bad that most would not match, and not so bad that the detector finds no face, which needs no filter.
WAYS: Final[dict[str, tuple[str, Worse]]] = {
    "blur": ("sigma 5% of the face", lambda pixels, face: blurred(pixels, 0.05 * face.measurements.size)),
    "dark": ("1% of the light", lambda pixels, _: darkened(pixels, 0.01, seed=1)),
    "small": ("a face of 16 px, enlarged", lambda pixels, face: with_face_of(pixels, face, 16)),
    "cover": ("the lower 45% of the face", half_covered),
    "jpeg": ("quality 4, a face of 50 px, enlarged", compressed_small),
}


@attrs.frozen(eq=False)
class Person:
    """The people enrolled and searched.

    Attributes
    ----------
    name, aside
        Of the folder; whether the quality score has not learned from this person.
    good
        The photographs to enrol, as they are.
    bad
        One of them made bad, by way.
    position
        Which one.
    probes
        (P, 128): vectors of the other photographs.
    """

    name: str
    aside: bool
    good: tuple[fs.Picture, ...]
    bad: dict[str, fs.Picture]
    position: int
    probes: FloatArray

    def photos(self, way: str) -> list[fs.Picture]:
        """Return the photographs to enrol, one of them bad in some way."""
        return [self.bad[way] if place == self.position else photo for place, photo in enumerate(self.good)]


@attrs.frozen(kw_only=True)
class Outcome:
    """Result for one person.

    Attributes
    ----------
    name
        Of the person.
    way
        How one photo was made bad; "" where none was.
    aside
        See `Person`.
    bad_kept, good_refused, faces
        Photographs.
    why
        The reasons against the bad photo, in words.
    first, own, wrong
        Of each search: whether the right user came first, the right user's similarity (0 for a user without a face), and
        whether somebody else came first with at least 80.
    alike
        Share of the other users' photographs that reach 80 to this user: the calibration promises 0.1%.
    """

    name: str
    way: str
    aside: bool
    bad_kept: int
    good_refused: int
    faces: int
    why: str
    first: tuple[bool, ...]
    own: tuple[float, ...]
    wrong: tuple[bool, ...]
    alike: float


def print_enrolment(limit: int | None, cache: Path | None) -> None:
    """Measure and print."""
    print("ENROLMENT: three photographs of each person, one of them bad")
    looks = measure_photos(
        sorted(data_folder("lfw_grey").glob("*/*.jpg")), padding=PADDING, cache=cache and cache / "lfw_grey.npz"
    )
    analyzer = OneAnalysisAnalyzer()
    people, others = cast(looks, analyzer, limit)
    print(
        f"lfw_grey: {len(people)} people with {ENOUGH} photographs or more that have a face, {sum(p.aside for p in people)} of them "
        f"people the score did not learn from; {sum(len(p.probes) for p in people):,} searches with the other photographs as they are"
    )
    print(f"others in the gallery: {len(others):,} users of one photograph")
    print("bad: " + "; ".join(f"{way}, {words}" for way, (words, _) in WAYS.items()))
    print(f"{len(WAYS)} rounds: each person has each kind of bad photo once; kinds are mixed in every round")
    print(
        f"found: the right user is in the answer at {THRESHOLD:g}; wrong first: somebody else is, and comes first; others alike:"
    )
    print(f"comparisons of these users with the others' photographs that reach {THRESHOLD:g}, which should be 0.1%\n")
    gallery = fs.Collection("gallery", analyzer=analyzer)
    strangers = np.stack(list(others.values()))
    gallery.add_embeddings(list(others), strangers)
    filters = (fs.QualityFilter.NONE, *FILTERS)
    without = {
        "three good, no bad one": enrolled(people, gallery, strangers, ways=("",)),
        "the two good ones only": enrolled(people, gallery, strangers, ways=("",), drop=True),
    }
    for threshold, label in ((0.0, "filter alone"), (DEFAULT_THRESHOLD, "filter and enrolment's own doubts")):
        results = {
            quality.value: enrolled(people, gallery, strangers, ways=tuple(WAYS), quality=quality, threshold=threshold)
            for quality in filters
        }
        print(f"{label}: user_match_threshold={threshold:g}")
        print_outcomes(without | results, "all people")
        kept = {name: [each for each in found if each.aside] for name, found in (without | results).items()}
        print_outcomes(kept, "people the score did not learn from")
        print_ways(results)


def cast(
    looks: PhotoMeasurements, analyzer: fs.FaceAnalyzer, limit: int | None
) -> tuple[list[Person], dict[str, FloatArray]]:
    """Return the people, and one vector of each other person."""
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(looks.found).tolist():
        rows.setdefault(looks.photos[row].parent.name, []).append(row)
    enough = [name for name, found in rows.items() if len(found) >= ENOUGH][:limit]
    people = []
    for name in enough:
        chosen, rest = rows[name][:ENROLLED], rows[name][ENROLLED:]
        good = tuple(read_image(padded(read_image(looks.photos[row]).pixels, PADDING)) for row in chosen)
        position = zlib.crc32(name.encode()) // len(WAYS) % ENROLLED
        face = analyzer.locate(good[position])[0]
        people.append(
            Person(
                name=name,
                aside=is_aside(name),
                good=good,
                bad={way: read_image(worse(good[position].pixels, face)) for way, (_, worse) in WAYS.items()},
                position=position,
                probes=looks.vectors[rest],
            )
        )
    taken = {person.name for person in people}
    return people, {name: looks.vectors[found[0]] for name, found in rows.items() if name not in taken}


def enrolled(
    people: Sequence[Person],
    gallery: fs.Collection,
    strangers: FloatArray,
    *,
    ways: Sequence[str],
    drop: bool = False,
    quality: fs.QualityFilter = fs.QualityFilter.NONE,
    threshold: float = 0.0,
) -> list[Outcome]:
    """Enrol and search everybody, in one round for each way, and leave the gallery as it was.

    *drop* leaves out the photo that would be bad.
    """
    outcomes = []
    for turn in range(len(ways)):
        reports = []
        for person in people:
            way = ways[(zlib.crc32(person.name.encode()) + turn) % len(ways)]
            photos = person.photos(way) if way else list(person.good)
            if drop:
                del photos[person.position]
            reports.append(
                (way, gallery.enroll(person.name, photos, quality_filter=quality, user_match_threshold=threshold))
            )
        outcomes += [
            outcome(gallery, strangers, person, *report) for person, report in zip(people, reports, strict=True)
        ]
        for person in people:
            if person.name in gallery:
                gallery.delete_user(person.name, faces=True)
    return outcomes


def outcome(
    gallery: fs.Collection, strangers: FloatArray, person: Person, way: str, report: fs.EnrollmentReport
) -> Outcome:
    """Count what became of a person's photographs, and search the user."""
    own, first, wrong = [0.0] * len(person.probes), [], []
    alike = 0.0
    if person.name in gallery and (vector := gallery.user_embedding(person.name)) is not None:
        offset = gallery.calibration.user_offset(report.accepted)

        def distances(probes: FloatArray) -> NDArray[np.float64]:
            found: NDArray[np.float64] = np.sqrt(((probes.astype(np.float64) - vector) ** 2).sum(axis=1) + offset)
            return found

        own = [gallery.calibration.similarity(distance) for distance in distances(person.probes).tolist()]
        alike = float((distances(strangers) <= gallery.calibration.distance_at(THRESHOLD)).mean())
    for probe in person.probes:
        best, *_ = gallery.search_embedding(probe, user_match_threshold=0, max_users=1)
        first.append(best.user.user_id == person.name)
        wrong.append(not first[-1] and best.similarity >= THRESHOLD)
    bad = report.photos[person.position] if way else None
    refused = [photo for photo in report.photos if photo.reasons and photo is not bad]
    return Outcome(
        name=person.name,
        way=way,
        aside=person.aside,
        bad_kept=int(bad is not None and not bad.reasons),
        good_refused=len(refused),
        faces=report.accepted,
        why="" if bad is None else " + ".join(reason.value for reason in bad.reasons),
        first=tuple(first),
        own=tuple(own),
        wrong=tuple(wrong),
        alike=alike,
    )


def print_outcomes(results: dict[str, list[Outcome]], who: str) -> None:
    """Print a line for each filter."""
    heads = (
        "bad kept",
        "good refused",
        "no face",
        "rank 1",
        "less NONE's",
        f"found at {THRESHOLD:g}",
        "less NONE's",
        "mean similar",
        "wrong first",
        "others alike",
    )
    print(table_row(who, heads, first=36, width=17))
    for name, found in results.items():
        if not found:
            continue
        bad = sum(bool(each.way) for each in found)
        # Two good ones beside a bad one, or what was given where none is bad.
        good = sum(each.faces - each.bad_kept + each.good_refused for each in found)
        first, own, wrong = (
            np.concatenate([getattr(each, key) for each in found]) for key in ("first", "own", "wrong")
        )
        cells = (
            f"{sum(e.bad_kept for e in found)} of {bad}",
            f"{sum(e.good_refused for e in found)} of {good}",
            f"{sum(e.faces == 0 for e in found)} of {len(found)}",
            f"{first.mean():.2%}",
            gain(found, results["NONE"], lambda each: sum(each.first)),
            f"{(own >= THRESHOLD).mean():.2%}",
            gain(found, results["NONE"], lambda each: sum(value >= THRESHOLD for value in each.own)),
            f"{own.mean():.2f}",
            f"{wrong.mean():.2%}",
            f"{np.mean([each.alike for each in found]):.3%}",
        )
        print(table_row(f"{name} (AUTO)" if name == fs.SHIPPED_BARS.auto.value else name, cells, first=36, width=17))
    print("  less NONE's: points, and 95% interval over people drawn again\n")


def gain(found: Sequence[Outcome], nothing: Sequence[Outcome], count: Callable[[Outcome], int]) -> str:
    """Return how many more of 100 searches succeed than without a filter, and how far chance may move that."""
    if found is nothing:
        return ""
    names = sorted({each.name for each in nothing})
    shares, searches = [], []
    for outcomes in (found, nothing):
        of = {name: [each for each in outcomes if each.name == name] for name in names}
        shares.append(np.array([sum(map(count, each)) / len(each) for each in of.values()]))
        searches = [len(each[0].own) for each in of.values()]
    difference, weight = shares[0] - shares[1], np.array(searches)
    drawn = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    low, high = np.quantile(difference[drawn].sum(axis=1) / weight[drawn].sum(axis=1), [0.025, 0.975])
    return f"{100 * difference.sum() / weight.sum():+.1f} [{100 * low:+.1f},{100 * high:+.1f}]"


def print_ways(results: dict[str, list[Outcome]]) -> None:
    """Print, by way, how many bad photos are kept and what their users' searches find; then why they were refused."""
    print(table_row("by kind of bad photo, all people", [f"{way}: kept, found" for way in WAYS], first=36, width=22))
    for name, found in results.items():
        cells = []
        for way in WAYS:
            here = [each for each in found if each.way == way]
            own = np.concatenate([each.own for each in here]) if here else np.zeros(0)
            kept = np.mean([each.bad_kept for each in here]) if here else np.nan
            cells.append(f"{kept:.1%}, {(own >= THRESHOLD).mean() if len(own) else np.nan:.2%}")
        print(table_row(name, cells, first=36, width=22))
    for name, found in results.items():
        why = Counter((each.way, each.why) for each in found if each.why)
        print(
            f"  {name}, bad ones refused: "
            + "; ".join(f"{way} {count} {reason}" for (way, reason), count in why.most_common(12))
        )
    print()
