"""Values as flat records, for pandas, CSV files and databases: `to_records`."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, Final, TypeAlias

import attrs

from facesearch.common.tables import BOX_HEAD
from facesearch.domain.changes import Change, ChangedFace
from facesearch.domain.entities import Face, User
from facesearch.domain.geometry import BoundingBox
from facesearch.errors import InvalidParameterError
from facesearch.responses.audit import AuditReport, LooseUser, MisplacedFace, SamePerson
from facesearch.responses.grouping import FaceGroup, PersonPhoto
from facesearch.responses.search_faces import (
    CompareFacesResponse,
    FaceMatch,
    SearchFacesByImageResponse,
    SearchFacesResponse,
    SearchUsersResponse,
)
from facesearch.responses.search_users import SearchUsersByImageResponse, UserMatch

__all__ = ["Record", "to_records"]

Record: TypeAlias = dict[str, str | float | int | bool | None]
"""Values by column name."""

_FINDING: Final[Record] = dict.fromkeys(
    ("finding", "user_id", "similarity", "other_user_id", "other_similarity", "face_id", "faces", "source")
)


def to_records(value: Any) -> list[Record]:
    """Convert a value, or a sequence of values, to flat records with equal columns.

    Parameters
    ----------
    value
        Users, faces, groups, photos of a person, a change, an audit report, matches, or the answer of any search; one of these or a
        sequence of one kind.

    Returns
    -------
    list of dict
        One record for each user, face, group, photo, finding or match, with texts, numbers, truth values and ``None`` only. Percentages
        are 0-100; boxes have the columns ``left``, ``top``, ``width`` and ``height``, in ratios of the photo's sides. A searched face
        without a match has one record without a user. A group has one record, with its face ids in one text, separated by blanks.

    Raises
    ------
    InvalidParameterError
        If there are no records for a value of this kind.

    Examples
    --------
    >>> import numpy as np
    >>> import facesearch as fs
    >>> staff = fs.Collection("staff")
    >>> _ = staff.add_embeddings(["ada", "bob"], np.eye(2, 128))
    >>> fs.to_records(staff.users())
    [{'user_id': 'ada', 'user_status': 'ACTIVE'}, {'user_id': 'bob', 'user_status': 'ACTIVE'}]
    >>> [record["similarity"] for record in fs.to_records(staff.search_embedding(np.eye(1, 128)[0]))]
    [100.0]
    """
    items = value if isinstance(value, Sequence) and not isinstance(value, str | bytes | FaceGroup) else [value]
    return [record for item in items for record in _records_of(item)]


def _records_of(value: Any) -> Iterator[Record]:
    for kind, convert in _CONVERTERS.items():
        if isinstance(value, kind):
            yield from convert(value)
            return
    raise InvalidParameterError.of(
        "value", value, "users, faces, groups, photos, changes, an audit report, matches or answers of a search"
    )


def _flat(value: Any) -> Iterator[Record]:
    """Yield one record: a value's fields, a box as its sides."""
    record: Record = {}
    for each in attrs.fields(type(value)):
        inner = getattr(value, each.name)
        if each.name == "bounding_box":
            record.update(_box(inner))
        else:
            record[each.name] = inner.value if isinstance(inner, Enum) else inner
    yield record


def _box(box: BoundingBox | None) -> Record:
    return {side: getattr(box, side) if box else None for side in BOX_HEAD}


def _group(group: FaceGroup) -> Iterator[Record]:
    nearest = group.nearest_user
    yield {
        "group_id": group.group_id,
        "faces": len(group),
        "similarity": group.similarity,
        "nearest_user_id": nearest.user_id if nearest else None,
        "nearest_user_similarity": nearest.similarity if nearest else None,
        "representative": group.representative,
        "set_aside": group.set_aside,
        "face_ids": " ".join(group.face_ids),
    }


def _change(change: Change) -> Iterator[Record]:
    about: Record = {"kind": change.kind.value, "user_id": change.user_id, "other_user_id": change.other_user_id}
    for face in change.faces:
        (record,) = _flat(face)
        yield {**about, **record}


def _audit(report: AuditReport) -> Iterator[Record]:
    for finding in (*report.same_person, *report.misplaced, *report.loose):
        yield from _records_of(finding)


def _same_person(pair: SamePerson) -> Iterator[Record]:
    user_id, other = pair.user_ids
    found: Record = {"finding": "same_person", "user_id": user_id, "other_user_id": other}
    yield {**_FINDING, **found, "similarity": pair.similarity}


def _misplaced(face: MisplacedFace) -> Iterator[Record]:
    yield {**_FINDING, "finding": "misplaced", **attrs.asdict(face)}


def _loose(user: LooseUser) -> Iterator[Record]:
    yield {**_FINDING, "finding": "loose", **attrs.asdict(user)}


def _user_match(match: UserMatch | None) -> Iterator[Record]:
    yield {
        "user_id": match.user.user_id if match else None,
        "user_status": match.user.user_status.value if match else None,
        "similarity": match.similarity if match else None,
    }


def _face_match(match: FaceMatch) -> Iterator[Record]:
    (face,) = _flat(match.face)
    yield {"similarity": match.similarity, **face}


def _users_by_image(response: SearchUsersByImageResponse) -> Iterator[Record]:
    if response.searched_face is None:
        return
    detail = response.searched_face.face_detail
    for match in response.user_matches or (None,):
        (record,) = _user_match(match)
        yield {**record, **_box(detail.bounding_box), "confidence": detail.confidence}


def _faces_by_image(response: SearchFacesByImageResponse) -> Iterator[Record]:
    box = {f"searched_{side}": value for side, value in _box(response.searched_face_bounding_box).items()}
    searched: Record = {**box, "searched_confidence": response.searched_face_confidence}
    for match in response.face_matches:
        (record,) = _face_match(match)
        yield {**record, **searched}


def _faces(response: SearchFacesResponse) -> Iterator[Record]:
    for match in response.face_matches:
        (record,) = _face_match(match)
        yield {"searched_face_id": response.searched_face_id, **record}


def _users(response: SearchUsersResponse) -> Iterator[Record]:
    searched: Record = {
        "searched_user_id": response.searched_user.user_id if response.searched_user else None,
        "searched_face_id": response.searched_face.face_id if response.searched_face else None,
    }
    for match in response.user_matches:
        (record,) = _user_match(match)
        yield {**searched, **record}


def _compared(response: CompareFacesResponse) -> Iterator[Record]:
    compared = [(match.face, match.similarity) for match in response.face_matches]
    for face, similarity in [*compared, *((face, None) for face in response.unmatched_faces)]:
        yield {"similarity": similarity, **_box(face.bounding_box), "confidence": face.confidence}


_CONVERTERS: Final[dict[type[Any], Callable[[Any], Iterator[Record]]]] = {
    User: _flat,
    Face: _flat,
    FaceGroup: _group,
    PersonPhoto: _flat,
    Change: _change,
    ChangedFace: _flat,
    AuditReport: _audit,
    SamePerson: _same_person,
    MisplacedFace: _misplaced,
    LooseUser: _loose,
    UserMatch: _user_match,
    FaceMatch: _face_match,
    SearchUsersByImageResponse: _users_by_image,
    SearchFacesByImageResponse: _faces_by_image,
    SearchFacesResponse: _faces,
    SearchUsersResponse: _users,
    CompareFacesResponse: _compared,
}
