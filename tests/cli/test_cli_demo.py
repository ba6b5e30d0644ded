"""`facesearch demo`, from enrolment to the page."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageEnhance

from facesearch.cli.app import app
from facesearch.cli.demo import photos as demo_photos
from samples import astronaut, hopper


def run(*arguments: str | Path, cwd: Path) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        return CliRunner().invoke(app, ["demo", *map(str, arguments)], env={"FACESEARCH_DATA": ""})


def test_it_finds_both(tmp_path: Path) -> None:
    done = run("--strangers", "3", cwd=tmp_path)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  found:")]
    assert found[0] == "eileen_collins"
    assert "grace_hopper" in found
    assert "nearest of " in done.stdout
    assert '"SearchedFace": {' in done.stdout
    assert "the part with photographs of other days is left out" in done.stdout
    page = (tmp_path / "out" / "demo.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<svg") == page.count("</svg>")
    assert page.count('alt="a photo with its faces annotated: ') == 2
    assert page.count("<img ") >= 2 * (1 + 3)  # each searched person beside three of their photos
    assert "6 of 6 faces found, 6 named right" in page
    assert "72 of 72 faces found, 72 named right" in page
    assert (
        page.count("the left half of the face is cut off: ") == 2 * 2
    )  # each as a caption, and as a text for the picture
    assert "on its head: grace_hopper " in page
    for reason in ("LOW_SHARPNESS: sharpness ", "LOW_BRIGHTNESS: brightness ", "SMALL_BOUNDING_BOX: size "):
        assert reason in page
    assert page.count("stranger_") <= 2  # only who comes next
    assert 'src="http' not in page
    for who in ("eileen_collins", "grace_hopper"):
        assert (tmp_path / "out" / f"demo_{who}.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_there_is_one_person_and_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = run("--strangers", "0", "--json", cwd=tmp_path)
    assert done.exit_code == 0, done.output
    assert list(json.loads(done.stdout)) == ["eileen_collins"]
    assert done.stderr.count('pip install "facesearch[') == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["demo.html"]


def test_it_fails_when_somebody_is_not_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each person is enrolled with another's name, so that every match is wrong.
    woman = Image.fromarray(astronaut()).crop((96, 0, 352, 256))
    admiral = Image.fromarray(hopper()).resize((256, 300))
    for name, enrolled, searched in [("ada", woman, admiral), ("bea", admiral, woman)]:
        folder = tmp_path / "people" / name
        folder.mkdir(parents=True)
        for number in range(3):
            ImageEnhance.Brightness(enrolled).enhance(0.7 + number / 10).save(folder / f"{number}.jpg")
        searched.save(folder / "9.jpg")
    monkeypatch.setattr(demo_photos, "astronaut_photo", lambda: woman)
    monkeypatch.setattr(demo_photos, "admiral_photo", lambda: admiral)
    monkeypatch.setattr(demo_photos, "altered_copies", lambda photo: [admiral if photo is woman else woman])
    done = run("--strangers", "0", "--out", "elsewhere", "--data", tmp_path, cwd=tmp_path)

    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "FAILED: the photo of eileen_collins did not give eileen_collins first",
        "FAILED: the photo of grace_hopper did not give grace_hopper first",
        "FAILED: ada came first in only 0 of 1 photos",
        "FAILED: bea came first in only 0 of 1 photos",
    ]
    assert (tmp_path / "elsewhere" / "demo.html").exists()
