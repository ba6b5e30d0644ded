"""Every operation through all three interfaces: Python methods, a boto3 client in-process, and a boto3 client over HTTP."""

import inspect
import io
import json
import multiprocessing
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from PIL import Image

import facesearch as fs
from facesearch.rekognition import ANSWERED, Rekognition, backends, client
from facesearch.rekognition.exceptions import RekognitionError
from facesearch.testing.fakes import paint
from rekognition_ways import BLUE, GREEN, RED, WAYS, asked, photo, png, remote, served, service, way

MODEL = botocore.session.get_session().get_service_model("rekognition")
UNKNOWN_FACE = "00000000-0000-4000-8000-000000000000"


def webp() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (100, 90)).save(file, "WEBP")
    return file.getvalue()


def method_of(operation: str) -> str:
    """Return boto3's method name for an operation."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


@pytest.fixture(params=[*WAYS, "plain, in a file"])
def account(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An empty account, through each interface, and in each backend: in memory and in a file."""
    name, _, in_a_file = request.param.partition(", ")
    with service(tmp_path / "people.db" if in_a_file else None) as own, way(name, own) as asker:
        yield asker


@pytest.fixture
def staff(account: Any) -> Any:
    """An account with a collection: ada is red, bob is blue, and a green face is unassociated."""
    furnish(account)
    return account


def furnish(account: Any) -> dict[str, str]:
    """Create that collection and return the face ids by colour."""
    account.create_collection(CollectionId="staff")
    ids = {}
    for name, colour, user in (("red", RED, "ada"), ("blue", BLUE, "bob"), ("green", GREEN, None)):
        indexed = account.index_faces(CollectionId="staff", Image=photo(colour), ExternalImageId=name)
        ids[name] = indexed["FaceRecords"][0]["Face"]["FaceId"]
        if user:
            account.create_user(CollectionId="staff", UserId=user)
            account.associate_faces(CollectionId="staff", UserId=user, FaceIds=[ids[name]])
    return ids


def code(answer: dict[str, Any]) -> str:
    """Return the error code in a response."""
    return str(answer["Error"]["Code"])


# ---------------------------------------------------------------- the three ways are one


