"""Audit of a collection: one person under two ids, faces of another person, users with faces of several people.

A face is compared with the geometric median of its user's *other* faces: otherwise a wrong photo would support itself. Pure
functions over arrays; they change nothing.
"""

from collections.abc import Sequence
from typing import Final

import attrs
import numpy as np
import numpy.typing as npt

from facesearch.common.arrays import FloatArray
from facesearch.common.validation import check_float, check_int
from facesearch.domain.entities import Face
from facesearch.errors import InvalidParameterError, shown
from facesearch.matching.calibration import Calibration
from facesearch.matching.template import SHORTEST_CENTER, of_unit_length
from facesearch.responses.audit import AuditReport, LooseUser, MisplacedFace, SamePerson
from facesearch.storage.store import StoredFace

__all__ = [
    "NEARER_RATIO",
    "OTHER_USER_SIMILARITY",
    "OWN_SIMILARITY",
    "SAME_PERSON_SIMILARITY",
    "agree",
    "audit",
    "leave_one_out",
]

Distances = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

# All measured by benchmarks/auditing.py on lfw_grey; its docstring describes the protocol.
# Percent, of two users' templates: reached by 98.6% of 295 people split into two users, and by 13 of 4.1 million pairs of
# users, some of whom are one person under two names.
SAME_PERSON_SIMILARITY: Final = 99.0
# Percent, of a face to the other faces of its user: of users with three faces 1.3% of the right faces are below, with five 0.5%, and all
# of the wrong ones.
OWN_SIMILARITY: Final = 50.0
# Percent, of a face to another user: AWS's default for associating faces.
OTHER_USER_SIMILARITY: Final = 75.0
# A face is nearer to another user when its distance is below this fraction of that to its own user: among thousands of users
# there is often one that is a little nearer by chance.
NEARER_RATIO: Final = 0.85

# As in facesearch.matching.template.robust_mean, which computes the same median.
_MEDIAN_STEPS = 20
_MEDIAN_FLOOR = 1e-3
_SMALLEST = 1e-100
_AT_ONCE = 1 << 20  # numbers in a temporary array, so that memory does not grow with the collection
_FEWEST_TO_ITERATE = 4
_PAIRS_AT_ONCE = 10_000


def leave_one_out(vectors: FloatArray) -> Distances:
    """Return the distance, Euclidean, of each vector from `facesearch.matching.template.robust_mean` of the others.

    The vectors are (..., N, D), N >= 2: one group, or many of the same size. The result is float64, (..., N).

    Examples
    --------
    >>> leave_one_out(np.array([[0, 0], [2, 0], [1, 3]], np.float32)).round(2).tolist()
    [2.12, 2.12, 3.0]
    """
    count = vectors.shape[-2]
    centred = vectors.astype(np.float64) - vectors.mean(axis=-2, keepdims=True, dtype=np.float64)
    # Weiszfeld's steps need only the products of the vectors: a centre is represented by its weights.
    products = centred @ np.swapaxes(centred, -1, -2)
    norms = np.diagonal(products, axis1=-2, axis2=-1)
    others = 1 - np.eye(count)
    weights = np.broadcast_to(others / (count - 1), products.shape)
    squared = _from_centres(weights, products, norms)
    if count >= _FEWEST_TO_ITERATE:
        floor = _MEDIAN_FLOOR * (np.sqrt(squared) * others).sum(axis=-1, keepdims=True) / (count - 1)
        floor = np.maximum(floor, _SMALLEST)  # equal vectors have distance 0
        for _ in range(_MEDIAN_STEPS):
            weights = others / np.maximum(np.sqrt(squared), floor)
            weights = weights / weights.sum(axis=-1, keepdims=True)
            squared = _from_centres(weights, products, norms)
    unit = of_unit_length(vectors)
    if unit.any():
        squared = np.where(unit[..., np.newaxis, np.newaxis], _from_unit_centres(weights, vectors, squared), squared)
    distances: Distances = np.sqrt(np.diagonal(squared, axis1=-2, axis2=-1))
    return distances


def _from_unit_centres(weights: Distances, vectors: FloatArray, squared: Distances) -> Distances:
    """Return the squared distances of all vectors from the weighted centres, scaled to unit length where they have a direction."""
    exact = vectors.astype(np.float64)
    along = weights @ (exact @ np.swapaxes(exact, -1, -2))
    lengths = np.sqrt(np.maximum((weights * along).sum(axis=-1, keepdims=True), 0))
    has_direction = (lengths > SHORTEST_CENTER) & ((weights > 0).sum(axis=-1, keepdims=True) > 1)
    cosines = along / np.where(has_direction, lengths, 1)
    norms = (exact * exact).sum(axis=-1)[..., np.newaxis, :]
    return np.where(has_direction, np.maximum(norms - 2 * cosines + 1, 0), squared)


