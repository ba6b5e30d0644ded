"""Groups of the faces in a collection that belong to no user."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Final

import attrs
import numpy as np

from facesearch.collection.base import CollectionBase
from facesearch.common.arrays import FloatArray
from facesearch.common.progress import progress_bar
from facesearch.common.tables import ROWS_SHOWN
from facesearch.common.validation import check_bool, check_float, check_int
from facesearch.matching.linkage import UNKNOWN_PHOTO, Linkage, average_linkage, without_loose_pairs
from facesearch.matching.template import robust_mean
from facesearch.responses.grouping import FaceGroup, FaceGroups, NearestUser

__all__ = ["GROUP_SIMILARITY", "NEAREST_USER_SIMILARITY", "CollectionGrouping", "pair_similarity"]

# Percent, of two parts of a group.
GROUP_SIMILARITY: Final = 80.0
# Percent, of a user to a group, from which on the user is named as the person that the group may be.
NEAREST_USER_SIMILARITY: Final = 50.0


def pair_similarity(threshold: float) -> float:
    """Return the least similarity of two faces that are a group by themselves, percent: halfway from *threshold* to 100.

    Among many faces most pairs are of strangers: a pair needs more than a face that joins a group.
    """
    return (100 + threshold) / 2


_PROBES_AT_ONCE: Final = 1024
_PICTURES: Final = 6  # of a group in a notebook


class CollectionGrouping(CollectionBase):
    """The operation that groups faces without users."""

    def groups(
        self,
        *,
        threshold: float = GROUP_SIMILARITY,
        min_faces: int = 2,
        set_aside: bool = False,
        progress: bool = True,
    ) -> tuple[FaceGroup, ...]:
        """Group the faces that belong to no user: each group is probably one person.

        Parameters
        ----------
        threshold
            Percent, 0-100: the least similarity of two parts of a group, compared by the mean of the squared distances between their
            faces. A higher threshold makes smaller and purer groups. Two faces alone must be similar by `pair_similarity`: 90 for 80.
        min_faces
            The least number of faces of a group, >= 1.
        set_aside
            Return the groups with a face that was set aside, instead of those without.
        progress
            Show a progress bar on a terminal if tqdm is installed.

        Returns
        -------
        tuple of FaceGroup
            Largest first, ties by group id. Two faces of one photo (`Face.image_id`) are never in one group. The collection is not
            changed.

        Raises
        ------
        InvalidParameterError
            If an argument is wrong.

        Notes
        -----
        `facesearch.matching.linkage` describes the algorithm, average linkage. The groups do not depend on the order in which the faces
        were added.

        Examples
        --------
        >>> import numpy as np
        >>> album = Collection("album")
        >>> _ = album.add_embeddings(["unknown"] * 6, np.eye(3, 128)[[0, 1, 0, 1, 0, 2]])
        >>> album.delete_user("unknown", faces=False)  # the faces stay
        >>> [len(group) for group in album.groups()]
        [3, 2]
        """
        check_float("threshold", threshold, 0, 100)
        check_int("min_faces", min_faces, 1)
        check_bool("set_aside", set_aside)
        check_bool("progress", progress)
        with self._store.reading():
            face_ids, photos, vectors = self._unassociated()
            aside = self._store.aside()
        bar = progress_bar("faces compared", len(face_ids), unit="face") if progress and face_ids else None

        def report(done: int) -> None:
            if bar is not None:
                bar.update(done - bar.n)

        with bar or contextlib.nullcontext():
            linkage = average_linkage(vectors, photos, self._calibration.distance_at(threshold), report=report)
        linkage = without_loose_pairs(linkage, self._calibration.distance_at(pair_similarity(threshold)))
        found = [
            each
            for each in _ordered_groups(face_ids, vectors, linkage, min_faces)
            if (not aside.isdisjoint(each.face_ids)) == set_aside
        ]
        groups = (
            FaceGroup(
                face_ids=each.face_ids,
                similarity=self._calibration.similarity(each.height),
                nearest_user=user,
                set_aside=set_aside,
            )
            for each, user in zip(found, self._nearest_users(found), strict=True)
        )
        ranked = sorted(groups, key=lambda group: (-len(group), group.group_id))
        shown = [face_id for group in ranked[:ROWS_SHOWN] for face_id in group.face_ids[:_PICTURES]]
        with self._store.reading():
            return FaceGroups(ranked, self._thumbnails_of(shown) if self._thumbnails else None)

    def _unassociated(self) -> tuple[list[str], list[int], FloatArray]:
        """Return the ids, the numbers of the photos and the vectors, (N, dimension), of the faces without a user, sorted by id."""
        face_ids: list[str] = []
        photos: list[int] = []
        vectors: list[FloatArray] = []
        numbers: dict[str | None, int] = {None: UNKNOWN_PHOTO}
        for stored in self._store.stored_faces():
            if stored.face.user_id is None:
                face_ids.append(stored.face.face_id)
                photos.append(numbers.setdefault(stored.face.image_id, len(numbers)))
                vectors.append(stored.embedding)
        return face_ids, photos, np.array(vectors, np.float32).reshape(-1, self._face_model.dimension)

    def _nearest_users(self, groups: Sequence["_Group"]) -> Iterator[NearestUser | None]:
        """Yield the nearest user of each group, as `CollectionSearch.rank_like_user` compares users."""
        reach = self._calibration.distance_at(NEAREST_USER_SIMILARITY - 1e-9)
        for first in range(0, len(groups), _PROBES_AT_ONCE):
            part = groups[first : first + _PROBES_AT_ONCE]
            probes = np.stack([group.template for group in part])
            ranked = self._store.nearest(probes, max_distance=reach, limit=1)
            for group, (near, _) in zip(part, ranked, strict=True):
                offset = self._calibration.user_offset(len(group.face_ids))
                users = (
                    NearestUser(
                        user_id=user_id, similarity=self._calibration.similarity(math.sqrt(distance**2 + offset))
                    )
                    for distance, user_id in near
                )
                yield next((user for user in users if user.similarity >= NEAREST_USER_SIMILARITY), None)


@attrs.frozen(eq=False)
class _Group:
    """A group before it is compared with users."""

    face_ids: tuple[str, ...]
    template: FloatArray
    height: float


def _ordered_groups(face_ids: Sequence[str], vectors: FloatArray, linkage: Linkage, min_faces: int) -> Iterator[_Group]:
    """Yield the clusters of enough faces, the faces of each by their distance from its template."""
    order = np.argsort(linkage.labels, kind="stable")
    sizes = np.bincount(linkage.labels, minlength=len(linkage.heights))
    ends = np.cumsum(sizes)
    for cluster in np.flatnonzero(sizes >= min_faces).tolist():
        rows = order[ends[cluster] - sizes[cluster] : ends[cluster]]
        template = robust_mean(vectors[rows])
        differences = vectors[rows].astype(np.float64) - template
        distances = np.sqrt(np.einsum("ij,ij->i", differences, differences))
        ranked = sorted(zip(distances.tolist(), (face_ids[row] for row in rows.tolist()), strict=True))
        yield _Group(tuple(face_id for _, face_id in ranked), template, float(linkage.heights[cluster]))
