"""The workflows of AWS's published samples, rewritten: a stock boto3 client, a real socket, photographs, the real pipeline.

The samples themselves (awsdocs/aws-doc-sdk-examples, the developer guide's pages on collections and users, and
aws-samples/rekognition-user-vectors) ran unchanged against ``facesearch serve``; what each relies on is asserted here.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from moto import mock_aws
from PIL import Image

import facesearch as fs
from facesearch.common.arrays import PixelArray
from facesearch.rekognition import ObjectStore, Rekognition, S3Client
from facesearch.rekognition.pagination import parse_token, token_of
from rekognition_ways import remote, served, way
from samples import astronaut, hopper

UNKNOWN_FACE = "00000000-0000-4000-8000-000000000000"
PEOPLE = {"eileen": astronaut(), "grace": hopper()}


def jpeg(pixels: PixelArray, *, light: float = 1) -> bytes:
    file = io.BytesIO()
    Image.fromarray((pixels * light).astype(np.uint8)).save(file, "JPEG", quality=92)
    return file.getvalue()


def photos(name: str) -> dict[str, bytes]:
    """Three photographs of one person, by file name."""
    pixels = PEOPLE[name]
    return {
        f"{name}-1.jpeg": jpeg(pixels, light=0.7),
        f"{name}-2.jpeg": jpeg(pixels[:, ::-1]),
        f"{name}-3.jpeg": jpeg(pixels[::2, ::2]),
    }


def group() -> bytes:
    """Both people, side by side."""
    return jpeg(np.hstack([astronaut(), hopper()[:512]]))


def nobody() -> bytes:
    return jpeg(np.full((200, 200, 3), 90, np.uint8))


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """A folder of S3Objects with the bucket ``photos``."""
    tmp_path.joinpath("photos").mkdir()
    return tmp_path


@pytest.fixture
def rekognition(objects: Path) -> Iterator[Any]:
    """A boto3 client of an empty account, over HTTP."""
    with Rekognition(objects=objects) as service, served(service) as address:
        yield remote(address)


def index(rekognition: Any, name: str, image: dict[str, Any], external_image_id: str) -> str:
    """Index the only face of a photo as the samples do, and return its id."""
    answer = rekognition.index_faces(
        CollectionId=name,
        Image=image,
        ExternalImageId=external_image_id,
        MaxFaces=1,
        QualityFilter="AUTO",
        DetectionAttributes=["ALL"],
    )
    assert answer["UnindexedFaces"] == []
    (record,) = answer["FaceRecords"]
    return str(record["Face"]["FaceId"])


def paged(ask: Any, key: str, **parameters: Any) -> list[Any]:
    """Request all pages, as the samples do, until there is no NextToken."""
    answer = ask(**parameters)
    pages = [answer[key]]
    while "NextToken" in answer:
        answer = ask(**parameters, NextToken=answer["NextToken"])
        pages.append(answer[key])
    assert all(len(page) == parameters["MaxResults"] for page in pages[:-1])
    return [each for page in pages for each in page]


# ---------------------------------------------------------------- collections: rekognition_collections.py, image-python-*.py


def test_collections_come_and_go(rekognition: Any) -> None:
    with pytest.raises(rekognition.exceptions.ClientError) as caught:
        rekognition.delete_collection(CollectionId="family")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400

    for name in ("family", "a", "b", "c", "d"):
        created = rekognition.create_collection(CollectionId=name)
        assert created["CollectionArn"].endswith(f":collection/{name}")
        assert created["StatusCode"] == 200
    with pytest.raises(rekognition.exceptions.ResourceAlreadyExistsException):
        rekognition.create_collection(CollectionId="family")

    assert sorted(paged(rekognition.list_collections, "CollectionIds", MaxResults=2)) == ["a", "b", "c", "d", "family"]
    described = rekognition.describe_collection(CollectionId="family")
    assert described["CollectionARN"].endswith(":collection/family")
    assert described["FaceCount"] == 0
    assert described["CreationTimestamp"].tzinfo
    assert str(described["FaceModelVersion"])

    assert rekognition.delete_collection(CollectionId="family")["StatusCode"] == 200
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.describe_collection(CollectionId="family")


def test_faces_are_indexed_listed_searched_and_deleted(rekognition: Any) -> None:
    rekognition.create_collection(CollectionId="family")
    ids: dict[str, set[str]] = {}
    for name in PEOPLE:
        for file, data in photos(name).items():
            answer = rekognition.index_faces(
                CollectionId="family",
                Image={"Bytes": data},
                ExternalImageId=file,
                MaxFaces=10,
                DetectionAttributes=["ALL"],
            )
            assert answer["UnindexedFaces"] == []
            (record,) = answer["FaceRecords"]
            face = {**record["Face"], **record["FaceDetail"]}
            assert face["AgeRange"]["Low"] < face["AgeRange"]["High"]
            assert face["Gender"]["Value"] == "Female"
            flags = ("Smile", "Eyeglasses", "Sunglasses", "Beard", "Mustache", "EyesOpen", "MouthOpen", "FaceOccluded")
            assert {type(face[flag]["Value"]) for flag in flags} == {bool}
            confidences = [emotion["Confidence"] for emotion in face["Emotions"]]
            assert confidences == sorted(confidences, reverse=True)
            ids.setdefault(name, set()).add(face["FaceId"])

    faces = paged(rekognition.list_faces, "Faces", CollectionId="family", MaxResults=2)
    assert {face["FaceId"] for face in faces} == ids["eileen"] | ids["grace"]
    assert sorted(face["ExternalImageId"] for face in faces) == sorted({**photos("eileen"), **photos("grace")})

    first = faces[0]["FaceId"]
    same = ids["eileen"] if first in ids["eileen"] else ids["grace"]
    found = rekognition.search_faces(CollectionId="family", FaceId=first, FaceMatchThreshold=50, MaxFaces=10)
    assert {match["Face"]["FaceId"] for match in found["FaceMatches"]} == same - {first}

    photo = {"Bytes": jpeg(astronaut())}
    found = rekognition.search_faces_by_image(CollectionId="family", Image=photo, FaceMatchThreshold=80, MaxFaces=10)
    (detail,) = rekognition.detect_faces(Image=photo)["FaceDetails"]
    assert found["SearchedFaceBoundingBox"] == detail["BoundingBox"]
    assert found["SearchedFaceConfidence"] == detail["Confidence"]
    assert {match["Face"]["FaceId"] for match in found["FaceMatches"]} == ids["eileen"]
    similarities = [match["Similarity"] for match in found["FaceMatches"]]
    assert similarities == sorted(similarities, reverse=True)
    with pytest.raises(rekognition.exceptions.InvalidParameterException, match="There are no faces in the image"):
        rekognition.search_faces_by_image(CollectionId="family", Image={"Bytes": nobody()})

    deleted = rekognition.delete_faces(CollectionId="family", FaceIds=sorted(ids["grace"]))
    assert sorted(deleted["DeletedFaces"]) == sorted(ids["grace"])
    assert rekognition.describe_collection(CollectionId="family")["FaceCount"] == 3


def test_one_face_is_compared_with_a_group(rekognition: Any) -> None:
    answer = rekognition.compare_faces(
        SimilarityThreshold=70, SourceImage={"Bytes": jpeg(hopper())}, TargetImage={"Bytes": group()}
    )
    (match,), (other,) = answer["FaceMatches"], answer["UnmatchedFaces"]
    assert match["Face"]["BoundingBox"]["Left"] > 0.5 > other["BoundingBox"]["Left"]
    assert match["Similarity"] > 99
    assert match["Face"]["Confidence"] > 90


# ---------------------------------------------------------------- users: the developer guide


def test_users_are_made_of_faces_and_found(rekognition: Any) -> None:
    rekognition.create_collection(CollectionId="family")
    ids = {
        name: [index(rekognition, "family", {"Bytes": data}, file) for file, data in photos(name).items()]
        for name in PEOPLE
    }
    for name in PEOPLE:
        assert rekognition.create_user(CollectionId="family", UserId=name).keys() == {"ResponseMetadata"}
    with pytest.raises(rekognition.exceptions.ConflictException):
        rekognition.create_user(CollectionId="family", UserId="eileen")
    users = rekognition.list_users(CollectionId="family")["Users"]
    assert {user["UserId"]: user["UserStatus"] for user in users} == {"eileen": "CREATED", "grace": "CREATED"}

    for name in PEOPLE:
        answer = rekognition.associate_faces(CollectionId="family", UserId=name, FaceIds=ids[name])
        assert [face["FaceId"] for face in answer["AssociatedFaces"]] == ids[name]
        assert answer["UnsuccessfulFaceAssociations"] == []
        assert answer["UserStatus"] == "ACTIVE"
    answer = rekognition.associate_faces(
        CollectionId="family", UserId="eileen", FaceIds=[ids["grace"][0], UNKNOWN_FACE]
    )
    assert answer["AssociatedFaces"] == []
    assert answer["UnsuccessfulFaceAssociations"] == [
        {"FaceId": ids["grace"][0], "UserId": "grace", "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]},
        {"FaceId": UNKNOWN_FACE, "Reasons": ["FACE_NOT_FOUND"]},
    ]

    found = rekognition.search_users(CollectionId="family", FaceId=ids["grace"][1])
    assert [match["User"] for match in found["UserMatches"]] == [{"UserId": "grace", "UserStatus": "ACTIVE"}]
    assert found["SearchedFace"] == {"FaceId": ids["grace"][1]}
    found = rekognition.search_users(CollectionId="family", UserId="grace", UserMatchThreshold=0)
    assert [match["User"]["UserId"] for match in found["UserMatches"]] == ["eileen"]
    assert found["SearchedUser"] == {"UserId": "grace"}

    found = rekognition.search_users_by_image(CollectionId="family", Image={"Bytes": jpeg(hopper())})
    assert [match["User"]["UserId"] for match in found["UserMatches"]] == ["grace"]
    assert found["UnsearchedFaces"] == []
    found = rekognition.search_users_by_image(
        CollectionId="family", Image={"Bytes": group()}, UserMatchThreshold=99, MaxUsers=2
    )
    assert len(found["UserMatches"]) == 1
    assert [face["Reasons"] for face in found["UnsearchedFaces"]] == [["FACE_NOT_LARGEST"]]
    found = rekognition.search_users_by_image(CollectionId="family", Image={"Bytes": nobody()})
    assert found["UserMatches"] == []
    assert "SearchedFace" not in found

    answer = rekognition.delete_faces(CollectionId="family", FaceIds=[ids["grace"][0], ids["grace"][1]])
    assert [each["Reasons"] for each in answer["UnsuccessfulFaceDeletions"]] == [["ASSOCIATED_TO_AN_EXISTING_USER"]] * 2
    answer = rekognition.disassociate_faces(
        CollectionId="family", UserId="grace", FaceIds=[*ids["grace"], ids["eileen"][0]]
    )
    assert [face["FaceId"] for face in answer["DisassociatedFaces"]] == ids["grace"]
    assert answer["UnsuccessfulFaceDisassociations"] == [
        {"FaceId": ids["eileen"][0], "UserId": "eileen", "Reasons": ["ASSOCIATED_TO_A_DIFFERENT_USER"]}
    ]
    found = rekognition.search_users_by_image(CollectionId="family", Image={"Bytes": jpeg(hopper())})
    assert found["UserMatches"] == []

    for name in PEOPLE:
        assert rekognition.delete_user(CollectionId="family", UserId=name).keys() == {"ResponseMetadata"}
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.delete_user(CollectionId="family", UserId="grace")
    assert rekognition.list_users(CollectionId="family")["Users"] == []
    assert rekognition.describe_collection(CollectionId="family")["FaceCount"] == 6


# ---------------------------------------------------------------- pictures in S3, and every face of a group: rekognition-user-vectors


@pytest.fixture
def s3() -> Iterator[Any]:
    """moto's S3 with the bucket ``photos``."""
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="photos")
        yield client