def _from_centres(weights: Distances, products: Distances, norms: Distances) -> Distances:
    """Return, for each row of weights, the squared distances of all vectors from the weighted centre."""
    along = weights @ products
    squared = norms[..., np.newaxis, :] - 2 * along + (weights * along).sum(axis=-1, keepdims=True)
    result: Distances = np.maximum(squared, 0)
    return result


def agree(vectors: FloatArray, distance: float) -> bool:
    """Return whether several faces show one person: at least half of all pairs are no farther apart than *distance*.

    The faces are (N, D) float32; fewer than two are no evidence.

    Examples
    --------
    >>> agree(np.array([[0, 0], [0, 1], [5, 5]], np.float32), 2.0)
    False
    """
    rows = vectors.astype(np.float64)
    one, other = np.triu_indices(len(rows), 1)
    if not len(one):
        return False
    pairs = np.sqrt(((rows[one] - rows[other]) ** 2).sum(axis=1))
    return bool(2 * np.count_nonzero(pairs <= distance) >= len(pairs))


def audit(
    user_ids: Sequence[str],
    user_vectors: FloatArray,
    faces: Sequence[StoredFace],
    *,
    calibration: Calibration,
    threshold: float = SAME_PERSON_SIMILARITY,
    own_threshold: float = OWN_SIMILARITY,
    limit: int = 1000,
    block: int = 1024,
) -> AuditReport:
    """Find suspected mistakes in a collection.

    *user_vectors*, (U, D) float32, are the templates of the users; *faces* are theirs, at least one of each. For the options see
    `facesearch.Collection.audit`; *block*, the number of rows compared at once, affects only memory and time. The report does not
    depend on the order of users and faces.

    Notes
    -----
    A face is *misplaced* when it is far from its user's other faces, which agree among themselves. It is also misplaced when it
    is nearer to another user, by the factor `NEARER_RATIO`, with a similarity of at least `OTHER_USER_SIMILARITY`, unless the
    two users are reported as one person. A user's only face can't be audited. Where a user has two faces that differ, it is
    unknown which is wrong: such a user is *loose*.

    Examples
    --------
    >>> from facesearch.domain.entities import Face
    >>> from facesearch.matching.template import robust_mean
    >>> from facesearch.matching.calibration import calibration
    >>> ada, bob = np.eye(2, 128, dtype=np.float32)
    >>> vectors = np.stack([ada, ada, ada, bob, bob, bob, ada])  # the last is ada's, under bob's id
    >>> faces = [
    ...     StoredFace(Face(face_id=f"00000000-0000-0000-0000-00000000000{i}", user_id="ada" if i < 3 else "bob"), vector)
    ...     for i, vector in enumerate(vectors)
    ... ]
    >>> templates = np.stack([robust_mean(vectors[:3]), robust_mean(vectors[3:])])
    >>> report = audit(["ada", "bob"], templates, faces, calibration=calibration())
    >>> [(face.face_id[-1], face.user_id, face.other_user_id) for face in report.misplaced]
    [('6', 'bob', 'ada')]
    """
    check_float("threshold", threshold, 0, 100)
    check_float("own_threshold", own_threshold, 0, 100)
    check_int("limit", limit, 1)
    check_int("block", block, 1)
    gallery = _Gallery.of(user_ids, user_vectors, faces, calibration)
    own = gallery.own_distances(calibration)
    return AuditReport(
        users=len(gallery.user_ids),
        faces=len(faces),
        same_person=_same_person(gallery, calibration, threshold, limit, block),
        misplaced=_misplaced(gallery, own, calibration, threshold, own_threshold, block)[:limit],
        loose=_loose(gallery, own, calibration, own_threshold)[:limit],
    )


