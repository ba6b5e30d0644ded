"""The wire: exact names and presence, both ways; botocore's own service model is the oracle."""

import json
import math
from collections.abc import Iterator
from typing import Any

import attrs
import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, strategies as st

import facesearch as fs
from facesearch.aws import is_local, wire_name
from facesearch.testing.strategies import (
    compare_faces_responses,
    responses,
    search_faces_by_image_responses,
    search_users_responses,
    values,
)

MODEL = botocore.session.get_session().get_service_model("rekognition")

# Our class -> the shape in AWS's service model that it mirrors.
SHAPES = {
    fs.AgeRange: "AgeRange",
    fs.AssociateFacesResponse: "AssociateFacesResponse",
    fs.AssociatedFace: "AssociatedFace",
    fs.Beard: "Beard",
    fs.BoundingBox: "BoundingBox",
    fs.CompareFacesMatch: "CompareFacesMatch",
    fs.CompareFacesResponse: "CompareFacesResponse",
    fs.ComparedFace: "ComparedFace",
    fs.ComparedSourceImageFace: "ComparedSourceImageFace",
    fs.DeleteFacesResponse: "DeleteFacesResponse",
    fs.DetectedFace: "FaceDetail",
    fs.DisassociateFacesResponse: "DisassociateFacesResponse",
    fs.DisassociatedFace: "DisassociatedFace",
    fs.Emotion: "Emotion",
    fs.EyeDirection: "EyeDirection",
    fs.Eyeglasses: "Eyeglasses",
    fs.EyesOpen: "EyeOpen",
    fs.Face: "Face",
    fs.FaceDetail: "FaceDetail",
    fs.FaceMatch: "FaceMatch",
    fs.FaceOccluded: "FaceOccluded",
    fs.FaceRecord: "FaceRecord",
    fs.Gender: "Gender",
    fs.ImageQuality: "ImageQuality",
    fs.IndexFacesResponse: "IndexFacesResponse",
    fs.Landmark: "Landmark",
    fs.MatchedUser: "MatchedUser",
    fs.MouthOpen: "MouthOpen",
    fs.Mustache: "Mustache",
    fs.Pose: "Pose",
    fs.SearchFacesByImageResponse: "SearchFacesByImageResponse",
    fs.SearchFacesResponse: "SearchFacesResponse",
    fs.SearchUsersByImageResponse: "SearchUsersByImageResponse",
    fs.SearchUsersResponse: "SearchUsersResponse",
    fs.SearchedFace: "SearchedFace",
    fs.SearchedFaceDetails: "SearchedFaceDetails",
    fs.SearchedFaceResponse: "SearchUsersByImageResponse",
    fs.SearchedUser: "SearchedUser",
    fs.Smile: "Smile",
    fs.Sunglasses: "Sunglasses",
    fs.UnindexedFace: "UnindexedFace",
    fs.UnsearchedFace: "UnsearchedFace",
    fs.UnsuccessfulFaceAssociation: "UnsuccessfulFaceAssociation",
    fs.UnsuccessfulFaceDeletion: "UnsuccessfulFaceDeletion",
    fs.UnsuccessfulFaceDisassociation: "UnsuccessfulFaceDisassociation",
    fs.User: "User",
    fs.UserMatch: "UserMatch",
}
# AWS answers null for these since 2021: there is nothing to mirror.
NEVER_SENT = {
    ("IndexFacesResponse", "OrientationCorrection"),
    ("CompareFacesResponse", "SourceImageOrientationCorrection"),
    ("CompareFacesResponse", "TargetImageOrientationCorrection"),
}

kinds = pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)


@kinds
def test_members_are_exactly_awss(kind: type[Any]) -> None:
    shape = MODEL.shape_for(SHAPES[kind])
    theirs = {name for name in shape.members if (shape.name, name) not in NEVER_SENT}

    ours = {wire_name(field.name) for field in attrs.fields(kind) if not is_local(kind, field.name)}
    assert ours == theirs


