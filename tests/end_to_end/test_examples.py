"""The examples are run as a user runs them, and what they print is what they say."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import skimage.data
from PIL import Image, ImageEnhance, ImageOps

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    name, *rest = map(str, arguments)
    return subprocess.run(  # noqa: S603  # our own file, our own arguments
        [sys.executable, str(EXAMPLES / name), *rest],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def load(name: str) -> Any:
    """Import an example by its path: examples/ is no package."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Small pictures: detection takes time by the pixel, and there are many to look at.


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    pixels = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    return Image.fromarray(pixels[:256, 96:352])


@pytest.fixture(scope="module")
def admiral() -> Image.Image:
    with Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg") as photo:
        return photo.convert("RGB").resize((256, 300))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, astronaut: Image.Image, admiral: Image.Image) -> Path:
    """A folder for each person, with what folders have in them besides photos."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("Eileen Collins", "grace_hopper", "empty"):
        (folder / name).mkdir()
    ImageOps.mirror(astronaut).save(folder / "Eileen Collins" / "1.jpg")
    ImageEnhance.Brightness(astronaut).enhance(0.6).save(folder / "Eileen Collins" / "2.PNG", "PNG")
    (folder / "Eileen Collins" / "3.jpg").write_bytes(b"%PDF-1.7: no JPEG at all")
    (folder / "Eileen Collins" / "notes.txt").write_text("not a photo")
    Image.new("RGB", (200, 200), "grey").save(folder / "Eileen Collins" / "4.png")
    ImageOps.mirror(admiral).save(folder / "grace_hopper" / "1.jpg")
    (folder / ".DS_Store").write_bytes(b"")
    return folder


def test_quickstart_enrols_a_folder_and_searches_a_photo(tmp_path: Path, people: Path, astronaut: Image.Image) -> None:
    astronaut.rotate(5).save(tmp_path / "party.jpg")
    done = run("quickstart.py", people, "party.jpg", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "  1.jpg: accepted\n  2.PNG: accepted\n  4.png: not accepted, NO_FACE\n" in done.stdout
    assert "3.jpg: not read. " in done.stdout
    assert "got a PDF" in done.stdout
    assert "notes.txt" not in done.stdout
    assert "empty:\n  left out: no photo that can be used\n" in done.stdout
    assert '"UserId": "Eileen_Collins"' in done.stdout
    assert "\nEileen_Collins: similarity " in done.stdout


def test_quickstart_tells_apart_nobody_known_and_no_face(
    tmp_path: Path,
    people: Path,
    admiral: Image.Image,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quickstart = load("quickstart")
    monkeypatch.chdir(tmp_path)  # messages shorten long paths: names relative to here are short

    one = tmp_path / "people"
    one.mkdir()
    (one / "collins").symlink_to(people / "Eileen Collins", target_is_directory=True)
    admiral.save(tmp_path / "admiral.jpg")
    assert quickstart.main([str(one), str(tmp_path / "admiral.jpg")]) == 1
    assert "nobody in the collection is similar enough" in capsys.readouterr().out

    Image.new("RGB", (200, 200), "grey").save(tmp_path / "wall.png")
    assert quickstart.main([str(one), str(tmp_path / "wall.png")]) == 1
    assert "There is no face in this photo." in capsys.readouterr().out

    for argument, words in [
        ("missing.jpg", "missing.jpg"),
        ("people", "people"),
        ("text.jpg", "expected a JPEG, PNG"),
    ]:
        (tmp_path / "text.jpg").write_text("hello")
        assert quickstart.main([str(one), argument]) == 2
        error = capsys.readouterr().err
        assert error.startswith("The photo can't be searched. ")
        assert words in error


def test_quickstart_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quickstart = load("quickstart")

    assert quickstart.main([]) == 2
    assert "PEOPLE_FOLDER PHOTO" in capsys.readouterr().err
    assert quickstart.main([str(tmp_path / "nowhere"), "photo.jpg"]) == 2
    assert "nowhere is no folder" in capsys.readouterr().err
    assert quickstart.main([str(tmp_path), "photo.jpg"]) == 2
    assert "Nobody was enrolled" in capsys.readouterr().err


def test_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    done = run("notebook.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "3 of 3 photos were accepted" in done.stdout
    assert "not accepted: ['NO_FACE']" in done.stdout
    assert "FACE_NOT_LARGEST" in done.stdout
    assert "searched face: None, matches: ()" in done.stdout


def test_notebook_shows_figures_where_a_cell_ends_with_one(tmp_path: Path) -> None:
    notebook = tmp_path / "notebook.ipynb"
    code = """
import sys
import jupytext, nbformat
from nbclient import NotebookClient
notebook = jupytext.read(sys.argv[1])
NotebookClient(notebook, kernel_name="python3", timeout=300).execute()
nbformat.write(notebook, sys.argv[2])
"""
    command = [sys.executable, "-W", "ignore", "-c", code, str(EXAMPLES / "notebook.py"), str(notebook)]
    done = subprocess.run(  # noqa: S603  # our own code
        command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    shown: dict[str, list[set[str]]] = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            kinds = [set(output["data"]) for output in cell["outputs"] if "data" in output]
            shown["".join(cell["source"]).splitlines()[-1]] = kinds
    figures = {last: kinds for last, kinds in shown.items() if last.startswith("plotting.") or "fromarray" in last}
    assert len(figures) == 3
    assert all("image/png" in kinds for (kinds,) in figures.values())
    answers = {
        last: kinds for last, kinds in shown.items() if last in {"staff", "nobody", "response", "strict", "back"}
    }
    assert len(answers) == 5
    assert all("text/html" in kinds for (kinds,) in answers.values())


def test_property_testing_holds(tmp_path: Path) -> None:
    done = run("property_testing.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("holds: ") == (EXAMPLES / "property_testing.py").read_text().count("\ndef test_")


def test_code_for_boto3_runs_in_three_ways(tmp_path: Path) -> None:
    done = run("from_boto3.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.count("['eileen', 'grace'] were expected") == 3
    assert done.stdout.endswith("three times the same\n")