def who_is_who(rekognition: Any, name: str, photo: bytes, threshold: float) -> list[str | None]:
    """Search with a crop of each face, exactly its bounding box; return the matches from left to right."""
    image = Image.open(io.BytesIO(photo))
    boxes = [face["BoundingBox"] for face in rekognition.detect_faces(Image={"Bytes": photo})["FaceDetails"]]
    found = []
    for box in sorted(boxes, key=lambda each: float(each["Left"])):
        left, top = image.width * box["Left"], image.height * box["Top"]
        corner = (left + image.width * box["Width"], top + image.height * box["Height"])
        face = io.BytesIO()
        image.crop((left, top, *corner)).save(face, image.format)
        answer = rekognition.search_users_by_image(
            CollectionId=name, Image={"Bytes": face.getvalue()}, UserMatchThreshold=threshold
        )
        assert answer["SearchedFace"]["FaceDetail"]["BoundingBox"]["Width"] > 0.7
        matches = answer["UserMatches"]
        assert len(matches) <= 1
        found.append(matches[0]["User"]["UserId"] if matches else None)
    return found


def users_of_a_bucket(rekognition: Any, store: str, s3: Any, objects: Path) -> None:
    """Create a user for each folder of a bucket, with all photos in it."""
    for name in PEOPLE:
        for file, data in photos(name).items():
            if store == "moto":
                s3.put_object(Bucket="photos", Key=f"images/{name}/{file}", Body=data)
            else:
                objects.joinpath("photos", "images", name).mkdir(parents=True, exist_ok=True)
                objects.joinpath("photos", "images", name, file).write_bytes(data)
    rekognition.create_collection(CollectionId="family")
    for name in PEOPLE:
        rekognition.create_user(CollectionId="family", UserId=name)
        face_ids = [
            index(rekognition, "family", {"S3Object": {"Bucket": "photos", "Name": f"images/{name}/{file}"}}, file)
            for file in photos(name)
        ]
        answer = rekognition.associate_faces(CollectionId="family", UserId=name, FaceIds=face_ids)
        assert len(answer["AssociatedFaces"]) == 3