def steps(ids: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return a request for every operation, with existing and missing resources."""
    here, arn = {"CollectionId": "staff"}, "aws:rekognition:us-east-1:123456789012:collection/staff"
    red, blue, green = ids["red"], ids["blue"], ids["green"]
    token = {"ClientRequestToken": "once"}
    return [
        ("DescribeCollection", here),
        ("CreateCollection", here),
        ("CreateCollection", {"CollectionId": "a", "Tags": {"team": "night"}}),
        ("ListCollections", {}),
        ("ListCollections", {"MaxResults": 1}),
        ("TagResource", {"ResourceArn": arn, "Tags": {"a": "1", "b": ""}}),
        ("UntagResource", {"ResourceArn": f"arn:{arn}", "TagKeys": ["a", "none"]}),
        ("ListTagsForResource", {"ResourceArn": arn}),
        ("ListTagsForResource", {"ResourceArn": f"{arn}2"}),
        ("IndexFaces", {**here, "Image": photo(RED, BLUE), "MaxFaces": 1, "DetectionAttributes": ["ALL"]}),
        ("ListFaces", here),
        ("ListFaces", {**here, "UserId": "ada"}),
        ("ListFaces", {**here, "FaceIds": [blue, UNKNOWN_FACE]}),
        ("ListUsers", here),
        ("SearchFaces", {**here, "FaceId": red, "FaceMatchThreshold": 0}),
        ("SearchFacesByImage", {**here, "Image": photo(RED), "MaxFaces": 2, "FaceMatchThreshold": 0}),
        ("SearchUsers", {**here, "UserId": "ada", "UserMatchThreshold": 0}),
        ("SearchUsers", {**here, "FaceId": red}),
        ("SearchUsersByImage", {**here, "Image": photo(BLUE, RED), "QualityFilter": "AUTO"}),
        ("SearchUsersByImage", {**here, "Image": photo()}),
        ("DetectFaces", {"Image": photo(RED, BLUE), "Attributes": ["SMILE"]}),
        ("CompareFaces", {"SourceImage": photo(RED), "TargetImage": photo(BLUE, RED)}),
        ("CreateUser", {**here, "UserId": "cid", **token}),
        ("CreateUser", {**here, "UserId": "cid", **token}),
        ("CreateUser", {**here, "UserId": "dan", **token}),
        ("AssociateFaces", {**here, "UserId": "cid", "FaceIds": [green, red, UNKNOWN_FACE], **token}),
        ("AssociateFaces", {**here, "UserId": "cid", "FaceIds": [green, red, UNKNOWN_FACE], **token}),
        ("DeleteFaces", {**here, "FaceIds": [green, UNKNOWN_FACE]}),
        ("DisassociateFaces", {**here, "UserId": "cid", "FaceIds": [green, blue]}),
        ("DeleteFaces", {**here, "FaceIds": [green]}),
        ("DeleteUser", {**here, "UserId": "cid"}),
        ("DeleteUser", {**here, "UserId": "cid"}),
        ("DeleteCollection", here),
        ("DeleteCollection", here),
    ]


def story(asker: Any) -> list[dict[str, Any]]:
    """Execute all these requests and return the responses, without the creation time, which must be near now."""
    answers = [asked(asker, method_of(operation), parameters) for operation, parameters in steps(furnish(asker))]
    created = answers[0].pop("CreationTimestamp")
    assert abs((datetime.now(UTC) - created).total_seconds()) < 600
    return answers


@pytest.mark.parametrize("name", ["boto3", "http"])
def test_all_ways_give_the_same_answers(name: str) -> None:
    with service() as one, service() as other, way(name, other) as asker:
        expected = story(one)
        assert story(asker) == expected
    assert {operation for operation, _ in steps(dict.fromkeys(("red", "blue", "green"), UNKNOWN_FACE))} == set(ANSWERED)


def test_in_a_file_the_answers_are_the_same(tmp_path: Path) -> None:
    with service() as one, service(tmp_path / "people.db") as other:
        assert story(other) == story(one)


def test_botocore_finds_nothing_wrong_with_any_answer() -> None:
    with service() as own:
        for operation, parameters in steps(furnish(own)):
            answer = asked(own, method_of(operation), parameters)
            if not answer.get("DeletedFaces", True):
                del answer["DeletedFaces"]  # see test_aws.py
            if "Error" not in answer:
                shape = MODEL.operation_model(operation).output_shape
                assert ParamValidator().validate(answer, shape).generate_report() == "", operation
                assert answer.keys() <= shape.members.keys(), operation


def test_answers_are_json_but_for_the_time_of_creation() -> None:
    with service() as own:
        for operation, parameters in steps(furnish(own)):
            answer = asked(own, method_of(operation), parameters)
            answer.pop("CreationTimestamp", None)
            assert json.loads(json.dumps(answer)) == answer, operation


@pytest.mark.parametrize("operation", ANSWERED)
def test_methods_take_what_boto3_s_take(operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape
    taken = inspect.signature(getattr(Rekognition, method_of(operation))).parameters
    assert set(taken) - {"self"} == set(shape.members)
    assert {name for name, each in taken.items() if each.default is inspect.Parameter.empty} - {"self"} == set(
        shape.required_members
    )


# ---------------------------------------------------------------- errors, row by row


ERRORS: list[tuple[str, dict[str, Any], str, str]] = [
    ("search_users_by_image", {"CollectionId": "none", "Image": photo(RED)}, "ResourceNotFoundException", "The collection id: none does not exist"),
    ("describe_collection", {"CollectionId": "none"}, "ResourceNotFoundException", "Collection:none not found!"),
    ("create_collection", {"CollectionId": "staff"}, "ResourceAlreadyExistsException", "The collection id: staff already exists."),
    ("create_user", {"CollectionId": "staff", "UserId": "ada"}, "ConflictException", "ada"),
    ("delete_user", {"CollectionId": "staff", "UserId": "eve"}, "ResourceNotFoundException", "eve"),
    ("associate_faces", {"CollectionId": "staff", "UserId": "eve", "FaceIds": [UNKNOWN_FACE]}, "ResourceNotFoundException", "eve"),
    ("disassociate_faces", {"CollectionId": "staff", "UserId": "eve", "FaceIds": [UNKNOWN_FACE]}, "ResourceNotFoundException", "eve"),
    ("search_users", {"CollectionId": "staff", "UserId": "eve"}, "ResourceNotFoundException", "eve"),
    ("list_faces", {"CollectionId": "staff", "UserId": "eve"}, "ResourceNotFoundException", "The user id: eve does not exist"),
    ("search_faces", {"CollectionId": "staff", "FaceId": UNKNOWN_FACE}, "InvalidParameterException", "faceId was not found in the collection."),
    ("search_users", {"CollectionId": "staff", "FaceId": UNKNOWN_FACE}, "InvalidParameterException", "faceId was not found in the collection."),
    ("search_users", {"CollectionId": "staff"}, "InvalidParameterException", "Request has invalid parameters"),
    ("search_users", {"CollectionId": "staff", "UserId": "ada", "FaceId": UNKNOWN_FACE}, "InvalidParameterException", "Request has invalid parameters"),
    ("search_faces_by_image", {"CollectionId": "staff", "Image": photo()}, "InvalidParameterException", "There are no faces in the image. Should be at least 1."),
    ("compare_faces", {"SourceImage": photo(), "TargetImage": photo(RED)}, "InvalidParameterException", "Request has invalid parameters"),
    ("compare_faces", {"SourceImage": photo(RED), "TargetImage": photo()}, "InvalidParameterException", "Request has invalid parameters"),
    ("detect_faces", {"Image": {"Bytes": png(paint((79, 200), {}))}}, "InvalidParameterException", "Request has invalid parameters"),
    ("detect_faces", {"Image": {"Bytes": b"GIF89a" + bytes(100)}}, "InvalidImageFormatException", "Request has invalid image format"),
    ("detect_faces", {"Image": {"Bytes": webp()}}, "InvalidImageFormatException", "image: expected a JPEG or PNG, got a WebP picture"),
    ("detect_faces", {"Image": {"Bytes": b"DB_PASSWORD=x"}}, "InvalidImageFormatException", "got 13 bytes of no known format"),
    ("detect_faces", {"Image": {"Bytes": bytes(5_242_881)}}, "ImageTooLargeException", "Image size is too large."),
    ("detect_faces", {"Image": {}}, "InvalidParameterException", "Request has invalid parameters"),
    ("detect_faces", {"Image": {**photo(RED), "S3Object": {"Bucket": "photos", "Name": "a.jpg"}}}, "InvalidParameterException", "Request has invalid parameters"),
    ("detect_faces", {"Image": {"S3Object": {"Bucket": "photos", "Name": "a.jpg"}}}, "InvalidS3ObjectException", "S3"),
    ("detect_faces", {"Image": photo(RED), "Attributes": ["HAT"]}, "ValidationException", "enum value set"),
    ("create_collection", {"CollectionId": "no spaces"}, "ValidationException", "Value 'no spaces' at 'collectionId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.\\-]+"),
    ("create_user", {"CollectionId": "staff", "UserId": "a" * 129}, "ValidationException", "Member must have length less than or equal to 128"),
    ("search_users", {"CollectionId": "staff", "UserId": "ada", "MaxUsers": 501}, "ValidationException", "Value '501' at 'maxUsers' failed to satisfy constraint: Member must have value less than or equal to 500"),
    ("search_users", {"CollectionId": "staff", "UserId": "ada", "UserMatchThreshold": 101}, "ValidationException", "userMatchThreshold"),
    ("search_users_by_image", {"CollectionId": "staff", "Image": photo(RED), "QualityFilter": "BEST"}, "ValidationException", "qualityFilter"),
    ("list_users", {"CollectionId": "staff", "NextToken": "made-up"}, "InvalidPaginationTokenException", "Invalid Pagination Token"),
    ("list_faces", {"CollectionId": "staff", "NextToken": "bWFkZSB1cA=="}, "InvalidPaginationTokenException", "Invalid Pagination Token"),
    ("list_tags_for_resource", {"ResourceArn": "arn:aws:s3:::bucket-of-somebody"}, "ResourceNotFoundException", "does not exist"),
]  # fmt: skip


def test_errors_have_aws_s_names_and_words(staff: Any) -> None:
    for method, parameters, expected, text in ERRORS:
        error = asked(staff, method, parameters)["Error"]
        assert error["Code"] == expected, (method, error)
        assert text in error["Message"], (method, error)


def test_errors_are_caught_by_name(staff: Any) -> None:
    with pytest.raises(staff.exceptions.ResourceNotFoundException) as caught:
        staff.describe_collection(CollectionId="none")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert caught.value.operation_name == "DescribeCollection"
    assert str(caught.value) == (
        "An error occurred (ResourceNotFoundException) when calling the DescribeCollection operation: "
        "Collection:none not found!"
    )
    assert isinstance(caught.value, staff.exceptions.ClientError)


def test_nothing_is_done_where_a_parameter_is_wrong(staff: Any) -> None:
    for method, parameters, _, _ in ERRORS:
        asked(staff, method, parameters)
    told = staff.describe_collection(CollectionId="staff")
    assert (told["FaceCount"], told["UserCount"]) == (3, 2)
    assert [user["UserId"] for user in staff.list_users(CollectionId="staff")["Users"]] == ["ada", "bob"]


# ---------------------------------------------------------------- what AWS promises of each


def test_the_largest_face_is_found_and_the_others_are_told(staff: Any) -> None:
    found = staff.search_users_by_image(CollectionId="staff", Image=photo(BLUE, RED, GREEN))
    assert [match["User"] for match in found["UserMatches"]] == [{"UserId": "bob", "UserStatus": "ACTIVE"}]
    assert [face["Reasons"] for face in found["UnsearchedFaces"]] == [["FACE_NOT_LARGEST"]] * 2
    boxes = [found["SearchedFace"]["FaceDetail"], *(face["FaceDetails"] for face in found["UnsearchedFaces"])]
    areas = [face["BoundingBox"]["Width"] * face["BoundingBox"]["Height"] for face in boxes]
    assert areas == sorted(areas, reverse=True)


def test_a_photo_without_a_face_is_an_answer(staff: Any) -> None:
    found = staff.search_users_by_image(CollectionId="staff", Image=photo())
    assert (found["UserMatches"], found["UnsearchedFaces"]) == ([], [])
    assert "SearchedFace" not in found
    assert staff.detect_faces(Image=photo())["FaceDetails"] == []
    indexed = staff.index_faces(CollectionId="staff", Image=photo())
    assert (indexed["FaceRecords"], indexed["UnindexedFaces"]) == ([], [])


def test_a_photo_is_indexed_once_under_a_name(staff: Any) -> None:
    first, second = (
        staff.index_faces(CollectionId="staff", Image=photo(RED, BLUE), ExternalImageId="both") for _ in range(2)
    )
    ids = [record["Face"]["FaceId"] for record in first["FaceRecords"]]
    assert len(ids) == 2
    assert [record["Face"]["FaceId"] for record in second["FaceRecords"]] == ids
    assert len({record["Face"]["ImageId"] for record in first["FaceRecords"]}) == 1
    assert staff.describe_collection(CollectionId="staff")["FaceCount"] == 5


def test_the_searched_one_is_not_among_its_matches(staff: Any) -> None:
    faces = staff.list_faces(CollectionId="staff")["Faces"]
    for face in faces:
        found = staff.search_faces(CollectionId="staff", FaceId=face["FaceId"], FaceMatchThreshold=0)
        assert found["SearchedFaceId"] == face["FaceId"]
        others = {match["Face"]["FaceId"] for match in found["FaceMatches"]}
        assert others == {other["FaceId"] for other in faces} - {face["FaceId"]}
    found = staff.search_users(CollectionId="staff", UserId="ada", UserMatchThreshold=0)
    assert found["SearchedUser"] == {"UserId": "ada"}
    assert [match["User"]["UserId"] for match in found["UserMatches"]] == ["bob"]
    assert "SearchedFace" not in found


def test_faces_of_users_are_deleted_only_after_their_users(staff: Any) -> None:
    ids = [face["FaceId"] for face in staff.list_faces(CollectionId="staff")["Faces"]]
    answer = staff.delete_faces(CollectionId="staff", FaceIds=ids)
    assert len(answer["DeletedFaces"]) == 1
    assert [each["Reasons"] for each in answer["UnsuccessfulFaceDeletions"]] == [["ASSOCIATED_TO_AN_EXISTING_USER"]] * 2
    for user in ("ada", "bob"):
        staff.delete_user(CollectionId="staff", UserId=user)
    assert staff.describe_collection(CollectionId="staff")["FaceCount"] == 2
    staff.delete_faces(CollectionId="staff", FaceIds=ids)
    assert staff.list_faces(CollectionId="staff")["Faces"] == []


def test_a_user_has_at_most_100_faces(account: Any) -> None:
    account.create_collection(CollectionId="staff")
    account.create_user(CollectionId="staff", UserId="ada")
    ids = [
        account.index_faces(CollectionId="staff", Image=photo(RED), ExternalImageId=str(number))["FaceRecords"][0][
            "Face"
        ]["FaceId"]
        for number in range(101)
    ]
    account.associate_faces(CollectionId="staff", UserId="ada", FaceIds=ids[:100])
    answer = asked(account, "associate_faces", {"CollectionId": "staff", "UserId": "ada", "FaceIds": ids[100:]})
    assert code(answer) == "ServiceQuotaExceededException"
    assert len(account.list_faces(CollectionId="staff", UserId="ada")["Faces"]) == 100


def test_who_waits_for_active_can_be_tried_out() -> None:
    with service(eventual=3600) as own:
        ids = furnish(own)
        assert [user["UserStatus"] for user in own.list_users(CollectionId="staff")["Users"]] == ["UPDATING"] * 2
        own.create_user(CollectionId="staff", UserId="cid")
        associated = own.associate_faces(CollectionId="staff", UserId="cid", FaceIds=[ids["green"]])
        assert associated["UserStatus"] == "UPDATING"
        found = own.search_users_by_image(CollectionId="staff", Image=photo(GREEN))
        assert found["UserMatches"][0]["User"] == {"UserId": "cid", "UserStatus": "UPDATING"}
        own.delete_user(CollectionId="staff", UserId="cid")
        own.create_user(CollectionId="staff", UserId="cid")
        assert own.list_users(CollectionId="staff")["Users"][-1] == {"UserId": "cid", "UserStatus": "CREATED"}
        own.delete_collection(CollectionId="staff")
        own.create_collection(CollectionId="staff")
        own.create_user(CollectionId="staff", UserId="ada")
        assert own.list_users(CollectionId="staff")["Users"] == [{"UserId": "ada", "UserStatus": "CREATED"}]
    with service() as own:
        furnish(own)
        assert [user["UserStatus"] for user in own.list_users(CollectionId="staff")["Users"]] == ["ACTIVE"] * 2


def test_searched_attributes_are_ours_to_choose() -> None:
    with service(searched_attributes=("ALL",)) as own:
        furnish(own)
        detail = own.search_users_by_image(CollectionId="staff", Image=photo(RED))["SearchedFace"]["FaceDetail"]
    assert {"Smile", "AgeRange", "Emotions"} <= detail.keys()


# ---------------------------------------------------------------- once


def test_a_token_counts_once(staff: Any) -> None:
    once = {"CollectionId": "staff", "UserId": "ada", "ClientRequestToken": "t"}
    face_ids = [face["FaceId"] for face in staff.list_faces(CollectionId="staff", UserId="ada")["Faces"]]
    first = staff.disassociate_faces(**once, FaceIds=face_ids)
    again = staff.disassociate_faces(**once, FaceIds=face_ids)
    assert again["DisassociatedFaces"] == first["DisassociatedFaces"] == [{"FaceId": face_ids[0]}]
    other = asked(staff, "disassociate_faces", {**once, "UserId": "bob", "FaceIds": face_ids})
    assert other["Error"] == {
        "Code": "IdempotentParameterMismatchException",
        "Message": "The ClientRequestToken: t you have supplied is already in use.",
    }


def test_a_token_lasts_in_a_file(tmp_path: Path) -> None:
    asking: Any = {"CollectionId": "staff", "UserId": "cid", "ClientRequestToken": "t"}
    with service(tmp_path / "people.db") as own:
        furnish(own)
        own.create_user(**asking)
    with service(tmp_path / "people.db") as own:
        assert own.create_user(**asking) == {}
        own.delete_user(**asking)
        own.delete_user(**asking)
        with pytest.raises(own.exceptions.ConflictException):
            own.create_user(CollectionId="staff", UserId="ada")


def test_a_remembered_answer_does_not_remember_people(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with service(path) as own:
        ids = furnish(own)
        own.create_user(CollectionId="staff", UserId="cid")
        asking: Any = {"CollectionId": "staff", "UserId": "cid", "FaceIds": [ids["red"]], "ClientRequestToken": "t"}
        refused = own.associate_faces(**asking)["UnsuccessfulFaceAssociations"]
        assert refused[0]["UserId"] == "ada"
        own.create_user(CollectionId="staff", UserId="a-long-name-to-look-for")
        own.delete_user(CollectionId="staff", UserId="ada")
        own.delete_user(CollectionId="staff", UserId="a-long-name-to-look-for")
        again = own.associate_faces(**asking)["UnsuccessfulFaceAssociations"]
        assert again == [{"FaceId": ids["red"], "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]}]
    assert b"a-long-name-to-look-for" not in path.read_bytes()


# ---------------------------------------------------------------- pages


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with 10,000 faces of 2,500 users."""
    import numpy as np

    path = tmp_path_factory.mktemp("crowd") / "people.db"
    with fs.Collection.open(path, "crowd") as collection:
        vectors = np.random.default_rng(0).normal(size=(10_000, 128)) * 0.08
        collection.add_embeddings([f"user{number % 2500:04}" for number in range(10_000)], vectors)
    return path


@pytest.mark.parametrize("name", WAYS)
def test_pages_hold_each_of_10_000_faces_once(crowd: Path, name: str) -> None:
    with Rekognition(crowd) as own, way(name, own) as asker:
        faces, tokens = [], []
        page = asker.list_faces(CollectionId="crowd", MaxResults=4096)
        faces += page["Faces"]
        while token := page.get("NextToken"):
            tokens.append(token)
            page = asker.list_faces(CollectionId="crowd", MaxResults=4096, NextToken=token)
            faces += page["Faces"]
    assert len(tokens) == 2
    assert len({face["FaceId"] for face in faces}) == len(faces) == 10_000
    assert max(map(len, tokens)) <= 255


def test_boto3_s_paginators_go_to_the_end(crowd: Path) -> None:
    with Rekognition(crowd) as own, way("boto3", own) as asker:
        users = asker.get_paginator("list_users").paginate(CollectionId="crowd").build_full_result()["Users"]
        faces = asker.get_paginator("list_faces").paginate(CollectionId="crowd").build_full_result()
        assert len({user["UserId"] for user in users}) == len(users) == 2_500
        assert len({face["FaceId"] for face in faces["Faces"]}) == len(faces["Faces"]) == 10_000
        assert faces["FaceModelVersion"] == "3.0"
        for number in range(30):
            asker.create_collection(CollectionId=f"more{number:02}")
        pages = asker.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 7})
        ids = pages.build_full_result()["CollectionIds"]
        assert ids == ["crowd", *(f"more{number:02}" for number in range(30))]
        for number in range(30):
            asker.delete_collection(CollectionId=f"more{number:02}")