@pytest.mark.parametrize(
    ("enum", "shape"),
    [
        (fs.EmotionType, "EmotionName"),
        (fs.GenderType, "GenderType"),
        (fs.LandmarkType, "LandmarkType"),
        (fs.QualityFilter, "QualityFilter"),
        (fs.Attribute, "Attribute"),
        (fs.UnindexedFaceReason, "Reason"),
        (fs.UnsearchedFaceReason, "UnsearchedFaceReason"),
        (fs.UnsuccessfulFaceAssociationReason, "UnsuccessfulFaceAssociationReason"),
        (fs.UnsuccessfulFaceDeletionReason, "UnsuccessfulFaceDeletionReason"),
        (fs.UnsuccessfulFaceDisassociationReason, "UnsuccessfulFaceDisassociationReason"),
        (fs.UserStatus, "UserStatus"),
    ],
)
def test_enums_have_exactly_awss_values(enum: Any, shape: str) -> None:
    assert {member.value for member in enum} == set(MODEL.shape_for(shape).enum)


@kinds
@given(data=st.data())
def test_reading_what_was_written_gives_the_same_value(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(values(kind))

    assert fs.from_aws(fs.to_aws(value), kind) == value
    assert fs.from_aws(json.loads(json.dumps(fs.to_aws(value), allow_nan=False)), kind) == value


@kinds
@given(data=st.data())
def test_botocore_has_nothing_to_say_against_what_is_written(kind: type[Any], data: st.DataObject) -> None:
    wire = fs.to_aws(data.draw(values(kind)))
    shape = MODEL.shape_for(SHAPES[kind])

    if kind is fs.DeleteFacesResponse and not wire["DeletedFaces"]:
        # One shape serves for requests, which name a face at least, and for this list, which AWS's own samples take for granted.
        del wire["DeletedFaces"]
    assert ParamValidator().validate(wire, shape).generate_report() == ""
    assert list(_beyond_botocore(wire, shape)) == []


def _beyond_botocore(wire: Any, shape: Any, path: str = "") -> Iterator[str]:
    """Check what botocore does not: enums, patterns, maxima, and that everything is plain."""
    if shape.type_name == "structure":
        for name, value in wire.items():
            yield from _beyond_botocore(value, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for item in wire:
            yield from _beyond_botocore(item, shape.member, f"{path}[]")
    else:
        if type(wire) not in {float, int, str, bool}:
            yield f"{path}: {type(wire)}"
        allowed: list[str] = getattr(shape, "enum", [])
        if allowed and wire not in allowed:
            yield f"{path}: {wire} not in {allowed}"
        if not isinstance(wire, str) and not shape.metadata.get("min", -math.inf) <= wire <= shape.metadata.get(
            "max", math.inf
        ):
            yield f"{path}: {wire} out of range"


def test_the_oracle_itself_can_fail() -> None:
    shape = MODEL.shape_for("UserMatch")

    assert ParamValidator().validate({"similarity": 1.0}, shape).has_errors()
    assert list(_beyond_botocore({"Similarity": 101.0}, shape)) == [".Similarity: 101.0 out of range"]


@given(responses())
def test_absent_is_left_out_and_lists_stay(response: fs.SearchUsersByImageResponse) -> None:
    wire = fs.to_aws(response)

    assert ("SearchedFace" in wire) == (response.searched_face is not None)
    assert len(wire["UserMatches"]) == len(response.user_matches)
    assert len(wire["UnsearchedFaces"]) == len(response.unsearched_faces)
    assert None not in wire.values()
    assert "Preview" not in wire
    for face in wire["UnsearchedFaces"]:
        assert set(face) == {"FaceDetails", "Reasons"}  # plural here ...
    if "SearchedFace" in wire:
        assert set(wire["SearchedFace"]) == {"FaceDetail"}  # ... singular there


@given(search_faces_by_image_responses(), search_users_responses(), compare_faces_responses())
def test_what_was_searched_with_is_there_or_left_out(
    faces: fs.SearchFacesByImageResponse, users: fs.SearchUsersResponse, compared: fs.CompareFacesResponse
) -> None:
    told = set(fs.to_aws(faces))
    searched = {"SearchedFaceBoundingBox", "SearchedFaceConfidence"}
    assert told - searched == {"FaceMatches", "FaceModelVersion"}
    assert told & searched == (set() if faces.searched_face_bounding_box is None else searched)

    of_users = set(fs.to_aws(users)) - {"UserMatches", "FaceModelVersion"}
    assert of_users == ({"SearchedFace"} if users.searched_face else {"SearchedUser"})  # never both

    source = set(fs.to_aws(compared)) - {"FaceMatches", "UnmatchedFaces"}
    assert source == ({"SourceImageFace"} if compared.source_image_face else set())


BOX = {"Width": 0.03692837, "Height": 0.07510016, "Left": 0.35986787, "Top": 0.53915268}
OTHER_BOX = {"Width": 0.03, "Height": 0.072, "Left": 0.61, "Top": 0.4}
FACE_IDS = ["35ebbb41-7f67-4263-908d-dd0ecba05ab9", "11111111-2222-3333-4444-555555555555"]

# After the developer guide's and the SDK examples' published responses.
EXAMPLES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "search users by image, guide": (
        fs.SearchUsersByImageResponse,
        {
            "SearchedFace": {"FaceDetail": {"BoundingBox": BOX}},
            "UserMatches": [
                {"User": {"UserId": "demoUser1", "UserStatus": "ACTIVE"}, "Similarity": 100.0},
                {"User": {"UserId": "demoUser2", "UserStatus": "ACTIVE"}, "Similarity": 99.97946166992188},
            ],
            "FaceModelVersion": "6",
            "UnsearchedFaces": [
                {"FaceDetails": {"BoundingBox": OTHER_BOX}, "Reasons": ["FACE_NOT_LARGEST"]},
                {"FaceDetails": {"BoundingBox": OTHER_BOX}, "Reasons": ["FACE_NOT_LARGEST"]},
            ],
        },
    ),
    "search users by image, SDK": (
        fs.SearchUsersByImageResponse,
        {
            "SearchedFace": {"FaceDetail": {"BoundingBox": BOX}},
            "UserMatches": [
                {"User": {"UserId": "demoUser1", "UserStatus": "ACTIVE"}, "Similarity": 99.88186645507812},
            ],
            "FaceModelVersion": "6",
            "UnsearchedFaces": [{"FaceDetails": {"BoundingBox": OTHER_BOX}, "Reasons": ["FACE_NOT_LARGEST"]}],
        },
    ),
    "no face": (fs.SearchUsersByImageResponse, {"UserMatches": [], "FaceModelVersion": "7.0", "UnsearchedFaces": []}),
    "search faces": (
        fs.SearchFacesResponse,
        {
            "SearchedFaceId": FACE_IDS[0],
            "FaceMatches": [
                {
                    "Face": {"BoundingBox": BOX, "Confidence": 99.9, "FaceId": FACE_IDS[1], "ImageId": FACE_IDS[0]},
                    "Similarity": 99.30997467041016,
                }
            ],
            "FaceModelVersion": "6.0",
        },
    ),
    "search faces by image, guide": (
        fs.SearchFacesByImageResponse,
        {
            "SearchedFaceBoundingBox": BOX,
            "SearchedFaceConfidence": 99.98,
            "FaceMatches": [
                {
                    "Face": {
                        "BoundingBox": OTHER_BOX,
                        "Confidence": 99.99,
                        "ExternalImageId": "image.jpg",
                        "FaceId": FACE_IDS[0],
                        "ImageId": FACE_IDS[1],
                    },
                    "Similarity": 99.97,
                }
            ],
            "FaceModelVersion": "3.0",
        },
    ),
    "search users by a face, guide": (
        fs.SearchUsersResponse,
        {
            "SearchedFace": {"FaceId": FACE_IDS[0]},
            "UserMatches": [
                {"User": {"UserId": "demoUser1", "UserStatus": "ACTIVE"}, "Similarity": 100.0},
                {"User": {"UserId": "demoUser2", "UserStatus": "ACTIVE"}, "Similarity": 99.97946166992188},
            ],
            "FaceModelVersion": "6",
        },
    ),
    "search users by a user, guide": (
        fs.SearchUsersResponse,
        {
            "SearchedUser": {"UserId": "demoUser1"},
            "UserMatches": [
                {"User": {"UserId": "demoUser2", "UserStatus": "ACTIVE"}, "Similarity": 99.97946166992188},
            ],
            "FaceModelVersion": "6",
        },
    ),
    "compare faces": (
        fs.CompareFacesResponse,
        {
            "SourceImageFace": {"BoundingBox": BOX, "Confidence": 99.9},
            "FaceMatches": [
                {
                    "Similarity": 99.5,
                    "Face": {
                        "BoundingBox": OTHER_BOX,
                        "Confidence": 99.9,
                        "Landmarks": [{"Type": "eyeLeft", "X": 0.3976764678955078, "Y": 0.6248345971107483}],
                        "Pose": {"Pitch": 5.8, "Roll": -2.2, "Yaw": -1.2},
                        "Quality": {"Brightness": 74.1, "Sharpness": 78.6},
                        "Emotions": [{"Type": "CALM", "Confidence": 12.1}],
                        "Smile": {"Value": False, "Confidence": 95.0},
                    },
                }
            ],
            "UnmatchedFaces": [{"BoundingBox": OTHER_BOX, "Confidence": 99.9}],
        },
    ),
    "associate faces": (
        fs.AssociateFacesResponse,
        {
            "UserStatus": "UPDATING",
            "AssociatedFaces": [{"FaceId": FACE_IDS[0]}],
            "UnsuccessfulFaceAssociations": [
                {"FaceId": FACE_IDS[1], "Reasons": ["LOW_MATCH_CONFIDENCE"], "Confidence": 0.9375374913215637},
                {"FaceId": FACE_IDS[1], "UserId": "demoUser2", "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]},
            ],
        },
    ),
    "disassociate faces": (
        fs.DisassociateFacesResponse,
        {
            "UserStatus": "UPDATING",
            "DisassociatedFaces": [{"FaceId": FACE_IDS[0]}],
            "UnsuccessfulFaceDisassociations": [
                {"FaceId": FACE_IDS[1], "UserId": "demoUser1", "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]}
            ],
        },
    ),
    "a listed user": (fs.User, {"UserId": "demoUser4", "UserStatus": "CREATED"}),
    "a listed face": (
        fs.Face,
        {
            "BoundingBox": {"Width": 0.0633333, "Height": 0.0843750, "Left": 0.5, "Top": 0.25},
            "Confidence": 100,
            "ExternalImageId": "image.jpg",
            "FaceId": FACE_IDS[0],
            "ImageId": FACE_IDS[1],
            "IndexFacesModelVersion": "5.0",
        },
    ),
    "delete faces": (fs.DeleteFacesResponse, {"DeletedFaces": [FACE_IDS[0]], "UnsuccessfulFaceDeletions": []}),
    "index faces": (
        fs.IndexFacesResponse,
        {
            "FaceModelVersion": "3.0",
            "FaceRecords": [
                {
                    "Face": {"BoundingBox": BOX, "Confidence": 99.9987, "FaceId": FACE_IDS[0], "ImageId": FACE_IDS[1]},
                    "FaceDetail": {
                        "BoundingBox": BOX,
                        "Confidence": 99.9987,
                        "Landmarks": [{"Type": "eyeLeft", "X": 0.3976764678955078, "Y": 0.6248345971107483}],
                        "Pose": {"Pitch": 5.8, "Roll": -2.2, "Yaw": -1.2},
                        "Quality": {"Brightness": 74.1, "Sharpness": 78.6},
                    },
                }
            ],
            "UnindexedFaces": [{"FaceDetail": {"BoundingBox": OTHER_BOX}, "Reasons": ["EXCEEDS_MAX_FACES"]}],
        },
    ),
    "all of a face": (
        fs.FaceDetail,
        {
            "BoundingBox": BOX,
            "AgeRange": {"Low": 21, "High": 27},
            "Smile": {"Value": True, "Confidence": 98.4},
            "Eyeglasses": {"Value": False, "Confidence": 97.1},
            "Sunglasses": {"Value": False, "Confidence": 99.9},
            "Gender": {"Value": "Female", "Confidence": 99.8},
            "Beard": {"Value": False, "Confidence": 92.5},
            "Mustache": {"Value": False, "Confidence": 96.1},
            "EyesOpen": {"Value": True, "Confidence": 97.6},
            "MouthOpen": {"Value": False, "Confidence": 83.4},
            "Emotions": [
                {"Type": "HAPPY", "Confidence": 87.7},
                {"Type": "CALM", "Confidence": 12.1},
                {"Type": "UNKNOWN", "Confidence": 0.2},
            ],
            "Landmarks": [{"Type": kind.value, "X": 0.5, "Y": 0.5} for kind in fs.LandmarkType],
            "Pose": {"Roll": -1.6, "Yaw": 4.2, "Pitch": 12.6},
            "Quality": {"Brightness": 39.2, "Sharpness": 86.9},
            "Confidence": 99.99,
            "FaceOccluded": {"Value": False, "Confidence": 99.9},
            "EyeDirection": {"Yaw": 4.2, "Pitch": -11.7, "Confidence": 99.8},
        },
    ),
}


@pytest.mark.parametrize(("kind", "wire"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_awss_published_answers_are_read_and_written_unchanged(kind: type[Any], wire: dict[str, Any]) -> None:
    assert ParamValidator().validate(wire, MODEL.shape_for(SHAPES[kind])).generate_report() == ""
    assert fs.to_aws(fs.from_aws(wire, kind)) == wire


def test_unknown_members_are_passed_over() -> None:
    wire = {"UserMatches": [], "ResponseMetadata": {"RequestId": "x"}, "OrientationCorrection": "", "New": [1]}

    assert fs.from_aws(wire, fs.SearchUsersByImageResponse) == fs.SearchUsersByImageResponse()


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        (3, "expected an object, got 3"),
        ({"UserMatches": "abc"}, "UserMatches: expected a list, got 'abc'"),
        ({"UserMatches": {}}, "UserMatches: expected a list"),
        ({"UserMatches": [7]}, r"UserMatches\[0\]: expected an object, got 7"),
        ({"UserMatches": [{"Similarity": 1.0}]}, r"UserMatches\[0\].User: required, but missing"),
        (
            {"UnsearchedFaces": [{"FaceDetails": {"BoundingBox": {**BOX, "Left": "0.5"}}, "Reasons": []}]},
            r"UnsearchedFaces\[0\].FaceDetails.BoundingBox.Left: expected a number, got '0.5'",
        ),
        (
            {"SearchedFace": {"FaceDetail": {"BoundingBox": BOX, "Smile": {"Value": "False", "Confidence": 1}}}},
            "SearchedFace.FaceDetail.Smile.Value: expected true or false, got 'False'",
        ),
        (
            {"SearchedFace": {"FaceDetail": {"BoundingBox": BOX, "Smile": {"Value": True, "Confidence": True}}}},
            "SearchedFace.FaceDetail.Smile.Confidence: expected a number, got True",
        ),
        (
            {"SearchedFace": {"FaceDetail": {"BoundingBox": BOX, "Smile": {"Value": True, "Confidence": 101}}}},
            r"SearchedFace.FaceDetail.Smile.Confidence: expected a finite number in \[0, 100\], got 101",
        ),
        (
            {"SearchedFace": {"FaceDetail": {"BoundingBox": BOX, "AgeRange": {"Low": 20.5, "High": 30}}}},
            "SearchedFace.FaceDetail.AgeRange.Low: expected a whole number, got 20.5",
        ),
        (
            {"UnsearchedFaces": [{"FaceDetails": {"BoundingBox": BOX}, "Reasons": ["TOO_UGLY"]}]},
            r"UnsearchedFaces\[0\].Reasons\[0\]: expected one of FACE_NOT_LARGEST, .*, got 'TOO_UGLY'",
        ),
        ({"SearchedFace": {"FaceDetail": {}}}, "SearchedFace.FaceDetail.BoundingBox: required, but missing"),
        ({"FaceModelVersion": 6}, "FaceModelVersion: expected a string, got 6"),
        ({"FaceModelVersion": "six"}, "FaceModelVersion: expected 1 to 64 characters matching"),
    ],
)
def test_a_wrong_payload_is_refused_with_awss_path(wire: Any, fault: str) -> None:
    with pytest.raises(fs.WireError, match=f"^not a SearchUsersByImageResponse: {fault}"):
        fs.from_aws(wire, fs.SearchUsersByImageResponse)


def test_every_fault_is_told_at_once() -> None:
    wire = {"FaceModelVersion": 6, "UserMatches": [{"Similarity": "1"}]}

    with pytest.raises(fs.WireError) as caught:
        fs.from_aws(wire, fs.SearchUsersByImageResponse)
    for path in ("FaceModelVersion:", "UserMatches[0].Similarity:", "UserMatches[0].User:"):
        assert path in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["UserMatches", "User", "Similarity", "SearchedFace", "FaceDetail", "Pose"]), inner
        )
    ),
    max_leaves=10,
)


@given(json_values)
def test_no_payload_raises_anything_else(payload: Any) -> None:
    try:
        response = fs.from_aws(payload, fs.SearchUsersByImageResponse)
    except fs.WireError:
        return
    assert isinstance(response, fs.SearchUsersByImageResponse)


def test_what_is_no_shape_of_awss_is_refused() -> None:
    with pytest.raises(fs.InvalidParameterError, match="value: expected"):
        fs.to_aws({"a": 1})
    with pytest.raises(fs.InvalidParameterError, match="kind: expected"):
        fs.from_aws({}, dict)
