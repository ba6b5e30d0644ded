"""Read a folder of photos for each person, and assign people to roles in a measurement."""

from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
from attrs import field

from facesearch.common.validation import check_float, check_int, tuple_of
from facesearch.enrolment.folder_plan import PHOTO_SUFFIXES
from facesearch.errors import InvalidParameterError

__all__ = ["Split", "read_people", "split_people"]


def read_people(folder: str | Path) -> dict[str, tuple[Path, ...]]:
    """List the photos of a folder that has a folder for each person.

    Parameters
    ----------
    folder
        Its sub-folders are named as the people; picture files in them are their photos, other files are ignored, and
        so are hidden folders and those without photos.

    Returns
    -------
    dict
        From name to paths, both sorted.

    Raises
    ------
    InvalidParameterError
        If there is no such folder, or none with photos in it.
    """
    root = Path(folder)
    people = {}
    if root.is_dir():
        for sub in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
            photos = tuple(sorted(path for path in sub.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES))
            if photos:
                people[sub.name] = photos
    if not people:
        raise InvalidParameterError.of("folder", str(folder), "a folder with a folder of photos for each person")
    return people


@attrs.frozen(kw_only=True)
class Split:
    """Roles of people in a measurement; every person has one.

    Attributes
    ----------
    mates
        Enrolled, and searched with other photos.
    strangers
        Searched and never enrolled.
    distractors
        Left over: too few photos to be enrolled and searched too. Enrolled to fill the gallery, on request.
    """

    mates: tuple[str, ...] = field(validator=tuple_of(str))
    strangers: tuple[str, ...] = field(validator=tuple_of(str))
    distractors: tuple[str, ...] = field(validator=tuple_of(str))


def split_people(counts: Mapping[str, int], *, photos: int, strangers: float = 0.3, seed: int = 0) -> Split:
    """Assign a role to every person.

    Parameters
    ----------
    counts
        Number of photos of each person.
    photos
        How many a person must have to be a mate, >= 1.
    strangers
        Share of all people to keep out of the gallery, 0-1. They are drawn from those with too few photos to be mates, and
        from the others only when these do not suffice.
    seed
        For the draw, >= 0.

    Raises
    ------
    InvalidParameterError
        If an argument is invalid, or no person is left to be a mate.

    Examples
    --------
    >>> split_people({"ada": 9, "bob": 1, "eve": 1, "dan": 8}, photos=6, strangers=0.25)
    Split(mates=('ada', 'dan'), strangers=('bob',), distractors=('eve',))
    """
    check_int("photos", photos, 1)
    names = sorted(counts)
    drawn = [names[row] for row in np.random.default_rng(check_int("seed", seed, 0)).permutation(len(names))]
    drawn.sort(key=lambda name: counts[name] >= photos)  # stable: the draw's order within either kind
    away = round(check_float("strangers", strangers, 0, 1) * len(names))
    mates = [name for name in drawn[away:] if counts[name] >= photos]
    if not mates:
        most = max(counts.values(), default=0)
        raise InvalidParameterError(
            f"photos: expected a person with {photos} photos or more to enrol and search, who is no stranger; "
            f"got {len(names)} people with at most {most}, {away} of them strangers"
        )
    return Split(
        mates=tuple(sorted(mates)),
        strangers=tuple(sorted(drawn[:away])),
        distractors=tuple(sorted(name for name in drawn[away:] if counts[name] < photos)),
    )