@settings(max_examples=20)
@given(size=st.integers(0, 12), before=st.integers(0, 10), gone=st.sets(st.integers(0, 9)), more=st.integers(0, 4))
def test_whoever_stays_is_listed_once(size: int, before: int, gone: set[int], more: int) -> None:
    with service() as own:
        own.create_collection(CollectionId="staff")
        for number in range(10):
            own.create_user(CollectionId="staff", UserId=f"user{number}")
        seen, token, pages = [], None, 0
        while True:
            if pages == before:
                for number in gone:
                    own.delete_user(CollectionId="staff", UserId=f"user{number}")
                for number in range(more):
                    own.create_user(CollectionId="staff", UserId=f"later{number}")
            answer = own.list_users(CollectionId="staff", MaxResults=size or None, NextToken=token)
            seen += [user["UserId"] for user in answer["Users"]]
            pages += 1
            token = answer.get("NextToken")
            if token is None:
                break
    stayed = {f"user{number}" for number in range(10)} - {f"user{number}" for number in gone}
    assert len(seen) == len(set(seen))
    assert stayed <= set(seen)


# ---------------------------------------------------------------- many at once


@pytest.mark.parametrize("name", WAYS)
def test_threads_lose_nothing(name: str, tmp_path: Path) -> None:
    colours = [(200, shade, 30) for shade in range(8, 248, 10)]
    with service(tmp_path / "people.db") as account, way(name, account) as own:
        own.create_collection(CollectionId="staff")

        def enrol(number: int) -> str:
            indexed = own.index_faces(CollectionId="staff", Image=photo(colours[number]), ExternalImageId=str(number))
            own.create_user(CollectionId="staff", UserId=f"user{number}")
            own.associate_faces(
                CollectionId="staff", UserId=f"user{number}", FaceIds=[indexed["FaceRecords"][0]["Face"]["FaceId"]]
            )
            found = own.search_users_by_image(CollectionId="staff", Image=photo(colours[number]))
            return str(found["UserMatches"][0]["User"]["UserId"])

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(enrol, range(len(colours)))) == [f"user{number}" for number in range(len(colours))]
        told = own.describe_collection(CollectionId="staff")
        assert (told["FaceCount"], told["UserCount"]) == (len(colours), len(colours))


