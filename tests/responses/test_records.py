"""Every value that has records: flat, of equal columns, and ready for JSON and CSV."""

import csv
import io
import json
from typing import Any

import attrs
import numpy as np
import pytest

import facesearch as fs
from facesearch.responses.records import _CONVERTERS
from facesearch.testing.fakes import fake_analyzer, paint
from public_values import samples


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, list[Any]]:
    return samples(tmp_path_factory.mktemp("people"))


@pytest.mark.parametrize("kind", _CONVERTERS, ids=lambda kind: kind.__name__)
def test_records_are_flat_and_have_equal_columns(values: dict[Any, list[Any]], kind: type) -> None:
    assert values[kind]
    records = fs.to_records(values[kind])
    assert len({tuple(record) for record in records}) <= 1
    for record in records:
        assert all(type(value) in {str, float, int, bool, type(None)} for value in record.values())
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    text = io.StringIO()
    writer = csv.DictWriter(text, records[0] if records else [])
    writer.writeheader()
    writer.writerows(records)
    assert len([*csv.DictReader(io.StringIO(text.getvalue()))]) == len(records)


def test_every_answer_of_a_search_has_records() -> None:
    answers = {name for name in dir(fs) if name.endswith(("Response", "Match", "Report")) and name[0].isupper()}
    without = {
        # What a call changed, not what is found in a collection.
        *("AssociateFacesResponse", "DeleteFacesResponse", "DisassociateFacesResponse", "IndexFacesResponse"),
        *("EnrollmentReport", "FolderReport"),
        "CompareFacesMatch",  # a part of CompareFacesResponse
    }
    assert answers - without - {kind.__name__ for kind in _CONVERTERS} == {"SearchedFaceResponse"}
    assert issubclass(fs.SearchedFaceResponse, fs.SearchUsersByImageResponse)


def test_a_searched_face_without_a_match_has_a_record_without_a_user() -> None:
    analyzer = fake_analyzer()
    staff = fs.Collection("staff", analyzer=analyzer)
    photo = paint((200, 500), {(10, 10, 90, 90): (200, 30, 30), (150, 20, 220, 90): (30, 30, 200)})
    staff.enroll("ada", [paint((200, 200), {(40, 40, 160, 160): (200, 30, 30)})])
    found = fs.to_records(fs.search_all_faces(staff, photo))
    assert [record["user_id"] for record in found] == ["ada", None]
    assert [type(record["left"]) for record in found] == [float, float]
    empty = np.zeros((100, 100, 3), np.uint8)
    assert fs.to_records(fs.search_users_by_image(staff, empty)) == []


def test_groups_and_photos_have_records() -> None:
    album = fs.Collection("album")
    face_ids = album.add_embeddings(["ada", "x", "x"], np.eye(2, 128)[[0, 1, 1]])
    album.delete_user("x")
    (group,) = fs.to_records(album.groups())
    assert (group["faces"], group["nearest_user_id"]) == (2, None)
    assert sorted(str(group["face_ids"]).split()) == sorted(face_ids[1:])
    assert fs.to_records(album.groups()[0]) == [group]
    (photo,) = fs.to_records(album.photos_of("ada"))
    assert photo == {**dict.fromkeys(photo), "face_id": face_ids[0]}


@pytest.mark.parametrize("value", [None, "ada", 7, [1], {"a": 1}, fs.Collection("staff"), fs.BoundingBox])
def test_what_has_no_records_is_refused(value: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="value: expected users"):
        fs.to_records(value)


def test_an_audit_has_a_record_for_each_finding(values: dict[Any, list[Any]]) -> None:
    for report in values[fs.AuditReport]:
        found = [record["finding"] for record in fs.to_records(report)]
        kinds = ("same_person", "misplaced", "loose")
        assert found == [kind for kind in kinds for _ in attrs.asdict(report)[kind]]
