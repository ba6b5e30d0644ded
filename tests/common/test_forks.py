"""Forked children of a process that is at work: they search, they end, and what the parent had is not theirs."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import facesearch
from facesearch.common.forks import ForkLock, Level
from facesearch.common.once import Once, lazy, once

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),  # the point of these tests
]

# A process that searches in four threads, in memory and in a file, with both engines' parts. Children get 300 s, then they hang.
BUSY = """
import os, signal, sys, threading, time, traceback
import facesearch as fs
from facesearch.detection.mmod import MmodDetector
from skimage.data import astronaut

photo = astronaut()[0:250, 120:330].copy()
analyzer = fs.FaceAnalyzer(detector=MmodDetector(min_face=80))
memory = fs.Collection("memory", analyzer=analyzer)
file = fs.Collection.open("people.db", "file", analyzer=analyzer)

def search(collection):
    (match,) = fs.search_users_by_image(collection, photo).user_matches
    return match.user.user_id

def enroll():
    for collection in (memory, file):
        assert collection.enroll("eileen", [photo]).accepted == 1

def work(collection):
    while not done.is_set():
        search(collection)

def ends(child):
    for _ in range(30000):
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"

def fork(call):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            call()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return child

done = threading.Event()
threads = [threading.Thread(target=work, args=(each,)) for each in (memory, file) * 2]
"""
STOP = """
done.set()
for thread in threads:
    thread.join()
"""


def run(code: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,  # thirty children take minutes where others want the cores too
        env={name: each for name, each in os.environ.items() if name not in {"CI", "ORT_DISABLE_TELEMETRY"}},
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def test_thirty_children_forked_while_threads_search_all_search_too(tmp_path: Path) -> None:
    code = f"""{BUSY}
enroll()
for thread in threads:
    thread.start()
statuses = []
for number in range(15):
    pair = [fork(lambda: search(collection)) for collection in (memory, file)]
    statuses += [ends(child) for child in pair]
{STOP}
print(statuses.count(0), sorted({{str(each) for each in statuses}}))
"""
    assert run(code, tmp_path) == "30 ['0']"


def test_children_detect_with_yunet_what_their_parent_detected(tmp_path: Path) -> None:
    code = f"""{BUSY}
from facesearch.detection.yunet import YuNetDetector

detector = YuNetDetector(threads=2)
found = detector.detect(photo)

def detect():
    assert detector.detect(photo) == found

print(len(found), [ends(fork(detect)) for number in range(3)])
"""
    assert run(code, tmp_path) == "1 [0, 0, 0]"


def test_a_child_forked_in_the_midst_of_the_first_search_of_all_searches_too(tmp_path: Path) -> None:
    code = f"""{BUSY}
thread = threading.Thread(target=lambda: memory.enroll("eileen", [photo]))
thread.start()
statuses = []
for number in range(4):
    time.sleep(0.2)
    statuses.append(ends(fork(lambda: fs.search_users_by_image(memory, photo, attributes=("ALL",)))))
thread.join()
print(statuses)
"""
    assert run(code, tmp_path) == "[0, 0, 0, 0]"


def test_pools_of_forked_processes_work_for_a_process_whose_threads_search(tmp_path: Path) -> None:
    code = f"""{BUSY}
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

def elsewhere(number):
    return search((memory, file)[number % 2])

enroll()
for thread in threads:
    thread.start()
forking = multiprocessing.get_context("fork")
with forking.Pool(2) as pool:
    print(set(pool.map(elsewhere, range(4))))
with ProcessPoolExecutor(2, mp_context=forking) as executor:
    print(set(executor.map(elsewhere, range(4))))
{STOP}
"""
    assert run(code, tmp_path).splitlines() == ["{'eileen'}"] * 2


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "at work"])
def test_a_child_that_ends_as_programs_do_ends(tmp_path: Path, busy: bool) -> None:
    # As workers of gunicorn do. Sessions of the parent must not be destroyed then: they would wait for threads that are gone.
    code = f"""{BUSY}
enroll()
if {busy}:
    for thread in threads:
        thread.start()
for number in range(3):
    child = os.fork()
    if child == 0:
        done.set()
        search(memory)
        sys.exit(0)
    print(ends(child), flush=True)
if {busy}:
    {STOP.strip().replace(chr(10), chr(10) + "    ")}
"""
    assert run(code, tmp_path).splitlines() == ["0"] * 3


def test_grandchildren_search_too(tmp_path: Path) -> None:
    code = f"""{BUSY}
enroll()

def child():
    search(file)
    assert ends(fork(lambda: search(file))) == 0
    search(file)

print(ends(fork(child)))
"""
    assert run(code, tmp_path) == "0"


def test_dlibs_own_engine_says_that_it_can_not_run_in_such_a_child(tmp_path: Path) -> None:
    # Its pool of threads belongs to the library, and no caller can make another: the child would wait for ever.
    code = f"""{BUSY}
