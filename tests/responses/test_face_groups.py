"""A group of faces: its id depends on its faces only, and wrong values are refused."""

import hashlib
from typing import Any

import attrs
import pytest
from hypothesis import given

import facesearch as fs
from facesearch.testing.strategies import face_groups

IDS = tuple(f"00000000-0000-0000-0000-{row:012d}" for row in range(3))


@given(face_groups())
def test_the_id_is_that_of_the_set_of_faces(group: fs.FaceGroup) -> None:
    text = "\n".join(sorted(group.face_ids))

    assert group.group_id == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert attrs.evolve(group, face_ids=group.face_ids[::-1]).group_id == group.group_id
    assert group.representative == group.face_ids[0]
    assert len(group) == len(group.face_ids)


@pytest.mark.parametrize("wrong", [(), list(IDS), ("ada",), (IDS[0], IDS[0]), IDS[0], None, (1,)], ids=repr)
def test_wrong_face_ids_are_refused_by_name(wrong: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"^face_ids: "):
        fs.FaceGroup(face_ids=wrong, similarity=90)


@pytest.mark.parametrize(("name", "wrong"), [("similarity", 101), ("nearest_user", "ada"), ("set_aside", 1)], ids=str)
def test_other_wrong_values_are_refused_by_name(name: str, wrong: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=rf"^{name}: "):
        fs.FaceGroup(**{"face_ids": IDS, "similarity": 90, name: wrong})
