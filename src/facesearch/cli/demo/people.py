"""Second part of the demo: a folder of photographs for each person, taken on different days."""

from collections.abc import Callable
from pathlib import Path

import facesearch as fs
from facesearch.domain.user_ids import nearest_user_id

__all__ = ["run_on_people"]

_ENROLLED = 3  # photos per person; the others are searched


def run_on_people(folder: Path, log: Callable[[str], None]) -> list[str]:
    """Enrol 3 photos of each person, search the others, and *log* the results; return a message for each failure.

    Ten people are not a benchmark, and one wrong result in 70 is not a failure; use `facesearch benchmark identify` to measure. A failure
    is a person found first in at most half of the photos.
    """
    log("")
    log(f"The same on {folder}: {_ENROLLED} photos of each person enrolled, the others searched")
    photos = {
        user_id: sorted(person.glob("*.jpg"))
        for person in sorted(folder.iterdir())
        if person.is_dir() and (user_id := nearest_user_id(person.name))
    }
    staff = fs.Collection("people")
    for name, paths in photos.items():
        staff.enroll(name, paths[:_ENROLLED])
    log(f"  {staff!r}")
    log(f"  {'person':<22} {'found first':>11} {'lowest of own':>13} {'highest of others':>19}")
    failures = []
    for name, paths in photos.items():
        right, own, other = 0, [], []
        for path in paths[_ENROLLED:]:
            matches = fs.search_users_by_image(staff, path, user_match_threshold=0).user_matches
            right += bool(matches) and matches[0].user.user_id == name
            scores = {match.user.user_id: match.similarity for match in matches}
            own.append(scores.pop(name, 0.0))
            other.append(max(scores.values(), default=0.0))
        log(f"  {name:<22} {f'{right} of {len(own)}':>11} {min(own):13.2f} {max(other):19.2f}")
        if right * 2 <= len(own):
            failures.append(f"{name} came first in only {right} of {len(own)} photos")
    return failures
