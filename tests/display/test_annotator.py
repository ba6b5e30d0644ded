"""The annotated photo: one renderer for Python and the command line, without matplotlib, and the photo itself stays as it is."""

import io
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from PIL import Image, ImageColor, ImageDraw

import facesearch as fs
from facesearch.cli.shell.saving import marked_file
from facesearch.display.annotator import draw_faces
from facesearch.display.face_marks import STYLES, FaceClass, SeenFace, marks_of
from facesearch.display.label_layout import HEIGHT, lay_out, letter_size
from facesearch.responses.search_users import seen_faces
from facesearch.testing.fakes import fake_analyzer, paint
from facesearch.testing.strategies import responses

RED, BLUE = (200, 30, 30), (30, 30, 200)
PHOTO = paint((200, 300), {(10, 10, 80, 80): RED, (150, 30, 200, 80): BLUE})
STAFF = fs.Collection("staff", analyzer=fake_analyzer())
STAFF.enroll("ada", [paint((100, 100), {(20, 20, 80, 80): RED})])


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return set(map(tuple, np.asarray(image).reshape(-1, 3).tolist()))


def colour_of(kind: FaceClass) -> tuple[int, ...]:
    return ImageColor.getrgb(STYLES[kind].colour)


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (lambda: fs.search_users_by_image(STAFF, PHOTO), {FaceClass.FOUND, FaceClass.NOT_CHOSEN}),
        (lambda: fs.search_all_faces(STAFF, PHOTO), {FaceClass.FOUND, FaceClass.UNKNOWN}),
        (lambda: fs.Collection("new", analyzer=STAFF.analyzer).index_faces(PHOTO), {FaceClass.INDEXED}),
        (lambda: STAFF.analyzer.locate(PHOTO)[0].detail, {FaceClass.DETECTED}),
        (lambda: tuple(face.detail for face in STAFF.analyzer.locate(PHOTO)), {FaceClass.DETECTED}),
    ],
)
def test_every_answer_about_the_faces_of_a_photo_is_drawn(answer: Callable[[], Any], kinds: set[FaceClass]) -> None:
    response = answer()
    faces = (response,) if isinstance(response, fs.FaceDetail) else response
    image = fs.annotate(PHOTO, faces)
    assert (image.mode, image.size) == ("RGB", (300, 200))
    assert {colour_of(kind) for kind in kinds} <= colours(image)


def test_without_faces_the_image_is_the_photo() -> None:
    assert fs.annotate(PHOTO, ()) == Image.fromarray(PHOTO)


def test_the_photo_stays_as_it_is_and_may_be_a_file() -> None:
    photo, file = PHOTO.copy(), io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    response = fs.search_users_by_image(STAFF, photo)
    image = fs.annotate(photo, response)
    assert np.array_equal(photo, PHOTO)
    assert fs.annotate(file.getvalue(), response) == image == fs.annotate(Image.fromarray(photo), response)


@settings(max_examples=20)
@given(responses())
def test_the_command_line_saves_the_same_image(response: fs.SearchUsersByImageResponse) -> None:
    content = marked_file(fs.read_image(PHOTO), seen_faces(response), Path("marked.png"))
    assert Image.open(io.BytesIO(content)).tobytes() == fs.annotate(PHOTO, response).tobytes()


def test_every_face_has_its_frame_in_the_colour_of_its_class() -> None:
    places = dict(zip(FaceClass, itertools.product((0.05, 0.4, 0.75), (0.1, 0.6)), strict=True))
    faces = [
        SeenFace(
            detail=fs.FaceDetail(bounding_box=fs.BoundingBox(left=left, top=top, width=0.2, height=0.2)), kind=kind
        )
        for kind, (left, top) in places.items()
    ]
    image = np.asarray(draw_faces(np.full((600, 600, 3), 128, np.uint8), faces))
    for kind, (left, top) in places.items():
        first, last = round(600 * left), round(600 * (left + 0.2))
        upper = image[round(600 * top) - 2 : round(600 * top) + 3, first:last]
        assert colour_of(kind) in colours(Image.fromarray(upper))
        assert colours(Image.fromarray(upper)) & {colour_of(other) for other in FaceClass} == {colour_of(kind)}


