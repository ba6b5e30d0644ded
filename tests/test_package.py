"""What `import facesearch` does and gives."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import facesearch as fs

HEAVY = ("dlib", "onnx", "onnxruntime", "skimage", "scipy", "matplotlib", "hypothesis", "PIL", "numpy")
MODULES = ["facesearch", *(module.name for module in pkgutil.walk_packages(fs.__path__, "facesearch."))]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own code
    return done.stdout


def test_importing_loads_nothing_heavy() -> None:
    loaded = run_python(f"import sys, facesearch; print([name for name in {HEAVY} if name in sys.modules])")

    assert loaded.strip() == "[]"


def test_importing_reads_no_file_but_its_code() -> None:
    code = """
import sys
import facesearch.errors  # attrs-free, so that the hook below sees all the rest
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
del sys.modules["facesearch"], sys.modules["facesearch.errors"]
import facesearch
print([name for name in opened if not name.endswith((".py", ".pyi", ".pyc", ".so")) and "__pycache__" not in name])
"""
    assert run_python(code).strip() == "[]"


def test_every_stage_module_imports_without_loading_dlib_or_onnxruntime() -> None:
    code = f"""
import importlib, sys
for name in {[name for name in MODULES if ".testing" not in name and "__main__" not in name]}:
    importlib.import_module(name)
print([name for name in ("dlib", "onnx", "onnxruntime", "skimage", "matplotlib", "hypothesis") if name in sys.modules])
"""
    assert run_python(code).strip() == "[]"


def test_searching_vectors_needs_no_model() -> None:
    code = """
import sys
import numpy as np, facesearch as fs
staff = fs.Collection("staff")
staff.add_embedding("ada", np.ones(128))
assert staff.search_embedding(np.ones(128))
print([name for name in ("dlib", "onnxruntime", "skimage") if name in sys.modules])
"""
    assert run_python(code).strip() == "[]"


def test_all_names_are_there_and_from_this_package() -> None:
    for name in dir(fs):
        assert getattr(getattr(fs, name), "__module__", "typing").startswith(("facesearch.", "types", "typing"))


def test_the_stub_is_the_one_list_of_names() -> None:
    tree = ast.parse(Path(fs.__file__).with_suffix(".pyi").read_text())
    listed = [alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]

    assert len(listed) == len(set(listed))
    assert sorted(str(name) for name in listed) == dir(fs)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="No facesearch attribute serach"):
        getattr(fs, "serach")  # noqa: B009  # the point of the test, which the stub would not let pass


def test_the_version_is_the_one_that_is_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())

    assert fs.__version__ == project["project"]["version"]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented(module: str) -> None:
    namespace = importlib.import_module(module)
    names = getattr(namespace, "__all__", [])

    assert inspect.getdoc(namespace)
    for name in names:
        value = getattr(namespace, name)
        ours = getattr(value, "__module__", "").startswith("facesearch")  # click's options are functions of click
        if ours and (inspect.isclass(value) or inspect.isfunction(value)):
            assert inspect.getdoc(value), f"{module}.{name}"


def test_every_error_is_one_of_ours() -> None:
    from facesearch import errors

    kinds = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(kind, fs.FacesearchError) for kind in kinds)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


def test_layers_hold() -> None:
    root = Path(__file__).parents[1]
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603  # our own tool

    assert done.returncode == 0, done.stdout


def test_the_citation_and_the_changelog_name_this_version() -> None:
    root = Path(__file__).parents[1]
    citation = (root / "CITATION.cff").read_text("utf-8")
    (dated,) = [line.partition(": ")[2] for line in citation.splitlines() if line.startswith("date-released: ")]
    assert f"\nversion: {fs.__version__}\n" in citation
    assert f"\n## [{fs.__version__}] - {dated}\n" in (root / "CHANGELOG.md").read_text("utf-8")