def _create_users(path: Path, name: str, count: int) -> None:
    with service(path) as own:
        for number in range(count):
            own.create_user(CollectionId="staff", UserId=f"{name}{number}", ClientRequestToken=f"{name}{number}")


def test_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with service(path) as own:
        own.create_collection(CollectionId="staff")
        spawn = multiprocessing.get_context("spawn")
        workers = [spawn.Process(target=_create_users, args=(path, name, 30)) for name in "ab"]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert own.describe_collection(CollectionId="staff")["UserCount"] == 60


def test_one_of_many_makes_a_collection(tmp_path: Path) -> None:
    with service(tmp_path / "people.db") as own:
        start = threading.Barrier(6)

        def make(_: int) -> str:
            start.wait()
            return str(asked(own, "create_collection", {"CollectionId": "staff"}).get("StatusCode"))

        with ThreadPoolExecutor(6) as threads:
            assert sorted(threads.map(make, range(6))) == ["200", *["None"] * 5]


def test_a_collection_that_another_process_made_anew_is_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    with service(path) as one, service(path) as other:
        furnish(one)
        other.delete_collection(CollectionId="staff")
        assert code(asked(one, "list_users", {"CollectionId": "staff"})) == "ResourceNotFoundException"
        other.create_collection(CollectionId="staff")
        assert one.list_users(CollectionId="staff")["Users"] == []
        other.create_user(CollectionId="staff", UserId="zoe")
        assert [user["UserId"] for user in one.list_users(CollectionId="staff")["Users"]] == ["zoe"]