def test_the_text_of_a_label_stays_on_its_ground() -> None:
    name = "MWij_99.%"
    detail = fs.FaceDetail(bounding_box=fs.BoundingBox(left=0.1, top=0.1, width=0.5, height=0.5))
    face = SeenFace(detail=detail, kind=FaceClass.UNKNOWN, name=name)
    for size in (100, 600, 3000):
        image = draw_faces(np.zeros((size, size, 3), np.uint8), [face])
        marks = marks_of([face], size, size)
        (label,) = lay_out(marks, size, size, letter_size(marks, 800 / max(size, 800)))
        place = label.place
        ground = np.asarray(image.crop((round(place.left), round(place.top), round(place.right), round(place.bottom))))
        ink = np.argwhere((ground == ImageColor.getrgb(label.mark.style.ink)).all(axis=2))
        letter = place.height / HEIGHT
        rows, columns = ink[:, 0], ink[:, 1]
        inner = columns[(rows > letter / 5) & (rows < len(ground) - letter / 5)]  # the corners are round
        assert len(inner)
        assert letter / 10 < inner.min() <= inner.max() < ground.shape[1] - letter / 10


def test_the_pose_is_drawn_if_asked_for() -> None:
    box = fs.BoundingBox(left=0.2, top=0.2, width=0.5, height=0.5)
    detail = fs.FaceDetail(bounding_box=box, pose=fs.Pose(roll=0, yaw=0, pitch=0))
    face, grey = SeenFace(detail=detail, kind=FaceClass.FOUND, name="ada"), np.full((600, 600, 3), 128, np.uint8)
    plain, posed = (np.asarray(draw_faces(grey, [face], pose=pose)) for pose in (False, True))
    rows, columns = np.nonzero((plain != posed).any(axis=2))
    centre, length = 270, 0.6 * 300
    assert columns.min() == pytest.approx(centre, abs=10)
    assert columns.max() == pytest.approx(centre + length, abs=10)
    assert rows.min() == pytest.approx(centre - length, abs=10)
    assert rows.max() == pytest.approx(centre, abs=10)
    assert colour_of(FaceClass.FOUND) in set(
        map(tuple, posed[centre - 3 : centre + 3, centre - 3 : centre + 3, :].reshape(-1, 3).tolist())
    )


@pytest.mark.parametrize("wrong", [None, "faces", {"UserMatches": []}, [STAFF], fs.CompareFacesResponse()])
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="response: expected what search_users_by_image"):
        fs.annotate(PHOTO, wrong)


def test_it_needs_no_matplotlib() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; import numpy as np, facesearch as fs; "
        "print(fs.annotate(np.zeros((100, 90, 3), np.uint8), ()).size)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own code
    assert done.stdout == "(90, 100)\n"


@pytest.mark.parametrize("size", [10, 1e6, 1e18, 1e30])
def test_pose_and_landmarks_far_outside_the_photo_cost_no_more_work(size: float) -> None:
    detail = fs.FaceDetail(
        bounding_box=fs.BoundingBox(left=-size / 2, top=-size / 2, width=size, height=size),
        pose=fs.Pose(roll=10, yaw=20, pitch=30),
        landmarks=(fs.Landmark(type=fs.LandmarkType.NOSE, x=size, y=0.5),),
    )
    face = SeenFace(detail=detail, kind=FaceClass.DETECTED)
    assert draw_faces(PHOTO, [face], pose=True) == draw_faces(PHOTO, [face])


@pytest.mark.parametrize("size", [1e3, 1e9, 1e18, 1e30])
def test_a_box_that_is_far_larger_than_the_photo_costs_no_more_work(size: float) -> None:
    box = fs.BoundingBox(left=-size / 2, top=0.25, width=size, height=size)
    face = fs.UnsearchedFace(
        face_details=fs.FaceDetail(bounding_box=box), reasons=(fs.UnsearchedFaceReason.FACE_NOT_LARGEST,)
    )
    response = fs.SearchUsersByImageResponse(unsearched_faces=(face,))
    lines = 0
    line = ImageDraw.ImageDraw.line

    def counted(pen: ImageDraw.ImageDraw, *arguments: Any, **options: Any) -> None:
        nonlocal lines
        lines += 1
        assert lines < 1000, "the frame is drawn beyond the photo"
        line(pen, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageDraw.ImageDraw, "line", counted)
        image = fs.annotate(PHOTO, response)
    assert image.size == (300, 200)
    assert (lines > 0) == (size < 1e15)  # beyond, a float doesn't hold where in the photo the edge is