@attrs.frozen(kw_only=True, eq=False)
class _Gallery:
    """Users sorted by id, and faces sorted by user and vector, so that the order of the input can't matter."""

    user_ids: list[str]
    vectors: FloatArray
    offsets: Distances  # added to squared distances from a user's vector
    faces: list[Face]
    owner: Rows  # row of the user
    starts: Rows  # row of each user's first face
    counts: Rows
    embeddings: FloatArray

    @classmethod
    def of(
        cls, user_ids: Sequence[str], user_vectors: FloatArray, faces: Sequence[StoredFace], calibration: Calibration
    ) -> "_Gallery":
        users = sorted(range(len(user_ids)), key=user_ids.__getitem__)
        rows: dict[str | None, int] = {user_ids[user]: row for row, user in enumerate(users)}
        if {stored.face.user_id for stored in faces} != set(rows) or len(rows) != len(user_ids):
            expected = "the users of the faces, each once"
            raise InvalidParameterError(f"user_ids: expected {expected}, got {shown(list(user_ids))}")
        # By vector before id: ids are random, and the last bit of a sum must not depend on them.
        ordered = sorted(faces, key=lambda each: (rows[each.face.user_id], each.embedding.tobytes(), each.face.face_id))
        owner = np.array([rows[each.face.user_id] for each in ordered], np.intp)
        counts = np.bincount(owner, minlength=len(rows))
        offsets = {count: calibration.user_offset(count) for count in set(counts.tolist())}
        return cls(
            user_ids=[user_ids[user] for user in users],
            vectors=user_vectors[users],
            offsets=np.array([offsets[count] for count in counts.tolist()], np.float64),
            faces=[each.face for each in ordered],
            owner=owner,
            starts=np.cumsum(counts) - counts,
            counts=counts,
            embeddings=np.array([each.embedding for each in ordered], np.float32).reshape(-1, user_vectors.shape[1]),
        )

    def faces_of(self, user: int) -> slice:
        return slice(int(self.starts[user]), int(self.starts[user] + self.counts[user]))

    def others_agree(self, face: int, distance: float) -> bool:
        mine = self.faces_of(int(self.owner[face]))
        return agree(np.delete(self.embeddings[mine], face - mine.start, axis=0), distance)

    def between(self, one: Rows | int, other: Rows | int) -> Distances:
        """Return the distances of users from users."""
        return _exact(self.vectors[one], self.vectors[other], self.offsets[one] + self.offsets[other])

    def own_distances(self, calibration: Calibration) -> Distances:
        """Return the distance of each face from its user's other faces, with the offset; infinite for an only face."""
        result = np.full(len(self.faces), np.inf)
        for count in sorted(set(self.counts.tolist()) - {1}):
            starts = self.starts[self.counts == count]
            step = max(1, _AT_ONCE // (count * max(count, self.embeddings.shape[1])))
            for first in range(0, len(starts), step):
                rows = starts[first : first + step, np.newaxis] + np.arange(count)
                squared = leave_one_out(self.embeddings[rows]) ** 2
                result[rows] = np.sqrt(squared + calibration.user_offset(count - 1))
        return result


@attrs.frozen(eq=False)
class _Distances:
    """Squared distances of many vectors from many others as one matrix product in float32, with an error bound."""

    left: FloatArray
    right: FloatArray
    margin: float

    @classmethod
    def between(cls, ones: FloatArray, ones_add: Distances, others: FloatArray, others_add: Distances) -> "_Distances":
        # (-2a, |a|^2, 1) . (b, 1, |b|^2): the product is the squared distance.
        left, right = (
            np.einsum("ij,ij->i", each, each, dtype=np.float64) + add
            for each, add in ((ones, ones_add), (others, others_add))
        )
        largest = float(left.max(initial=0) + right.max(initial=0))
        return cls(
            np.column_stack([-2 * ones, left, np.ones(len(ones))]).astype(np.float32),
            np.column_stack([others, np.ones(len(others)), right]).astype(np.float32),
            # Higham 2002, section 3.1, with room to spare, as in facesearch.matching.template.
            2 * (ones.shape[1] + 6) * float(np.finfo(np.float32).eps) * largest,
        )

    def rows(self, rows: Rows | slice, first: int = 0) -> FloatArray:
        product: FloatArray = self.left[rows] @ self.right[first:].T
        return product


def _exact(ones: FloatArray, others: FloatArray, add: Distances) -> Distances:
    """Return distances row by row; the result for a row does not depend on the number of rows."""
    differences = ones.astype(np.float64) - others
    distances: Distances = np.sqrt((differences * differences).sum(axis=-1) + add)
    return distances


def _same_person(
    gallery: _Gallery, calibration: Calibration, threshold: float, limit: int, block: int
) -> tuple[SamePerson, ...]:
    offsets, count = gallery.offsets, len(gallery.user_ids)
    # The threshold applies to the similarity itself; this distance only bounds the work, so it is slightly greater.
    reach = calibration.distance_at(max(0, threshold - 1e-9))
    distances = _Distances.between(gallery.vectors, offsets, gallery.vectors, offsets)
    found: list[tuple[float, int, int]] = []
    for first in range(0, count, block):
        squared = distances.rows(slice(first, first + block), first)
        near = np.triu(squared <= reach * reach + distances.margin, 1)
        ones, others = (each + first for each in np.nonzero(near))
        for part in range(0, len(ones), _PAIRS_AT_ONCE):
            one, other = ones[part : part + _PAIRS_AT_ONCE], others[part : part + _PAIRS_AT_ONCE]
            found += zip(gallery.between(one, other).tolist(), one.tolist(), other.tolist(), strict=True)
            if len(found) > limit + _PAIRS_AT_ONCE:
                found = sorted(found)[:limit]
                reach = min(reach, found[-1][0])
    pairs = (
        SamePerson(
            user_ids=(gallery.user_ids[one], gallery.user_ids[other]), similarity=calibration.similarity(distance)
        )
        for distance, one, other in sorted(found)[:limit]
    )
    return tuple(pair for pair in pairs if pair.similarity >= threshold)


def _misplaced(  # noqa: PLR0917  # what audit has, as it has it
    gallery: _Gallery, own: Distances, calibration: Calibration, threshold: float, own_threshold: float, block: int
) -> tuple[MisplacedFace, ...]:
    apart = calibration.distance_at(own_threshold)
    accompanied = np.flatnonzero(np.isfinite(own))
    far = np.fromiter(
        (own[face] > apart and gallery.others_agree(face, apart) for face in accompanied.tolist()), np.bool_
    )
    # Where the others don't agree, the distance from them is no evidence, and neither is a nearer other user.
    known = far | (own[accompanied] <= apart)
    accompanied, far = accompanied[known], far[known]
    near = calibration.distance_at(OTHER_USER_SIMILARITY)
    reach = np.where(far, near, np.minimum(near, NEARER_RATIO * own[accompanied]))
    others = _nearest_others(gallery, accompanied, reach, block)
    result = []
    one_person = calibration.distance_at(threshold)
    for face, is_far, other in zip(accompanied.tolist(), far.tolist(), others, strict=True):
        # Two users that look like one person are reported once, not once more for each of their faces.
        if is_far or (other and gallery.between(int(gallery.owner[face]), other[1]) > one_person):
            misplaced = MisplacedFace(
                face_id=gallery.faces[face].face_id,
                user_id=gallery.user_ids[gallery.owner[face]],
                similarity=calibration.similarity(own[face]),
                other_user_id=gallery.user_ids[other[1]] if other else None,
                other_similarity=calibration.similarity(other[0]) if other else None,
                source=gallery.faces[face].source,
            )
            result.append((-own[face], misplaced.user_id, misplaced.face_id, misplaced))
    return tuple(each[-1] for each in sorted(result, key=lambda each: each[:3]))


def _nearest_others(gallery: _Gallery, faces: Rows, reach: Distances, block: int) -> list[tuple[float, int] | None]:
    """Return for each face the nearest other user as (distance, row), or ``None`` if none is within reach."""
    if not len(faces):
        return []
    no_offset = np.zeros(len(faces))
    distances = _Distances.between(gallery.embeddings[faces], no_offset, gallery.vectors, gallery.offsets)
    result: list[tuple[float, int] | None] = [None] * len(faces)
    for first in range(0, len(faces), block):
        mine = np.arange(first, min(first + block, len(faces)))
        squared = distances.rows(mine)
        squared[mine - first, gallery.owner[faces[mine]]] = np.inf
        nearest = squared.min(axis=1)
        for row in np.flatnonzero(nearest <= reach[mine] ** 2 + distances.margin).tolist():
            users = np.flatnonzero(squared[row] <= nearest[row] + 2 * distances.margin)
            face = gallery.embeddings[faces[first + row]]
            exact = _exact(face, gallery.vectors[users], gallery.offsets[users])
            best = min(zip(exact.tolist(), users.tolist(), strict=True))
            if best[0] < reach[first + row]:
                result[first + row] = best
    return result


def _loose(gallery: _Gallery, own: Distances, calibration: Calibration, own_threshold: float) -> tuple[LooseUser, ...]:
    apart = calibration.distance_at(own_threshold)
    result = []
    for user in np.flatnonzero(gallery.counts > 1).tolist():
        median = float(np.median(own[gallery.faces_of(user)]))
        if median > apart:
            result.append((-median, gallery.user_ids[user], int(gallery.counts[user])))
    return tuple(
        LooseUser(user_id=user_id, faces=faces, similarity=calibration.similarity(-median))
        for median, user_id, faces in sorted(result)
    )
