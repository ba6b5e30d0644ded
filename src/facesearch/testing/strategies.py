"""Hypothesis strategies for the values of this library, for your own property tests. Requires hypothesis.

Each strategy draws every value that its class accepts, limits included, and shrinks toward few, short and round values.

Examples
--------
>>> import facesearch as fs
>>> from hypothesis import given
>>> from facesearch.testing.strategies import responses
>>> @given(responses())
... def test_the_best_match_comes_first(response):
...     scores = [match.similarity for match in response.user_matches]
...     assert scores == sorted(scores, reverse=True)
>>> test_the_best_match_comes_first()
"""

import string
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, TypeVar

import attrs
import numpy as np

from facesearch.aws import is_local
from facesearch.common.arrays import FloatArray
from facesearch.domain import face_detail as face, geometry
from facesearch.domain.changes import Change, ChangedFace, ChangeKind
from facesearch.errors import MissingExtraError
from facesearch.responses import grouping, search_faces as face_results, search_users as results
from facesearch.selection.quality_filter import FaceMeasurements, FilterBars, QualityBars, QualityFilter

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ImportError as _error:
    raise MissingExtraError.of("facesearch.testing.strategies", "hypothesis", "testing") from _error

__all__ = [
    "bounding_boxes",
    "changes",
    "compare_faces_responses",
    "embeddings",
    "face_details",
    "face_groups",
    "face_ids",
    "face_matches",
    "face_measurements",
    "filter_bars",
    "photo_sources",
    "quality_bars",
    "responses",
    "search_faces_by_image_responses",
    "search_faces_responses",
    "search_users_responses",
    "searched_face_responses",
    "unsearched_faces",
    "user_ids",
    "user_matches",
    "values",
]

T = TypeVar("T")

_PERCENT = st.floats(0, 100)
_DEGREES = st.floats(-180, 180)
_VERSIONS = st.from_regex(r"[0-9]{1,2}(\.[0-9])?", fullmatch=True)
_COORDINATES = st.floats(-1e6, 1e6)


def user_ids(*, max_size: int = 128) -> SearchStrategy[str]:
    """Draw user ids: 1 to *max_size* of AWS's characters. Shrinks toward ``"0"``."""
    return st.text(string.digits + string.ascii_letters + "_.-:", min_size=1, max_size=max_size)


def face_ids() -> SearchStrategy[str]:
    """Draw face ids: lower-case UUIDs. Shrinks toward zeros."""
    return st.uuids().map(str)


def photo_sources(*, max_size: int = 4096) -> SearchStrategy[str]:
    """Draw sources of photos: any text without NUL, as paths have, lone surrogates included. Shrinks toward ``"0"``."""
    anything = st.characters(exclude_characters="\0")  # draws surrogates too
    parts = st.sampled_from(["/", "\\", "..", " ", "\n", "\x1b[2J", "\udcff", "ü", "a.jpg"])
    return st.lists(anything | parts, min_size=1).map("".join).map(lambda text: text[:max_size])


def embeddings(dimension: int = 128, *, spread: float = 1.0) -> SearchStrategy[FloatArray]:
    """Draw vectors: (dimension,) float32, finite and not all zero, entries within +-*spread*.

    Shrinks toward a seed of 0: the entries come from a generator, because drawing 128 floats one by one is slow.
    """
    return st.integers(0, 2**32 - 1).map(
        lambda seed: np.random.default_rng(seed).uniform(-spread, spread, dimension).astype(np.float32)
    )


def face_groups(*, max_size: int = 5) -> SearchStrategy[grouping.FaceGroup]:
    """Draw groups of 1 to *max_size* faces. Shrinks toward one face."""
    return st.builds(
        grouping.FaceGroup,
        face_ids=st.lists(face_ids(), min_size=1, max_size=max_size, unique=True).map(tuple),
        similarity=_PERCENT,
        nearest_user=st.none() | values(grouping.NearestUser),
        set_aside=st.booleans(),
    )


def changes(*, max_size: int = 5) -> SearchStrategy[Change]:
    """Draw changes of up to *max_size* faces, as `Collection.undo` returns them. Shrinks toward one without faces."""
    users, several = (
        st.none() | user_ids(),
        st.lists(user_ids(), max_size=2, unique=True).map(lambda ids: tuple(sorted(ids))),
    )

    def ordered(faces: list[ChangedFace]) -> tuple[ChangedFace, ...]:
        return tuple(sorted(faces, key=lambda face: face.face_id))

    faces = st.lists(_values(ChangedFace), max_size=max_size, unique_by=lambda face: face.face_id).map(ordered)
    return st.builds(
        Change,
        kind=st.sampled_from(ChangeKind),
        user_id=users,
        other_user_id=users,
        faces=faces,
        created_users=several,
        deleted_users=several,
    )


def bounding_boxes() -> SearchStrategy[geometry.BoundingBox]:
    """Draw boxes, some of which leave the picture. Shrinks toward an empty one in the corner."""
    return values(geometry.BoundingBox)


def face_details() -> SearchStrategy[face.FaceDetail]:
    """Draw faces with any part present or absent. Shrinks toward one with nothing known."""
    return values(face.FaceDetail)


