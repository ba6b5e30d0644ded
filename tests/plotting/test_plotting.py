"""The figures: every face once, from any answer, the same each time, and without pyplot."""

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageColor
from scipy.ndimage import label

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.common.arrays import PixelArray
from facesearch.display.annotator import draw_faces
from facesearch.display.face_marks import STYLES, FaceClass
from facesearch.plotting import plot_faces, plot_matches, plot_response, plot_similarity
from facesearch.responses.search_users import seen_faces
from facesearch.testing.fakes import fake_analyzer, paint
from facesearch.testing.strategies import responses
from samples import astronaut, hopper

RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 200, 30)
PHOTO = paint((200, 300), {(10, 10, 90, 90): RED, (150, 30, 200, 80): BLUE, (220, 120, 250, 150): GREEN})


def people() -> fs.Collection:
    staff = fs.Collection("staff", analyzer=fake_analyzer(), thumbnails=True)
    for name, colour in {"ada": RED, "bob": BLUE}.items():
        staff.enroll(name, [paint((100, 100), {(20, 20, 80, 80): colour})])
    return staff


STAFF = people()
RESPONSE = fs.search_users_by_image(STAFF, PHOTO, quality_filter="LOW")


def drawn(axes: Axes) -> PixelArray:
    """The annotated photo, (H, W, 3) uint8."""
    (image,) = axes.images
    array = image.get_array()
    assert array is not None
    return np.asarray(array)


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    return [text.get_text() for text in found.get_texts()] if found else []


def png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


# ---------------------------------------------------------------- faces


@settings(max_examples=12)
@given(responses())
def test_every_answer_is_shown_as_the_annotator_draws_it(response: fs.SearchUsersByImageResponse) -> None:
    axes = plot_faces(PHOTO, response)
    picture = Image.fromarray(PHOTO).resize(drawn(axes).shape[1::-1], Image.Resampling.LANCZOS)
    scale = 8 * 96 / picture.width  # of 8 inches
    assert np.array_equal(drawn(axes), np.asarray(draw_faces(picture, seen_faces(response), scale=scale)))
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 300), (200, 0))


def test_colours_and_words_say_what_became_of_each_face() -> None:
    axes = plot_faces(PHOTO, RESPONSE)
    found = set(map(tuple, drawn(axes).reshape(-1, 3).tolist()))
    kinds = {FaceClass.FOUND, FaceClass.NOT_CHOSEN}
    assert {ImageColor.getrgb(STYLES[kind].colour) for kind in kinds} <= found
    assert not {ImageColor.getrgb(STYLES[kind].colour) for kind in set(FaceClass) - kinds - {FaceClass.INDEXED}} & found
    assert legend(axes) == ["searched and found", "not chosen (2)"]


def test_the_annotated_photo_has_at_least_the_pixels_of_the_saved_figure() -> None:
    axes = plot_faces(PHOTO, RESPONSE)
    assert drawn(axes).shape[1] >= axes.get_window_extent().width


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: fs.search_all_faces(STAFF, PHOTO), ["searched and found (2)", "searched, nobody known"]),
        (lambda: STAFF.analyzer.locate(PHOTO)[0].detail, ["detected"]),
        (lambda: tuple(face.detail for face in STAFF.analyzer.locate(PHOTO)), ["detected (3)"]),
        (lambda: people().index_faces(PHOTO, max_faces=1), ["indexed", "not chosen (2)"]),
        (lambda: fs.search_users_by_image(STAFF, PHOTO // 40, quality_filter="HIGH"), ["refused (3): too dark 3"]),
        (list, []),
        (tuple, []),
    ],
)
def test_every_answer_about_faces_is_taken(answer: Callable[[], Any], words: Sequence[str]) -> None:
    faces = answer()
    found = legend(plot_faces(PHOTO, [faces] if isinstance(faces, fs.FaceDetail) else faces))
    assert [text.partition(":")[0] for text in found] == [text.partition(":")[0] for text in words]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        7,
        "faces",
        b"faces",
        {"UserMatches": []},
        [RESPONSE, fs.FaceDetail(bounding_box=fs.BoundingBox(left=0, top=0, width=1, height=1))],
        object(),
    ],
)
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(fs.InvalidParameterError, match="faces: expected what search_users_by_image"):
        plot_faces(PHOTO, wrong)


def test_landmarks_are_drawn_where_they_have_room_and_the_pose_if_asked_for() -> None:
    small = paint((900, 900), {(10, 10, 500, 500): RED, (700, 700, 730, 730): BLUE})
    response = fs.search_users_by_image(STAFF, small)
    assert response.searched_face
    bare = attrs.evolve(
        response,
        searched_face=attrs.evolve(
            response.searched_face, face_detail=attrs.evolve(response.searched_face.face_detail, landmarks=())
        ),
        unsearched_faces=tuple(
            attrs.evolve(face, face_details=attrs.evolve(face.face_details, landmarks=()))
            for face in response.unsearched_faces
        ),
    )
    without, plain, posed = (
        drawn(plot_faces(small, answer, pose=pose))
        for answer, pose in ((bare, False), (response, False), (response, True))
    )
    dots = label((without != plain).any(axis=2))[1]
    assert dots == 5
    assert np.nonzero((without != plain).any(axis=2))[1].max() < 600 / 900 * plain.shape[1]
    assert (posed != plain).any()


def test_a_given_place_is_drawn_into() -> None:
    figure = Figure(figsize=(6, 4))
    one, other, third = figure.subplots(1, 3)
    assert plot_faces(PHOTO, RESPONSE, axes=one) is one
    assert plot_matches(RESPONSE, axes=other) is other
    assert plot_similarity(RESPONSE, axes=third) is third
    assert png(figure).startswith(b"\x89PNG")