def test_a_file_that_was_put_back_from_a_copy_is_opened_anew(tmp_path: Path) -> None:
    path, copy = tmp_path / "people.db", tmp_path / "copy.db"
    with service(path) as own:
        furnish(own)
    shutil.copy(path, copy)
    with service(path) as own:
        own.delete_user(CollectionId="staff", UserId="ada")
        path.with_name("people.db-wal").unlink()
        copy.replace(path)
        assert [user["UserId"] for user in own.list_users(CollectionId="staff")["Users"]] == ["ada", "bob"]


def test_who_waits_too_long_for_other_writers_is_told_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service(tmp_path / "people.db") as own:
        furnish(own)

        def busy(*_: object, **__: object) -> None:
            raise fs.StorageBusyError("people.db: others wrote to it for longer than the timeout; nothing was changed")

        monkeypatch.setattr(fs.Collection, "create_user", busy)
        answer = asked(own, "create_user", {"CollectionId": "staff", "UserId": "cid"})
        assert answer["Error"] == {"Code": "ThrottlingException", "Message": "Service Unavailable"}


def test_a_file_that_can_t_be_used_is_told_in_the_log_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "people.db"
    with service(path) as own, way("boto3", own) as asker:
        furnish(asker)
    path.write_bytes(bytes(5000))
    with service(path) as own:
        told = asked(client(service=own), "list_users", {"CollectionId": "staff"})
        assert told["Error"] == {"Code": "InternalServerError", "Message": "Internal server error"}
        assert "InternalServerError from StorageFormatError from DatabaseError in facesearch." in caplog.text
        assert str(path) not in caplog.text
        with caplog.at_level("DEBUG", "facesearch"):
            asked(client(service=own), "list_users", {"CollectionId": "staff"})
    assert str(path) in caplog.text  # with the traceback


