"""Does enrolment refuse wrong photos and `Collection.audit` find planted mistakes? On lfw_grey, or any folder of people.

Protocol
--------
Every photo is embedded once, the face in the middle of each; photos without a detected face
take no part. ``--cache FOLDER`` keeps the vectors, which are biometric data, outside the repository, as benchmarks/calibration.py does. All draws come from ``--seed``.

Enrolment, for batches of 3, 5 and 10 photos of a new user, all other people being users with all their photos: three draws of
everybody with enough photos. *Right photos refused*: of batches of one person. *Wrong found*: one photo in five, and one at
least, is replaced by one of somebody else, a user (whose vector is then made without it) or a stranger (who is no user
then). *Beside*: right photos refused in such batches.

Agreement: which new users are kept out because their photos have no majority (`facesearch.enrolment.agreement.has_majority`). *One person*: every
folder, whole. *Strangers*: photos of as many people, 2,000 draws. *Half and half*: of two people, 1,000 draws. *Five and four*: five photos
of one person and four of anybody, three draws of everybody with five.

Audit: the collection is everybody, with all their photos. It is audited as it is; then with 20 people of four photos or more
each split into two users, and 20 photos, one each of 20 others with four or more, moved to 20 further users with four or more.
What is reported and was not planted is counted as a false alarm, although the labels of LFW have mistakes of their own,
which are printed.

Last, the time that 20,000 made-up users with five faces each take, and how many photos of data/people show a second face.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from _machine import data_folder, print_machine

import facesearch as fs
from facesearch.benchmark import CutOptions, embed_photos, read_people
from facesearch.domain.entities import Face
from facesearch.enrolment.agreement import agreement, doubts, has_majority
from facesearch.enrolment.auditing import OWN_SIMILARITY, audit, leave_one_out
from facesearch.matching.template import robust_mean
from facesearch.responses.audit import AuditReport
from facesearch.selection.face_selection import several_faces
from facesearch.storage.store import StoredFace

BATCHES = (3, 5, 10)
DRAWS = 3
STRANGER_DRAWS, HALF_DRAWS = 2000, 1000
FIVE = 5
PLANTED = 20
ENOUGH = 4
BARS = (75, 50, 30, 15)
PAIR_BARS = (90, 95, 99, 99.3)

Vectors = npt.NDArray[np.float32]
People = dict[str, Vectors]
CALIBRATION = fs.calibration()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", default="lfw_grey", help="folder within the data folder")
    parser.add_argument("--cache", type=Path, help="folder for vectors, outside the repository")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print_machine()
    people = embed(data_folder(arguments.people), arguments.cache)
    print(f"{len(people):,} people, {sum(map(len, people.values())):,} photos with a face, seed {arguments.seed}\n")
    rng = np.random.default_rng(arguments.seed)
    print_agreement(people, np.random.default_rng(arguments.seed))
    print_enrolment(people, rng)
    print_bars(people, rng)
    print_audit(people, rng)
    print_speed(rng)
    print_several()


def embed(folder: Path, cache: Path | None) -> People:
    """Embed the largest face of every photo of a folder with a folder for each person."""
    photos = {name: paths for name, paths in read_people(folder).items() if paths}
    file = None if cache is None else cache / fs.calibration().face_model.name / f"{folder.name}.npz"
    options = CutOptions(choice="centre")
    embedded = embed_photos([path for paths in photos.values() for path in paths], options=options, cache=file)
    names = np.array([name for name, paths in photos.items() for _ in paths])
    found = {name: embedded.vectors[(names == name) & embedded.detected] for name in photos}
    return {name: vectors for name, vectors in found.items() if len(vectors)}


@attrs.frozen(eq=False)
class Users:
    """The users of a collection, one of whom may be away and one of whom may have another vector."""

    names: list[str]
    vectors: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]

    @classmethod
    def of(cls, people: Mapping[str, Vectors]) -> "Users":
        """Make users of people."""
        return cls(
            list(people),
            np.stack([robust_mean(each) for each in people.values()]).astype(np.float64),
            np.array([CALIBRATION.user_offset(len(each)) for each in people.values()]),
        )

    def nearest(
        self, away: set[str], changed: Mapping[str, Vectors], vector: Vectors, reach: float
    ) -> tuple[float, str] | None:
        """Return the nearest user within reach."""
        distances = np.sqrt(((self.vectors - vector) ** 2).sum(axis=1) + self.offsets)
        for name, photos in changed.items():
            distances[self.names.index(name)] = distance(vector, photos) if len(photos) else np.inf
        for name in away:
            distances[self.names.index(name)] = np.inf
        best = int(distances.argmin())
        return (float(distances[best]), self.names[best]) if distances[best] <= reach else None


def distance(vector: Vectors, photos: Vectors) -> float:
    """Return the distance to a user of some photos."""
    difference = vector.astype(np.float64) - robust_mean(photos)
    return float(np.sqrt(difference @ difference + CALIBRATION.user_offset(len(photos))))


def print_enrolment(people: People, rng: np.random.Generator) -> None:
    """Count refused photos by kind of batch."""
    users = Users.of(people)
    multiple = [name for name, photos in people.items() if len(photos) > 1]
    print(
        f"enrolment of new users, {len(users.names):,} others in the collection (photos refused of photos, by reason)"
    )
    for size in BATCHES:
        wrong = max(1, size // 5)
        counts: dict[str, list[int]] = {}
        enough = [name for name, photos in people.items() if len(photos) >= size]
        for name in enough * DRAWS:
            batch = people[name][rng.choice(len(people[name]), size, replace=False)]
            count(counts, "right", judge(users, {name}, {}, batch))
            for kind in ("another user's", "a stranger's"):
                sources = [each for each in rng.choice(multiple, wrong + 1, replace=False).tolist() if each != name][
                    :wrong
                ]
                picks = {source: int(rng.integers(len(people[source]))) for source in sources}
                mixed = batch.copy()
                mixed[:wrong] = [people[source][pick] for source, pick in picks.items()]
                rests = {source: np.delete(people[source], pick, axis=0) for source, pick in picks.items()}
                if kind == "another user's":
                    reasons = judge(users, {name}, rests, mixed)
                else:
                    reasons = judge(users, {name, *sources}, {}, mixed)
                count(counts, f"wrong: {kind}", reasons[:wrong])
                count(counts, f"right, beside {kind}", reasons[wrong:])
        for label, (refused, low, nearer, total) in counts.items():
            print(
                f"  {size:2} photos  {label:<30}{refused:6,} of {total:6,} ({refused / total:6.2%})  "
                f"LOW_MATCH_CONFIDENCE {low:5,}  NEARER_TO_ANOTHER_USER {nearer:5,}"
            )
    singles = [(name, row) for name in multiple for row in range(min(DRAWS, len(people[name])))]
    counts = {}
    for name, row in singles:
        count(counts, "right", judge(users, {name}, {}, people[name][row : row + 1]))
        rest = {name: np.delete(people[name], row, axis=0)}
        count(counts, "wrong: another user's", judge(users, set(), rest, people[name][row : row + 1]))
    for label, (refused, _, _, total) in counts.items():
        print(f"   1 photo   {label:<30}{refused:6,} of {total:6,} ({refused / total:6.2%})")
    print()


def judge(users: Users, away: set[str], changed: Mapping[str, Vectors], batch: Vectors) -> list[tuple[str, ...]]:
    """Return the reasons against each photo of a new user."""
    found = doubts(
        batch,
        batch[:0],
        lambda vector, reach: users.nearest(away, changed, vector, reach),
        threshold=75,
        calibration=CALIBRATION,
        agreed=agreement(batch, batch[:0], threshold=75, calibration=CALIBRATION),
    )
    return [tuple(reason.value for reason in doubt.reasons) if doubt else () for doubt in found]


def count(counts: dict[str, list[int]], label: str, photos: list[tuple[str, ...]]) -> None:
    """Add refused, by either reason, and all."""
    row = counts.setdefault(label, [0, 0, 0, 0])
    row[0] += sum(map(bool, photos))
    row[1] += sum("LOW_MATCH_CONFIDENCE" in reasons for reasons in photos)
    row[2] += sum("NEARER_TO_ANOTHER_USER" in reasons for reasons in photos)
    row[3] += len(photos)


def print_agreement(people: People, rng: np.random.Generator) -> None:
    """Count the new users that are kept out, of one person and of several."""
    apart = CALIBRATION.distance_at(OWN_SIMILARITY)
    print("new users kept out, since their photos have no majority")
    for low, high in ((2, 2), (3, 3), (4, 5), (6, 10), (11, 1000)):
        folders = [photos for photos in people.values() if low <= len(photos) <= high]
        out = sum(not has_majority(photos, apart) for photos in folders)
        print(f"  one person, {low:2} to {high:4} photos    {out:5,} of {len(folders):6,}")
    everybody = list(people.values())
    for size in (2, 3, 4, 5, 10):
        out = 0
        for _ in range(STRANGER_DRAWS):
            drawn = rng.choice(len(everybody), min(size, len(everybody)), replace=False)
            out += not has_majority(np.stack([rng.choice(everybody[each]) for each in drawn]), apart)
        print(f"  strangers, {size:2} photos           {out:5,} of {STRANGER_DRAWS:6,}")
    for size in (4, 6, 10):
        enough = [photos for photos in everybody if len(photos) >= size // 2]
        out = 0
        for _ in range(HALF_DRAWS):
            pair = rng.choice(len(enough), 2, replace=False)
            out += not has_majority(
                np.concatenate([rng.choice(enough[each], size // 2, replace=False) for each in pair]), apart
            )
        print(f"  half and half, {size:2} photos       {out:5,} of {HALF_DRAWS:6,}")
    faces = np.concatenate(everybody)
    out, right, wrong, batches = 0, 0, 0, 0
    for photos in [each for each in everybody if len(each) >= FIVE] * DRAWS:
        batch = np.concatenate([rng.choice(photos, FIVE, replace=False), rng.choice(faces, FIVE - 1)])
        agreed = agreement(batch, batch[:0], threshold=75, calibration=CALIBRATION)
        batches += not agreed.disagree
        out += agreed.disagree
        right += sum(row < FIVE for row in agreed.low)
        wrong += sum(row >= FIVE for row in agreed.low)
    print(
        f"  five and four: {out:,} of {out + batches:,} kept out; of the others' photos {right:,} of {FIVE * batches:,} right and "
        f"{wrong:,} of {(FIVE - 1) * batches:,} wrong ones refused\n"
    )


def print_bars(people: People, rng: np.random.Generator) -> None:
    """Print what other bars would do: of faces against their own, of users against users."""
    print("similarity to the user's other faces below " + "  ".join(f"{bar:>7}" for bar in BARS))
    for size in (2, 3, 5):
        right, wrong = [], []
        everybody = np.concatenate(list(people.values()))
        for photos in people.values():
            if len(photos) >= size:
                batch = photos[rng.choice(len(photos), size, replace=False)]
                right += own(batch).tolist()
                batch[0] = everybody[rng.integers(len(everybody))]
                wrong.append(own(batch)[0])
        for label, found in (("right", right), ("wrong", wrong)):
            cells = "  ".join(f"{np.mean(np.array(found) > CALIBRATION.distance_at(bar)):7.2%}" for bar in BARS)
            print(f"  {size} photos, {label} ({len(found):5,}):{'':14}{cells}")
    print("two users of one person, photos split: similarity at least " + "  ".join(f"{bar:>6}" for bar in PAIR_BARS))
    halves = [
        np.array_split(photos[rng.permutation(len(photos))], 2) for photos in people.values() if len(photos) >= ENOUGH
    ]
    apart = np.array([between(*each) for each in halves])
    cells = "  ".join(f"{np.mean(apart <= CALIBRATION.distance_at(bar)):6.1%}" for bar in PAIR_BARS)
    print(f"  {len(halves)} people: {cells}\n")


def own(photos: Vectors) -> npt.NDArray[np.float64]:
    """Return how far each photo is from the others."""
    distances: npt.NDArray[np.float64] = np.sqrt(leave_one_out(photos) ** 2 + CALIBRATION.user_offset(len(photos) - 1))
    return distances


def between(one: Vectors, other: Vectors) -> float:
    """Return the distance of two users."""
    return float(np.sqrt(distance(robust_mean(other), one) ** 2 + CALIBRATION.user_offset(len(other))))


def print_audit(people: People, rng: np.random.Generator) -> None:
    """Audit everybody as they are, and with mistakes planted."""
    faces = [(face, name, vector) for face, (name, vector) in enumerate(every_face(people))]
    clean = run(faces)
    print(f"as labelled: {clean}\n")
    enough = [name for name, photos in people.items() if len(photos) >= ENOUGH]
    count = min(PLANTED, len(enough) // 3)
    drawn = rng.choice(enough, 3 * count, replace=False).tolist()
    split, robbed, given = (set(drawn[k::3]) for k in range(3))
    targets = dict(zip(sorted(robbed), sorted(given), strict=True))
    moved: set[int] = set()
    parity: dict[str, int] = {}
    planted = []
    for face, name, vector in faces:
        parity[name] = parity.get(name, 0) + 1
        to = name
        if name in split and parity[name] % 2:
            to = f"{name}.2"
        elif name in robbed and parity[name] == 1:
            to = targets[name]
            moved.add(face)
        planted.append((face, to, vector))
    report = run(planted)
    pairs = {pair.user_ids for pair in report.same_person}
    wanted = {(name, f"{name}.2") for name in split}
    faces_found = {int(face.face_id[-12:]): face for face in report.misplaced}
    named = sum(
        faces_found[face].other_user_id == name for face, name, _ in faces if face in moved and face in faces_found
    )
    print(
        f"planted: {count} people under two ids: found {len(pairs & wanted)}; other pairs reported {len(pairs - wanted)}"
    )
    print(
        f"planted: {count} wrong photos: found {len(moved & faces_found.keys())}, of which the right user was named for "
        f"{named}; other photos reported {len(faces_found.keys() - moved)} of {len(faces) - count:,}"
    )
    print(f"loose users reported {len(report.loose)}\n")


def every_face(people: People) -> Iterator[tuple[str, Vectors]]:
    """Return all photos, each with its person."""
    for name, photos in people.items():
        for vector in photos:
            yield name, vector


def run(faces: list[tuple[int, str, Vectors]]) -> AuditReport:
    """Audit a collection of these faces, each with a number and a user."""
    people: dict[str, list[Vectors]] = {}
    for _, name, vector in faces:
        people.setdefault(name, []).append(vector)
    return audit(
        list(people),
        np.stack([robust_mean(np.stack(each)) for each in people.values()]),
        [stored(face, name, vector) for face, name, vector in faces],
        calibration=CALIBRATION,
    )


def stored(number: int, user_id: str, vector: Vectors) -> StoredFace:
    """Return a face of a user."""
    return StoredFace(Face(face_id=f"00000000-0000-0000-0000-{number:012d}", user_id=user_id), vector)


def print_speed(rng: np.random.Generator, users: int = 20_000, photos: int = 5) -> None:
    """Time an audit of many made-up users."""
    people = rng.standard_normal((users, 1, 128))
    faces = people + 0.6 * rng.standard_normal((users, photos, 128))
    faces = (faces / np.linalg.norm(faces, axis=2, keepdims=True)).astype(np.float32)
    templates = np.stack([robust_mean(each) for each in faces])
    names = [f"user{row}" for row in range(users)]
    owners = [name for name in names for _ in range(photos)]
    gallery = [stored(face, *each) for face, each in enumerate(zip(owners, faces.reshape(-1, 128), strict=True))]
    start = time.perf_counter()
    report = audit(
        names,
        templates,
        gallery,
        calibration=CALIBRATION,
    )
    print(f"{users:,} users with {photos} faces each: {time.perf_counter() - start:.1f} s; {report}"[:400])


def print_several() -> None:
    """Print how many photos of data/people show a second face, and how many one that enrolment refuses."""
    photos = sorted(data_folder("people").glob("*/*.jpg"))
    areas = [[face.measurements.area for face in faces] for faces in fs.FaceAnalyzer().analyze_many(photos)]
    second = sum(len(each) > 1 for each in areas)
    print(
        f"{len(photos)} photos of data/people: {second} with a second face, {sum(map(several_faces, areas))} refused for it"
    )


if __name__ == "__main__":
    main()