def test_large_photos_are_drawn_in_their_own_pixels() -> None:
    large = np.zeros((4032, 3024, 3), np.uint8)
    large[1000:2000, 1000:2000] = paint((1000, 1000), {(0, 0, 1000, 1000): RED})
    axes = plot_faces(large, fs.search_users_by_image(STAFF, large))
    assert axes.get_xlim() == (0, 3024)
    assert list(axes.images[0].get_extent()) == [0, 3024, 4032, 0]
    assert max(drawn(axes).shape) <= 2016


# ---------------------------------------------------------------- matches


def test_the_strip_shows_the_searched_face_and_each_kept_picture() -> None:
    assert len(plot_matches(RESPONSE).images) == 2
    assert len(plot_matches(RESPONSE, image=PHOTO).images) == 2
    bare = attrs.evolve(RESPONSE, pictures=None)
    assert len(plot_matches(bare).images) == 1  # cut out of the preview
    assert len(plot_matches(attrs.evolve(bare, preview=None)).images) == 0
    assert len(plot_matches(fs.SearchUsersByImageResponse()).images) == 0


@settings(max_examples=10)
@given(responses(), st.booleans())
def test_any_answer_has_a_strip(response: fs.SearchUsersByImageResponse, with_photo: bool) -> None:
    axes = plot_matches(response, image=PHOTO if with_photo else None)
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    for patch in axes.patches:
        extent = patch.get_path().transformed(patch.get_patch_transform()).get_extents()
        assert left <= extent.x0
        assert extent.x1 <= right + 1e-6
        assert top <= extent.y0
        assert extent.y1 <= bottom


# ---------------------------------------------------------------- similarity


@settings(max_examples=12)
@given(responses())
def test_matches_are_marked_and_told(response: fs.SearchUsersByImageResponse) -> None:
    axes = plot_similarity(response, calibration=fs.calibration())
    words = legend(axes)
    assert len(words) == 2 + min(len(response.user_matches), 5)
    for match, text in zip(response.user_matches, words[2:], strict=False):
        assert f"{match.similarity:.2f}%" in text
        assert text.endswith(" strangers")


def test_who_comes_next_is_told_as_such() -> None:
    assert RESPONSE.next_user
    assert legend(plot_similarity(RESPONSE))[-1].startswith("next, bob ")


def test_a_response_from_the_wire_needs_a_calibration() -> None:
    back = fs.from_aws(fs.to_aws(RESPONSE), fs.SearchUsersByImageResponse)
    with pytest.raises(fs.InvalidParameterError, match="calibration: expected one, as the response has none, got None"):
        plot_similarity(back)
    assert legend(plot_similarity(back, calibration=fs.calibration()))


# ---------------------------------------------------------------- all of it


def test_the_same_answer_gives_the_same_picture() -> None:
    assert png(plot_response(PHOTO, RESPONSE)) == png(plot_response(PHOTO, RESPONSE))


def test_without_a_searched_face_there_is_the_photo_alone() -> None:
    empty = np.zeros((100, 100, 3), np.uint8)
    assert len(plot_response(empty, fs.search_users_by_image(STAFF, empty)).axes) == 1
    back = fs.from_aws(fs.to_aws(RESPONSE), fs.SearchUsersByImageResponse)
    assert len(plot_response(PHOTO, back).axes) == 2  # it has no calibration


@pytest.mark.parametrize("shape", [(80, 600), (600, 80), (80, 80)])
def test_any_format_of_photo_has_a_figure_that_holds_it(shape: tuple[int, int]) -> None:
    photo = paint(shape, {(10, 10, 70, 70): RED})
    figure = plot_response(photo, fs.search_users_by_image(STAFF, photo))
    for axes in figure.axes:
        box = axes.get_position()
        assert min(box.x0, box.y0) >= -1e-9
        assert max(box.x1, box.y1) <= 1 + 1e-9
    assert png(figure)


def test_a_real_photo_from_enrolment_to_figure(real: FaceAnalyzer) -> None:
    staff = fs.Collection("staff", analyzer=real, thumbnails=True)
    staff.enroll("eileen_collins", [astronaut()[:, ::-1]])
    staff.enroll("grace_hopper", [hopper()[:, ::-1]])
    group: PixelArray = np.concatenate([astronaut(), hopper()[:512]], axis=1)
    response = fs.search_users_by_image(staff, group)
    assert len(plot_response(group, response).axes) == 3
    everybody = plot_faces(group, fs.search_all_faces(staff, group), pose=True)
    assert "searched and found (2)" in legend(everybody)
    assert (drawn(everybody) != drawn(plot_faces(group, fs.search_all_faces(staff, group)))).any()  # the poses
    html = response._repr_html_()
    assert html.count("<img") == 3  # the annotated photo, the searched face, and a face of the user
    assert "strangers" in html


def test_no_pyplot_and_nothing_of_matplotlib_before_it_is_needed() -> None:
    code = """
import sys
import numpy as np, facesearch as fs, facesearch.plotting as plotting
print("matplotlib" in sys.modules, end=" ")
plotting.plot_faces(np.zeros((100, 100, 3), np.uint8), ())
print("matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own code
    assert done.stdout.split() == ["False", "True", "False"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_faces(PHOTO, RESPONSE),
        lambda: plot_matches(RESPONSE),
        lambda: plot_similarity(RESPONSE),
        lambda: plot_response(PHOTO, RESPONSE),
    ],
)
def test_without_matplotlib_the_error_says_what_to_install(
    draw: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(fs.MissingExtraError, match=r'pip install "facesearch\[plot\]"') as caught:
        draw()
    assert isinstance(caught.value, ImportError)