def test_only_some_collections_are_held_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_MOST_OPEN", 2)
    with service(tmp_path / "people.db") as own:
        for _ in range(2):
            for number in range(5):
                asked(own, "create_collection", {"CollectionId": f"c{number}"})
                asked(own, "create_user", {"CollectionId": f"c{number}", "UserId": "ada"})
        opened = own._account.backend
        assert isinstance(opened, backends.FileBackend)
        assert list(opened._open) == ["c3", "c4"]
        for number in range(5):
            assert [user["UserId"] for user in own.list_users(CollectionId=f"c{number}")["Users"]] == ["ada"]


@pytest.mark.parametrize("in_a_file", [False, True])
def test_a_closed_one_says_so(in_a_file: bool, tmp_path: Path) -> None:
    own = service(tmp_path / "people.db" if in_a_file else None)
    furnish(own)
    own.close()
    with pytest.raises(fs.ClosedError, match="this Rekognition, or the client that it serves, was closed"):
        own.create_user(CollectionId="staff", UserId="eve")


@pytest.mark.parametrize("in_a_file", [False, True])
def test_one_that_is_closed_while_it_answers_says_so_and_opens_nothing_again(in_a_file: bool, tmp_path: Path) -> None:
    closing: list[Rekognition] = []

    class Objects:
        def read(self, *_: Any) -> bytes:
            closing[0].close()
            return photo(RED)["Bytes"]

    own = service(tmp_path / "people.db" if in_a_file else None, objects=Objects())
    closing.append(own)
    furnish(own)
    with pytest.raises(fs.ClosedError, match="was closed"):
        own.search_users_by_image(CollectionId="staff", Image={"S3Object": {"Bucket": "photos", "Name": "a"}})
    if isinstance(own._account.backend, backends.FileBackend):
        assert not own._account.backend._open