@pytest.mark.parametrize("store", ["folder", "moto"])
def test_each_face_of_a_group_is_found_when_cut_out(store: str, s3: Any, objects: Path) -> None:
    source: ObjectStore | Path = S3Client(s3) if store == "moto" else objects
    with Rekognition(objects=source) as service, served(service) as address:
        rekognition = remote(address)
        users_of_a_bucket(rekognition, store, s3, objects)

        assert who_is_who(rekognition, "family", group(), 99) == ["eileen", "grace"]
        rekognition.delete_user(CollectionId="family", UserId="eileen")
        assert who_is_who(rekognition, "family", group(), 80) == [None, "grace"]

        with pytest.raises(rekognition.exceptions.InvalidS3ObjectException, match="Unable to get object metadata"):
            rekognition.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "images/missing.jpeg"}})
        assert rekognition.delete_collection(CollectionId="family")["StatusCode"] == 200


# ---------------------------------------------------------------- four ways, one answer


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with both people as users."""
    path = tmp_path_factory.mktemp("four-ways") / "people.db"
    with Rekognition(path) as service:
        service.create_collection(CollectionId="family")
        for name in PEOPLE:
            service.create_user(CollectionId="family", UserId=name)
            ids = [index(service, "family", {"Bytes": data}, file) for file, data in photos(name).items()]
            service.associate_faces(CollectionId="family", UserId=name, FaceIds=ids)
    return path


@pytest.mark.parametrize(
    ("photo", "threshold", "quality_filter", "names"),
    [
        (group(), 0, "NONE", 2),
        (group(), 99, "HIGH", 1),
        (jpeg(hopper()), 80, "AUTO", 1),
        (nobody(), 80, "NONE", 0),
    ],
    ids=["group", "best of group", "grace", "nobody"],
)
def test_all_ways_give_the_same_dict(
    people: Path, photo: bytes, threshold: float, quality_filter: str, names: int
) -> None:
    answers = []
    with Rekognition(people) as service:
        for name in ("plain", "boto3", "http"):
            with way(name, service) as asker:
                answer = asker.search_users_by_image(
                    CollectionId="family",
                    Image={"Bytes": photo},
                    UserMatchThreshold=threshold,
                    MaxUsers=5,
                    QualityFilter=quality_filter,
                )
                answer.pop("ResponseMetadata", None)
                answers.append(answer)
    with fs.Collection.open(people, "family", create=False) as collection:
        response = fs.search_users_by_image(
            collection, photo, user_match_threshold=threshold, max_users=5, quality_filter=quality_filter
        )
    expected = fs.to_aws(response)

    assert answers == [expected] * 3
    assert len(expected["UserMatches"]) == names


# ---------------------------------------------------------------- the aws command


def test_no_token_looks_like_an_option_to_the_aws_command() -> None:
    for position in map(str, range(500)):
        token = token_of(position, "ListFaces", "family")
        assert not token.startswith("-")
        assert parse_token(token, "ListFaces", "family") == position
