"""The text form of a change in a store: read as it was written, and refused if it is damaged."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.storage.history import dump_change, load_change, mentions
from facesearch.testing.strategies import changes, face_ids, user_ids


@given(changes())
def test_a_change_is_read_as_it_was_written(change: fs.Change) -> None:
    text = dump_change(change)
    assert load_change(text, "staff") == change
    named = {change.user_id, change.other_user_id, *change.created_users, *change.deleted_users}
    for face in change.faces:
        named |= {face.face_id, face.user_id_before, face.user_id_after}
    for each in named - {None}:
        assert mentions(text, {str(each)})


@given(changes(), user_ids() | face_ids())
def test_a_change_mentions_nobody_else(change: fs.Change, other: str) -> None:
    text = dump_change(change)
    assert mentions(text, {other}) == (json.dumps(other) in [json.dumps(each) for each in texts(json.loads(text))])


def texts(value: Any) -> list[str]:
    """All ids of a change: every text but the kind."""
    if isinstance(value, dict):
        return [text for name, inner in value.items() if name != "kind" for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        '{"kind":"MERGE","users":[null,null],"created":[],"deleted":[],"faces":[]}',
        '{"kind":"SET_ASIDE","users":[null],"created":[],"deleted":[],"faces":[]}',
        '{"kind":"SET_ASIDE","users":[null,null],"created":["a b"],"deleted":[],"faces":[]}',
        '{"kind":"SET_ASIDE","users":[null,null],"created":[],"deleted":[7],"faces":[]}',
        '{"kind":"SET_ASIDE","users":[null,null],"created":[],"deleted":[],"faces":[[null,null,0,1,["x"]]]}',
        '{"kind":"SET_ASIDE","users":[null,null],"created":[],"deleted":[],"faces":7}',
    ],
)
def test_a_damaged_change_is_not_undone_and_goes_with_the_next_deletion(text: str) -> None:
    staff = fs.Collection("staff")
    staff.create_user("ada")
    staff._store.put_change(text)
    with pytest.raises(fs.StorageFormatError, match="'staff': damaged") as refused:
        staff.undo()
    assert len(str(refused.value)) < 200
    assert staff.forget_changes() == 1


@given(st.text())
def test_a_text_that_can_not_be_read_may_mention_anybody(text: str) -> None:
    assert mentions(text, {"ada"})
