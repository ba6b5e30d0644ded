"""What users' programs see of the types: mypy checks this file with all others, and here it runs."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, assert_type

import numpy as np
import pytest
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

import facesearch as fs
from facesearch.rekognition import client
from facesearch.testing.fakes import fake_analyzer, paint

if TYPE_CHECKING:
    from mypy_boto3_rekognition import RekognitionClient

ROOT = Path(__file__).parents[1]
RED, BLUE = (200, 30, 30), (30, 30, 200)
PORTRAIT = paint((200, 200), {(40, 40, 160, 160): RED})
GROUP = paint((200, 400), {(10, 10, 90, 90): RED, (150, 20, 220, 90): BLUE})
ANALYZER = fake_analyzer()


@pytest.fixture
def staff() -> fs.Collection:
    staff = fs.Collection("staff", analyzer=ANALYZER)
    staff.enroll("ada", [PORTRAIT])
    return staff


def test_a_search_has_types(staff: fs.Collection) -> None:
    response = assert_type(fs.search_users_by_image(staff, GROUP), fs.SearchUsersByImageResponse)
    match = assert_type(response.user_matches[0], fs.UserMatch)
    assert_type(match.similarity, float)
    assert_type(match.user.user_id, str)
    # A photo may have no face that passes: that is an answer, which a program has to look at.
    if response.searched_face:
        assert_type(response.searched_face.face_detail.bounding_box.left, float)
    for unsearched in response.unsearched_faces:
        assert_type(unsearched.face_details.bounding_box, fs.BoundingBox)
        assert_type(unsearched.reasons, tuple[fs.UnsearchedFaceReason, ...])
        # AWS's own answers to this operation have the box alone.
        assert_type(unsearched.face_details.confidence, float | None)
    assert_type(response.margin, float | None)
    assert_type(response.explain().faces[0].reasons, tuple[str, ...])
    assert_type(fs.from_aws(fs.to_aws(response), fs.SearchUsersByImageResponse), fs.SearchUsersByImageResponse)


def test_every_answer_of_a_search_for_all_faces_has_its_face(staff: fs.Collection) -> None:
    for response in fs.search_all_faces(staff, GROUP):
        detail = assert_type(response.searched_face.face_detail, fs.FaceDetail)
        assert_type(detail.bounding_box.width * 2, float)
        assert_type([match.user.user_id for match in response.user_matches], list[str])


def test_a_detected_face_has_what_default_stands_for() -> None:
    for face in (each.detail for each in ANALYZER.locate(GROUP, attributes=["ALL"])):
        assert_type(face, fs.DetectedFace)
        assert_type(face.bounding_box.to_pixels(400, 200), tuple[float, float, float, float])
        assert_type(face.confidence > 99, bool)
        assert_type(face.pose.yaw, float)
        assert_type(face.quality.sharpness, float)
        assert_type([landmark.x for landmark in face.landmarks], list[float])
        assert_type(face.smile, fs.Smile | None)  # may be covered
    if TYPE_CHECKING:
        assert_type(fs.detect_faces("photo.jpg")[0], fs.DetectedFace)


def test_an_enrolment_has_types(staff: fs.Collection) -> None:
    report = assert_type(staff.enroll("bob", [GROUP]), fs.EnrollmentReport)
    assert_type(report.accepted, int)
    assert_type([photo.reasons for photo in report.photos], list[tuple[fs.EnrollmentReason, ...]])
    indexed = staff.index_faces(GROUP)
    assert_type([record.face.face_id for record in indexed.face_records], list[str])
    assert_type([record.face_detail.pose.pitch for record in indexed.face_records], list[float])
    assert_type([face.face_detail.bounding_box.left for face in indexed.unindexed_faces], list[float])
    assert_type(staff.audit().same_person, tuple[fs.SamePerson, ...])
    assert_type(staff.groups(), tuple[fs.FaceGroup, ...])
    assert_type(len(staff) + staff.face_count, int)


def test_a_comparison_has_types() -> None:
    response = fs.compare_faces(PORTRAIT, GROUP, analyzer=ANALYZER)
    for match in response.face_matches:
        assert_type(match.similarity, float)
        assert_type(match.face.bounding_box.left, float)
        assert_type(match.face.confidence, float)
        assert_type(match.face.pose, fs.Pose | None)  # AWS's own answers leave it out of some faces
    if response.source_image_face:
        assert_type(response.source_image_face.bounding_box.top, float)
        assert_type(response.source_image_face.confidence, float)


def test_vectors_have_types(staff: fs.Collection) -> None:
    face = ANALYZER.analyze(PORTRAIT)[0]
    assert_type(face.detail.confidence, float)
    matches = assert_type(staff.search_embedding(face.embedding), tuple[fs.UserMatch, ...])
    assert_type(float(np.linalg.norm(face.embedding)), float)
    assert_type(fs.similarity(0.5), float)
    assert matches


def test_a_client_of_rekognition_is_boto3s() -> None:
    rekognition: RekognitionClient = client()
    rekognition.create_collection(CollectionId="staff")
    if TYPE_CHECKING:
        assert_type(client(), RekognitionClient)
        assert_type(rekognition.list_collections()["CollectionIds"], list[str])
        rekognition.list_faces(ColectionId="staff")  # type: ignore[call-arg]  # a misspelt parameter is found
    rekognition.close()


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md")))])
def test_the_programs_in_the_documents_are_typed(name: str, tmp_path: Path) -> None:
    parse = PythonCodeBlockParser()
    blocks = [region.parsed for region in parse(Document((ROOT / name).read_text(encoding="utf-8"), name))]
    program = tmp_path / "program.py"
    program.write_text("\n".join(map(str, blocks)), encoding="utf-8")
    # scikit-image, the source of the photographs, has no annotations; blocks use names again; examples stay short.
    options = ["--strict", "--allow-untyped-calls", "--allow-redefinition", "--ignore-missing-imports"]
    options += ["--allow-untyped-defs", "--allow-incomplete-defs"]
    command = [sys.executable, "-m", "mypy", *options, "--config-file", "", str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    assert done.returncode == 0, done.stdout
