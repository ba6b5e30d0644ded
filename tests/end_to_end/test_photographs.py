"""The main path on real photographs, through the real stages."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import facesearch as fs
from facesearch.common.arrays import PixelArray
from samples import astronaut, hopper

DATA = Path(os.environ.get("FACESEARCH_DATA", Path(__file__).parents[3] / "shared" / "data"))


def altered(photo: PixelArray, *, light: float = 1, size: float = 1, quality: int = 90) -> bytes:
    image = Image.fromarray((photo * light).clip(0, 255).astype(np.uint8))
    image = image.resize((round(image.width * size), round(image.height * size)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pioneers() -> fs.Collection:
    collection = fs.Collection("pioneers")
    for name, photo in (("eileen_collins", astronaut()), ("grace_hopper", hopper())):
        report = collection.enroll(name, [altered(photo, light=0.7), altered(photo[:, ::-1], quality=60)])
        assert report.accepted == 2
    return collection


@pytest.mark.parametrize(
    ("photo", "name"), [(astronaut(), "eileen_collins"), (hopper(), "grace_hopper")], ids=["astronaut", "hopper"]
)
def test_the_right_person_is_found_and_the_other_is_not(pioneers: fs.Collection, photo: PixelArray, name: str) -> None:
    response = fs.search_users_by_image(pioneers, altered(photo, size=0.8))

    assert [match.user.user_id for match in response.user_matches] == [name]
    assert response.user_matches[0].similarity > 99
    everybody = fs.search_users_by_image(pioneers, altered(photo, size=0.8), user_match_threshold=0)
    assert everybody.user_matches[1].similarity < 50


def test_the_box_of_the_astronaut_is_where_her_face_is(pioneers: fs.Collection) -> None:
    searched = fs.search_users_by_image(pioneers, astronaut(), attributes=["ALL"]).searched_face
    assert searched
    detail = searched.face_detail
    assert detail.pose
    assert detail.quality
    assert detail.landmarks

    left, top, right, bottom = detail.bounding_box.to_pixels(512, 512)
    assert left == pytest.approx(178, abs=13)  # ear to ear
    assert right == pytest.approx(270, abs=15)
    assert top == pytest.approx(58, abs=18)  # hairline to chin
    assert bottom == pytest.approx(180, abs=15)
    width, height = right - left, bottom - top
    assert 0.6 < width / height < 0.8
    assert abs(detail.pose.yaw) < 30
    assert abs(detail.pose.roll) < 10
    assert detail.quality.sharpness > 60
    at = {mark.type.value: (mark.x, mark.y) for mark in detail.landmarks}
    assert at["eyeLeft"] == at["leftPupil"]
    assert at["eyeLeft"][0] < at["nose"][0] < at["eyeRight"][0]
    assert at["leftEyeLeft"][0] < at["leftPupil"][0] < at["leftEyeRight"][0]
    assert at["mouthUp"][1] < at["mouthDown"][1] < at["chinBottom"][1]
    assert at["upperJawlineLeft"][0] < at["midJawlineLeft"][0] < at["midJawlineRight"][0]


def test_a_mirrored_photo_gives_a_mirrored_face() -> None:
    one, other = (fs.detect_faces(photo, attributes=["ALL"])[0] for photo in (astronaut(), astronaut()[:, ::-1]))

    assert other.pose.yaw == pytest.approx(-one.pose.yaw, abs=5)
    assert other.pose.roll == pytest.approx(-one.pose.roll, abs=2)
    assert other.pose.pitch == pytest.approx(one.pose.pitch, abs=5)
    assert other.bounding_box.left == pytest.approx(1 - one.bounding_box.left - one.bounding_box.width, abs=0.02)


def test_blur_and_darkness_are_measured() -> None:
    photo = Image.fromarray(astronaut())

    def quality(image: Image.Image) -> fs.ImageQuality:
        return fs.detect_faces(image)[0].quality

    small = photo.resize((128, 128)).resize((512, 512))
    dark = photo.point(lambda value: value // 3)
    assert quality(photo).sharpness > quality(small).sharpness + 10
    assert quality(photo).brightness > 2 * quality(dark).brightness


def test_a_crop_cut_exactly_at_the_box_is_still_found(pioneers: fs.Collection) -> None:
    box = fs.detect_faces(astronaut())[0].bounding_box
    left, top, right, bottom = (round(edge) for edge in box.to_pixels(512, 512))

    response = fs.search_users_by_image(pioneers, astronaut()[top:bottom, left:right])
    assert response.user_matches[0].user.user_id == "eileen_collins"


def test_every_way_to_give_the_photo_gives_the_same_answer(pioneers: fs.Collection, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(astronaut()).save(path)
    expected = fs.search_users_by_image(pioneers, astronaut())

    for photo in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), Image.open(path)):
        assert fs.search_users_by_image(pioneers, photo) == expected


def test_the_photo_may_lie_on_its_side_if_exif_says_so(pioneers: fs.Collection) -> None:
    image = Image.fromarray(astronaut()).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, exif=exif)

    response = fs.search_users_by_image(pioneers, buffer.getvalue())
    assert response.user_matches[0].user.user_id == "eileen_collins"


def test_a_user_of_one_photo_is_found_by_it_first_and_surely() -> None:
    staff = fs.Collection("staff")
    staff.enroll("eileen_collins", [astronaut()])
    staff.enroll("grace_hopper", [hopper()])
    response = fs.search_users_by_image(staff, astronaut())

    assert [match.user.user_id for match in response.user_matches] == ["eileen_collins"]
    assert response.user_matches[0].similarity > 99.9
    assert response.next_user
    assert response.next_user.user.user_id == "grace_hopper"
    assert response.margin == pytest.approx(response.user_matches[0].similarity - response.next_user.similarity)
    assert "NextUser" not in fs.to_aws(response)


@pytest.mark.skipif(not (DATA / "people").is_dir(), reason=f"no photographs in {DATA}: set FACESEARCH_DATA")
def test_ten_people_are_told_apart() -> None:
    collection = fs.Collection("people")
    folders = sorted(folder for folder in (DATA / "people").iterdir() if folder.is_dir())
    for folder in folders:
        # One of them shows Tony Blair with another man as large: who is meant can't be known.
        report = collection.enroll(folder.name, sorted(folder.glob("*.jpg"))[:3])
        refused = [reason for photo in report.photos for reason in photo.reasons]
        assert report.accepted >= 2
        assert set(refused) <= {fs.EnrollmentReason.SEVERAL_FACES}
    for folder in folders:
        photo = sorted(folder.glob("*.jpg"))[9]
        assert fs.search_users_by_image(collection, photo).user_matches[0].user.user_id == folder.name


@settings(max_examples=20)
@given(
    st.sampled_from([astronaut(), hopper()]),
    st.tuples(st.integers(0, 430), st.integers(0, 430), st.integers(80, 500), st.integers(80, 500)),
    st.floats(0, 360),
    st.floats(0, 1.5),
)
def test_any_cut_of_a_photo_turned_and_dimmed_gives_an_answer(
    photo: PixelArray, cut: tuple[int, int, int, int], degrees: float, light: float
) -> None:
    top, left, height, width = cut
    crop = Image.fromarray(photo[top:, left:][:height, :width]).rotate(degrees, expand=True)
    pixels = (np.asarray(crop) * light).clip(0, 255).astype(np.uint8)

    response = fs.search_users_by_image(fs.Collection("nobody"), pixels, attributes=["ALL"])
    detected = len(fs.detect_faces(pixels))
    assert len(response.unsearched_faces) + (response.searched_face is not None) == detected
    assert fs.from_aws(fs.to_aws(response), fs.SearchUsersByImageResponse) == response