def face_measurements() -> SearchStrategy[FaceMeasurements]:
    """Draw measurements of a face; its quality may be unknown. Shrinks toward the smallest, dark, blurred and unsure."""
    return st.builds(
        FaceMeasurements,
        area=st.floats(0, 1e6),
        size=st.floats(0, 200),
        confidence=_PERCENT,
        brightness=_PERCENT,
        sharpness=_PERCENT,
        pose=values(face.Pose),
        quality=st.none() | _PERCENT,
    )


def quality_bars() -> SearchStrategy[QualityBars]:
    """Draw thresholds of a quality filter. Shrinks toward the lowest ones, and toward frontal faces."""
    return filter_bars().map(lambda bars: bars.medium)


def filter_bars() -> SearchStrategy[FilterBars]:
    """Draw thresholds for each filter, none stricter than those of a higher filter. Shrinks toward equal filters."""

    def ordered(drawn: dict[str, list[float]]) -> dict[str, QualityBars]:
        rising = {name: sorted(three, reverse=name.startswith("max_")) for name, three in drawn.items()}
        levels = enumerate(("low", "medium", "high"))
        return {level: QualityBars(**{name: rising[name][place] for name in rising}) for place, level in levels}

    def three(name: str) -> SearchStrategy[list[float]]:
        most = 200 if name == "min_size" else 180 if name.startswith("max_") else 100
        return st.lists(st.floats(0, most), min_size=3, max_size=3)

    bars = st.fixed_dictionaries({each.name: three(each.name) for each in attrs.fields(QualityBars)}).map(ordered)
    auto = st.sampled_from([QualityFilter.LOW, QualityFilter.MEDIUM, QualityFilter.HIGH])
    return st.builds(lambda levels, which: FilterBars(**levels, auto=which), bars, auto)


def user_matches(*, max_size: int = 5) -> SearchStrategy[tuple[results.UserMatch, ...]]:
    """Draw matches as a search returns them: different users, best first, equal ones by user id.

    Shrinks toward none.
    """
    return _ranked(results.UserMatch, lambda match: match.user.user_id, max_size)


def _ranked(kind: type[T], id_of: Callable[[T], str], max_size: int) -> SearchStrategy[tuple[T, ...]]:
    """Draw matches with different ids, highest similarity first, equal ones by id."""

    def ordered(found: list[Any]) -> tuple[T, ...]:
        return tuple(sorted(found, key=lambda match: (-match.similarity, id_of(match))))

    return st.lists(values(kind), max_size=max_size, unique_by=id_of).map(ordered)


def unsearched_faces(*, max_size: int = 3) -> SearchStrategy[tuple[results.UnsearchedFace, ...]]:
    """Draw faces that were not searched, each with at least one reason. Shrinks toward none."""
    return st.lists(values(results.UnsearchedFace), max_size=max_size).map(tuple)


def responses() -> SearchStrategy[results.SearchUsersByImageResponse]:
    """Draw whole responses: matches only where a face was searched. Shrinks toward one that saw no face."""
    searched = searched_face_responses().map(_widened)
    blind = st.builds(
        results.SearchUsersByImageResponse, face_model_version=_VERSIONS, unsearched_faces=unsearched_faces()
    )
    return blind | searched


def _widened(response: results.SearchedFaceResponse) -> results.SearchUsersByImageResponse:
    fields = (field for field in attrs.fields(results.SearchUsersByImageResponse) if field.eq)
    return results.SearchUsersByImageResponse(**{field.name: getattr(response, field.name) for field in fields})


def searched_face_responses() -> SearchStrategy[results.SearchedFaceResponse]:
    """Draw responses about a face that was searched. Shrinks toward one without a match."""
    return st.builds(
        results.SearchedFaceResponse,
        user_matches=user_matches(),
        face_model_version=_VERSIONS,
        searched_face=values(results.SearchedFaceDetails),
        unsearched_faces=unsearched_faces(),
    )


def face_matches(*, max_size: int = 5) -> SearchStrategy[tuple[face_results.FaceMatch, ...]]:
    """Draw matches as a search for faces returns them: different faces, best first, equal ones by face id.

    Shrinks toward none.
    """
    return _ranked(face_results.FaceMatch, lambda match: match.face.face_id, max_size)


def search_faces_responses() -> SearchStrategy[face_results.SearchFacesResponse]:
    """Draw answers about a face of a collection, which is none of its own matches. Shrinks toward no match."""

    def answer(matches: tuple[face_results.FaceMatch, ...], face_id: str, version: str) -> Any:
        others = tuple(match for match in matches if match.face.face_id != face_id)
        return face_results.SearchFacesResponse(
            searched_face_id=face_id, face_matches=others, face_model_version=version
        )

    return st.builds(answer, face_matches(), face_ids(), _VERSIONS)