# ---------------------------------------------------------------- failures that are asked for


@pytest.mark.parametrize("name", ["boto3", "http"])
def test_boto3_tries_again_where_it_is_throttled(name: str) -> None:
    with service() as own:
        if name == "boto3":
            retrying = client(service=own)
            own.fail_next("ThrottlingException", times=2)
            answer = retrying.list_collections()
        else:
            with served(own) as address:
                retrying = remote(address, retries={"mode": "standard", "total_max_attempts": 3})
                own.fail_next("ProvisionedThroughputExceededException", times=2, operation="ListCollections")
                answer = retrying.list_collections()
        assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def test_every_third_request_is_throttled() -> None:
    with service(throttle_every=3) as own:
        codes = [asked(own, "list_collections", {}).get("Error", {}).get("Code") for _ in range(7)]
    assert codes == [None, None, "ThrottlingException"] * 2 + [None]


@pytest.mark.parametrize(
    "arguments",
    [{"code": "NoSuchException"}, {"code": "ThrottlingException", "times": 0}, {"code": "ThrottlingException", "operation": "X"}],
)  # fmt: skip
def test_what_can_t_fail_is_refused(arguments: dict[str, Any]) -> None:
    with service() as own, pytest.raises(fs.InvalidParameterError, match=list(arguments)[-1]):
        own.fail_next(**arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data", ""),
        ("data", 5),
        ("objects", "nowhere"),
        ("region", "eu:west"),
        ("account", 123456789012),
        ("eventual", -1),
        ("throttle_every", 0),
        ("searched_attributes", ("HAT",)),
    ],
)
def test_wrong_settings_are_named(name: str, value: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match=rf"^{name.removeprefix('searched_')}"):
        service(**{name: value})


def test_what_is_not_answered_is_told_with_what_is() -> None:
    with service() as own, pytest.raises(own.exceptions.ClientError) as caught:
        own.call("DetectLabels", {"Image": photo(RED)})
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
    assert all(operation in caught.value.response["Error"]["Message"] for operation in ANSWERED)


# ---------------------------------------------------------------- against a model