embedder = fs.FaceAnalyzer(engine="dlib").embedder
chips = photo[None, :150, :150].copy()

def child():
    try:
        embedder.embed(chips)
    except fs.WeightsError as error:
        assert "'spawn' or 'forkserver'" in str(error)
    else:
        raise AssertionError

assert ends(fork(lambda: embedder.embed(chips))) == 0  # not run before: the child has a pool of its own
embedder.embed(chips)
print(ends(fork(child)))
"""
    assert run(code, tmp_path) == "0"


# ---------------------------------------------------------------- the parts


def status_of(call: Callable[[], object]) -> int:
    """Return with which status a forked child ends that makes a call; -9 if it hangs."""
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        try:
            call()
        except BaseException:  # noqa: BLE001  # whatever it is, the test fails
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_no_child_finds_a_lock_held_nor_what_it_guards_half_changed() -> None:
    lock, pair, done = ForkLock(Level.STORE), [0, 0], threading.Event()

    def change() -> None:
        while not done.is_set():
            with lock:
                pair[0] += 1
                sum(range(1000))
                pair[1] += 1

    def look() -> None:
        with lock, lock:
            assert pair[0] == pair[1]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        assert [status_of(look) for _ in range(30)] == [0] * 30
    finally:
        done.set()
        thread.join()
    look()


def test_outer_locks_are_taken_before_inner_ones_so_that_forks_deadlock_with_nobody() -> None:
    inner, outer, done = ForkLock(Level.LEAF), ForkLock(Level.SERVICE), threading.Event()

    def work() -> None:
        while not done.is_set():
            with outer, inner:
                sum(range(1000))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert [status_of(lambda: None) for _ in range(20)] == [0] * 20
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_what_is_made_once_is_made_again_in_a_child_and_kept_in_the_parent() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(os.getpid())
        return os.getpid()

    value = Once[int]()
    assert value(make) == value(make) == os.getpid()

    def child() -> None:
        assert value(make) == os.getpid()
        assert value(make) == os.getpid()
        assert len(made) == 2

    assert status_of(child) == 0
    assert value(make) == os.getpid()
    assert len(made) == 1


def test_a_function_is_called_once_for_each_set_of_arguments() -> None:
    calls = []

    @once
    def made(name: str, size: int = 1) -> list[str]:
        calls.append((name, size))
        return [name] * size

    assert made("ada") is made("ada")
    assert made("ada", 2) == made("ada", size=2) == ["ada", "ada"]
    assert calls == [("ada", 1), ("ada", 2), ("ada", 2)]


def test_what_could_not_be_made_is_tried_again() -> None:
    value = Once[int]()

    with pytest.raises(ZeroDivisionError):
        value(lambda: 1 // 0)
    assert value(lambda: 1) == 1


def test_a_lazy_property_is_computed_once_for_each_object() -> None:
    class Counted:
        def __init__(self) -> None:
            self.times = 0

        @lazy
        def value(self) -> int:
            """Count."""
            self.times += 1
            return self.times

    one, other = Counted(), Counted()
    assert (one.value, one.value, other.value) == (1, 1, 1)
    assert Counted.value.__doc__ == "Count."


# ---------------------------------------------------------------- what ONNX Runtime does beside


def test_onnx_runtime_sends_nothing_and_keeps_nothing_in_the_users_folders(tmp_path: Path) -> None:
    # Since 1.29 it keeps a device id in ~/.cache/Microsoft and has a thread that sends to Microsoft, which no fork survives.
    home = tmp_path / "home"
    home.mkdir()
    code = f"""
import os
os.environ |= {{name: {str(home)!r} for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "TMPDIR")}}
before = dict(os.environ)
import facesearch as fs
from skimage.data import astronaut
assert fs.detect_faces(astronaut())
assert dict(os.environ) == before
"""
    run(code, tmp_path)

    assert [str(each) for each in home.rglob("*")] == []


ANNOTATED = ("mmod.py", "yunet.py", "face_landmarks.py")  # they import it for their annotations only


def test_onnx_runtime_is_imported_in_one_place_only_where_that_is_switched_off() -> None:
    sources = Path(facesearch.__file__).parent.rglob("*.py")
    found = {
        path.name for path in sources if re.search(r"^ {4,}import onnxruntime$", path.read_text("utf-8"), re.MULTILINE)
    }

    assert found <= {"runtime.py", *ANNOTATED}
    for name in ANNOTATED:
        source = (Path(facesearch.__file__).parent / "detection" / name).read_text("utf-8")
        assert source.count("import onnxruntime") == source.count("TYPE_CHECKING:\n    import onnxruntime\n") == 1