def search_faces_by_image_responses() -> SearchStrategy[face_results.SearchFacesByImageResponse]:
    """Draw answers about a photo: matches only where a face was searched. Shrinks toward one that saw no face."""
    searched = st.builds(
        face_results.SearchFacesByImageResponse,
        searched_face_bounding_box=bounding_boxes(),
        searched_face_confidence=_PERCENT,
        face_matches=face_matches(),
        face_model_version=_VERSIONS,
    )
    return st.builds(face_results.SearchFacesByImageResponse, face_model_version=_VERSIONS) | searched


def search_users_responses() -> SearchStrategy[face_results.SearchUsersResponse]:
    """Draw answers about a face, or about a user, who is none of the matches. Shrinks toward no match of a face."""

    def like_user(matches: tuple[results.UserMatch, ...], user_id: str, version: str) -> Any:
        return face_results.SearchUsersResponse(
            user_matches=tuple(match for match in matches if match.user.user_id != user_id),
            face_model_version=version,
            searched_user=face_results.SearchedUser(user_id=user_id),
        )

    like_face = st.builds(
        face_results.SearchUsersResponse,
        user_matches=user_matches(),
        face_model_version=_VERSIONS,
        searched_face=values(face_results.SearchedFace),
    )
    return like_face | st.builds(like_user, user_matches(), user_ids(), _VERSIONS)


def compare_faces_responses() -> SearchStrategy[face_results.CompareFacesResponse]:
    """Draw comparisons, best match first: matches only where the source has a face. Shrinks toward two empty photos."""

    def ordered(found: list[face_results.CompareFacesMatch]) -> tuple[face_results.CompareFacesMatch, ...]:
        return tuple(sorted(found, key=lambda match: -match.similarity))

    faces = st.lists(values(face_results.ComparedFace), max_size=3).map(tuple)
    compared = st.builds(
        face_results.CompareFacesResponse,
        source_image_face=values(face_results.ComparedSourceImageFace),
        face_matches=st.lists(values(face_results.CompareFacesMatch), max_size=3).map(ordered),
        unmatched_faces=faces,
    )
    return st.builds(face_results.CompareFacesResponse, unmatched_faces=faces) | compared


def values(kind: type[T]) -> SearchStrategy[T]:
    """Draw values of any class of this library that mirrors one of AWS's shapes.

    Raises
    ------
    TypeError
        If *kind* is no such class.
    """
    if not attrs.has(kind):
        raise TypeError(f"kind: expected a class of facesearch that mirrors an AWS shape, got {kind!r}")
    return _values(kind)


@cache
def _values(kind: Any) -> SearchStrategy[Any]:
    """Build the strategy of a class, once: the parts of a face come in many places."""
    if kind is face.AgeRange:
        ends = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(sorted)
        return ends.map(lambda ends: face.AgeRange(low=ends[0], high=ends[1]))
    if kind in _WHOLE:
        return _WHOLE[kind]()
    fields = [field for field in attrs.fields(attrs.resolve_types(kind)) if not is_local(kind, field.name)]
    return st.builds(kind, **{field.name: _field(field.name, field.type) for field in fields})


def _field(name: str, annotation: Any) -> SearchStrategy[Any]:
    strategy = _BY_FIELD.get(name)
    if strategy is None:
        return _of(annotation)
    return st.none() | strategy if _is_optional(annotation) else strategy


def _of(annotation: Any) -> SearchStrategy[Any]:
    if _is_optional(annotation):
        return st.none() | _of(next(part for part in annotation.__args__ if part is not type(None)))
    if getattr(annotation, "__origin__", None) is tuple:
        item = annotation.__args__[0]
        if issubclass(item, Enum):
            return st.lists(st.sampled_from(item), min_size=1, unique=True).map(tuple)
        return st.lists(_of(item), max_size=3).map(tuple)
    if annotation is bool:
        return st.booleans()
    if issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    return _values(annotation)


def _is_optional(annotation: Any) -> bool:
    return type(None) in getattr(annotation, "__args__", ())


# Answers with parts that depend on each other.
_WHOLE: dict[Any, Callable[[], SearchStrategy[Any]]] = {
    results.SearchUsersByImageResponse: responses,
    results.SearchedFaceResponse: searched_face_responses,
    face_results.SearchFacesResponse: search_faces_responses,
    face_results.SearchFacesByImageResponse: search_faces_by_image_responses,
    face_results.SearchUsersResponse: search_users_responses,
    face_results.CompareFacesResponse: compare_faces_responses,
    grouping.FaceGroup: face_groups,
    Change: changes,
}

_BY_FIELD: dict[str, SearchStrategy[Any]] = {
    **dict.fromkeys(("confidence", "user_confidence", "similarity", "brightness", "sharpness"), _PERCENT),
    **dict.fromkeys(("roll", "yaw", "pitch"), _DEGREES),
    **dict.fromkeys(("x", "y", "left", "top"), _COORDINATES),
    **dict.fromkeys(("width", "height"), st.floats(0, 1e6)),
    **dict.fromkeys(("user_id", "external_image_id", "user_id_before", "user_id_after"), user_ids()),
    **dict.fromkeys(("face_id", "image_id"), face_ids()),
    **dict.fromkeys(("face_model_version", "index_faces_model_version"), _VERSIONS),
    "deleted_faces": st.lists(face_ids(), max_size=3).map(tuple),
}