class Users(RuleBasedStateMachine):
    """Compare the owner of each face in the service with a dict, after random operations."""

    @initialize()
    def begin(self) -> None:
        """Index five faces."""
        self.own = service()
        self.own.create_collection(CollectionId="staff")
        colours = [RED, GREEN, BLUE, (200, 200, 30), (30, 200, 200)]
        self.faces = [
            self.own.index_faces(CollectionId="staff", Image=photo(colour))["FaceRecords"][0]["Face"]["FaceId"]
            for colour in colours
        ]
        self.owner: dict[str, str | None] = dict.fromkeys(self.faces)
        self.users: set[str] = set()

    names = st.sampled_from(["ada", "bob", "cid"])
    some = st.lists(st.integers(0, 4), min_size=1, max_size=6)

    @rule(name=names)
    def create(self, name: str) -> None:
        """Create a user."""
        answer = asked(self.own, "create_user", {"CollectionId": "staff", "UserId": name})
        assert answer == {} if name not in self.users else code(answer) == "ConflictException"
        self.users.add(name)

    @rule(name=names)
    def delete(self, name: str) -> None:
        """Delete a user."""
        answer = asked(self.own, "delete_user", {"CollectionId": "staff", "UserId": name})
        assert answer == {} if name in self.users else code(answer) == "ResourceNotFoundException"
        self.users.discard(name)
        self.owner = {face: None if owner == name else owner for face, owner in self.owner.items()}

    @rule(name=names, some=some)
    def associate(self, name: str, some: list[int]) -> None:
        """Associate faces regardless of their similarity."""
        wanted = list(dict.fromkeys(self.faces[place] for place in some))
        asking = {"CollectionId": "staff", "UserId": name, "FaceIds": wanted, "UserMatchThreshold": 0}
        answer = asked(self.own, "associate_faces", asking)
        if name not in self.users:
            assert code(answer) == "ResourceNotFoundException"
            return
        taken = [face for face in wanted if self.owner.get(face, "gone") is None]
        assert [each["FaceId"] for each in answer["AssociatedFaces"]] == taken
        refused = {each["FaceId"]: each for each in answer["UnsuccessfulFaceAssociations"]}
        for face in wanted:
            owner = self.owner.get(face, "gone")
            if owner == "gone":
                assert refused[face]["Reasons"] == ["FACE_NOT_FOUND"]
            elif owner not in {None, name}:
                assert (refused[face]["Reasons"], refused[face]["UserId"]) == (
                    ["ASSOCIATED_TO_A_DIFFERENT_USER"],
                    owner,
                )
            else:
                assert face not in refused
        self.owner.update(dict.fromkeys(taken, name))

    @rule(name=names, some=some)
    def disassociate(self, name: str, some: list[int]) -> None:
        """Disassociate faces."""
        wanted = list(dict.fromkeys(self.faces[place] for place in some))
        asking = {"CollectionId": "staff", "UserId": name, "FaceIds": wanted}
        answer = asked(self.own, "disassociate_faces", asking)
        if name not in self.users:
            assert code(answer) == "ResourceNotFoundException"
            return
        gone = [face for face in wanted if self.owner.get(face) == name]
        assert [each["FaceId"] for each in answer["DisassociatedFaces"]] == gone
        self.owner.update(dict.fromkeys(gone))

    @rule(some=some)
    def forget(self, some: list[int]) -> None:
        """Delete faces."""
        wanted = list(dict.fromkeys(self.faces[place] for place in some))
        answer = self.own.delete_faces(CollectionId="staff", FaceIds=wanted)
        gone = [face for face in wanted if self.owner.get(face, "gone") is None]
        assert answer["DeletedFaces"] == gone
        for face in gone:
            del self.owner[face]

    @invariant()
    def same(self) -> None:
        """Check that all responses agree with the model."""
        if not hasattr(self, "own"):
            return
        faces = self.own.list_faces(CollectionId="staff")["Faces"]
        assert {face["FaceId"]: face.get("UserId") for face in faces} == self.owner
        users = self.own.list_users(CollectionId="staff")["Users"]
        owners = set(self.owner.values())
        assert {user["UserId"]: user["UserStatus"] for user in users} == {
            name: "ACTIVE" if name in owners else "CREATED" for name in self.users
        }
        told = self.own.describe_collection(CollectionId="staff")
        assert (told["FaceCount"], told["UserCount"]) == (len(self.owner), len(self.users))


TestUsers = Users.TestCase
TestUsers.settings = settings(max_examples=30, stateful_step_count=20)


def test_no_path_of_the_server_reaches_clients(tmp_path: Path) -> None:
    folder = tmp_path / "private-folder"
    folder.mkdir()
    with Rekognition(folder / "x.db", objects=folder) as good:
        good.create_collection(CollectionId="a")
        (folder / "a.folder").mkdir()
        (folder / "text.db").write_text("no collections")
        calls: list[tuple[str, dict[str, object]]] = [
            ("ListCollections", {}),
            ("CreateCollection", {"CollectionId": "b"}),
            ("DescribeCollection", {"CollectionId": "a"}),
            ("DeleteCollection", {"CollectionId": "a"}),
            ("ListUsers", {"CollectionId": "a"}),
            ("DetectFaces", {"Image": {"S3Object": {"Bucket": "a.folder", "Name": "x"}}}),
            ("DetectFaces", {"Image": {"S3Object": {"Bucket": "a.folder", "Name": "../x.db"}}}),
        ]
        for name in ("x.db-wal", "x.db-shm", "x.db-journal", "a.folder", "text.db", "x.db/y.db", "nowhere/x.db"):
            with Rekognition(folder / name, objects=folder) as bad:
                for operation, parameters in calls:
                    try:
                        answer = str(bad.call(operation, parameters))
                    except RekognitionError as error:
                        answer = f"{error} {error.response}"
                    assert "private-folder" not in answer, (name, operation)
