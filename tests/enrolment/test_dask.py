"""Photos analyzed by a real Dask cluster of two worker processes: the same collection, whatever becomes of the workers."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner
from distributed import Client, LocalCluster, Worker, get_worker

import facesearch as fs
from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.cli.app import app
from facesearch.cli.shell.exit_status import Exit
from facesearch.common.arrays import PixelArray
from facesearch.enrolment import photo_workers
from facesearch.enrolment.dask_cluster import DaskExecutor, dask_executor
from facesearch.responses.folder import FolderProgress
from facesearch.stages import Detection
from facesearch.testing.fakes import FakeDetector, fake_analyzer
from photo_folders import BLUE, GREEN, RED, TEAM, contents, folder_of, portrait, quiet, timeless
from samples import astronaut, hopper
from waiting import soon

LONG = 300  # seconds; only ends what hangs
# A shell lets what it starts in the background ignore SIGINT, and so do its children.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from facesearch.cli import main; main()"
)


class SlowDetector(FakeDetector):
    """Takes ten times as long on the worker 0 as on others."""

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        time.sleep(0.3 if get_worker().name == 0 else 0.03)
        return super().detect(pixels)


class DeadlyDetector(FakeDetector):
    """Ends its process at the sight of a blue face."""

    def detect(self, pixels: PixelArray) -> tuple[Detection, ...]:
        found = super().detect(pixels)
        if any((pixels[round(face.top) + 1, round(face.left) + 1] == BLUE).all() for face in found):
            os._exit(1)
        return found


class Unknown(FakeDetector):
    """Can be loaded in the process of the test only."""

    def __reduce__(self) -> Any:
        return _only_in, (os.getpid(),)


def _only_in(process: int) -> "Unknown":
    if os.getpid() != process:
        raise ModuleNotFoundError("No module named 'facesearch.of_another_version'")
    return Unknown()


def name_and_process(dask_worker: Worker) -> tuple[Any, int]:
    return dask_worker.name, os.getpid()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:  # distributed annotates some of its methods only
    start: Any = LocalCluster
    with start(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    connect: Any = Client
    with connect(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        yield client


@pytest.fixture
def team(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "team", TEAM)


def collection_of(detector: FakeDetector | None = None) -> fs.Collection:
    analyzer = fake_analyzer()
    return fs.Collection("staff", analyzer=attrs.evolve(analyzer, detector=detector) if detector else analyzer)


def expected_of(folder: Path) -> tuple[Any, Any]:
    serial = collection_of()
    return quiet(serial, folder), contents(serial)


@pytest.mark.parametrize("options", [{}, {"send_photos": False}, {"in_flight": 1}], ids=["bytes", "paths", "one"])
def test_a_cluster_gives_the_collection_of_a_serial_run_broken_photos_included(
    client: Any, team: Path, options: Mapping[str, Any]
) -> None:
    staff = collection_of()
    report = quiet(staff, team, executor=client.get_executor(), **options)

    assert (report, contents(staff)) == expected_of(team)
    assert (report.accepted, len(report.refused), len(report.broken)) == (6, 5, 1)
    assert quiet(staff, team, executor=client.get_executor()).known == 12


def test_photographs_give_the_same_vectors_and_a_worker_loads_the_weights_once(client: Any, tmp_path: Path) -> None:
    photos = {"1.png": astronaut(), "2.png": astronaut()[:, ::-1]}
    root = folder_of(tmp_path / "p", {"eileen": photos, "grace": {"1.png": hopper(), "2.png": hopper()[:, ::-1]}})
    analyzer = FaceAnalyzer(threads=1)
    one, other = (fs.Collection("staff", analyzer=analyzer, thumbnails=True) for _ in range(2))
    report = quiet(one, root)

    assert report.accepted == 4
    assert quiet(other, root, executor=client.get_executor()) == report
    assert contents(other) == contents(one)
    client.run(photo_workers._unpickled.cache_clear)
    quiet(fs.Collection("staff", analyzer=analyzer), root, executor=client.get_executor())
    assert all(loaded <= 1 for loaded in client.run(lambda: photo_workers._unpickled.cache_info().misses).values())


def test_a_worker_that_is_killed_and_a_slow_one_lose_nothing_and_repeat_nothing(client: Any, team: Path) -> None:
    staff = collection_of(SlowDetector())
    told: list[FolderProgress] = []

    def kill_one(now: FolderProgress) -> None:
        told.append(now)
        if now.done == 3:
            os.kill(dict(client.run(name_and_process).values())[1], signal.SIGKILL)

    report = staff.index_folder(team, executor=client.get_executor(), progress=kill_one)

    assert (report, contents(staff)) == expected_of(team)
    assert [now.done for now in told] == [*range(1, 13)]


def test_no_more_photos_wait_at_the_scheduler_than_asked_for(
    client: Any, cluster: Any, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = {"waiting", "queued", "no-worker", "processing"}  # not those that are done and not yet released

    def most(**options: Any) -> int:
        seen: list[int] = []

        def count(_: FolderProgress) -> None:
            seen.append(sum(task.state in waiting for task in [*cluster.scheduler.tasks.values()]))

        collection_of(SlowDetector()).index_folder(team, executor=client.get_executor(), progress=count, **options)
        return max(seen)

    assert DaskExecutor(client.get_executor()).cores == 2
    assert most() <= 8
    assert most(in_flight=3) <= 3
    monkeypatch.setattr(photo_workers, "_MOST_SENT", 1)
    assert most() <= 1


def test_a_photo_that_kills_its_workers_is_named(
    client: Any, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder_of(tmp_path / "p", {"ada": {"1.png": portrait(RED)}, "bob": {"1.png": portrait(BLUE)}})
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)  # by default 3 others try
    staff = collection_of(DeadlyDetector())

    with pytest.raises(fs.ExecutorError, match=r"executor: at .*bob.1\.png: all workers .*died.*remove it"):
        quiet(staff, root, executor=client.get_executor(), in_flight=1)
    (root / "bob" / "1.png").unlink()
    assert quiet(staff, root).known == 1


def test_workers_of_another_version_are_refused_by_name(
    client: Any, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = photo_workers.environment()
    newer = tuple((name, "9.9" if name in {"facesearch", "weights"} else version) for name, version in ours)
    monkeypatch.setattr(photo_workers, "environment", lambda: newer)
    staff = collection_of()

    expected = (
        rf"on its worker on .* facesearch 9\.9 \(it has {re.escape(fs.__version__)}\), weights 9\.9 .*install the same"
    )
    with pytest.raises(fs.ExecutorError, match=expected):
        quiet(staff, team, executor=client.get_executor())
    assert staff.faces() == ()


def test_workers_that_can_not_load_the_task_are_a_named_error(client: Any, team: Path) -> None:
    with pytest.raises(fs.ExecutorError, match=r"can't load the task .*of_another_version.*both need this facesearch"):
        quiet(collection_of(Unknown()), team, executor=client.get_executor())


def test_an_interrupted_run_cancels_the_rest_and_goes_on(client: Any, cluster: Any, team: Path) -> None:
    staff = collection_of(SlowDetector())

    def interrupt(now: FolderProgress) -> None:
        if now.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        staff.index_folder(team, executor=client.get_executor(), progress=interrupt)
    kept = int(raised.value.__notes__[0].split(" of 12 photos are done and kept")[0])
    assert soon(lambda: not cluster.scheduler.tasks, seconds=60)

    report = quiet(staff, team, executor=client.get_executor())
    assert report.known == kept >= 3
    assert (timeless(report), contents(staff)) == expected_of(team)


def test_the_command_line_uses_a_cluster(cluster: Any, tmp_path: Path) -> None:
    people = folder_of(tmp_path / "people", {"eileen": {"1.png": astronaut()}, "grace": {"1.png": hopper()}})
    (people / "grace" / "2.png").write_bytes(b"\x89PNG, cut")

    def run(*options: str) -> Any:
        return CliRunner().invoke(app, ["index", str(people), "--db", str(tmp_path / "people.db"), *options])

    done = run("--scheduler", cluster.scheduler_address)
    assert done.exit_code == Exit.DONE, done.output
    assert "3 photos, 2 users: 2 accepted, 0 refused, 1 broken" in done.output
    again = run("--scheduler", cluster.scheduler_address, "--shared-photos")
    assert "3 known before" in again.output
    for wrong, said in (
        (["--shared-photos"], "applies to the workers of --scheduler"),
        (["--scheduler", "tcp://x:1", "--workers", "2"], "the cluster decides"),
        (["--scheduler", "tcp://x:1", "--user", "ada"], "applies to one folder or CSV file"),
        (["--scheduler", "nonsense"], "expected an address such as tcp://"),
    ):
        done = run(*wrong)
        assert done.exit_code == Exit.USAGE
        assert said in done.output


def test_an_address_without_a_scheduler_is_a_named_error(cluster: Any) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        worker = next(iter(cluster.scheduler.workers))
        for address, said in (
            ("tcp://127.0.0.1:1", "no answer within 0.5 s"),
            (f"tcp://127.0.0.1:{silent.getsockname()[1]}", "no answer within 0.5 s"),
            (worker, "a Worker answered"),
        ):
            expected = rf"scheduler: expected a Dask scheduler at {address}, got none \({said}\); start one with `dask scheduler`"
            with pytest.raises(fs.ExecutorError, match=expected), dask_executor(address, timeout=0.5):
                pass
    wrong: Any
    for wrong in ("nonsense", "http://127.0.0.1:80", "tls://127.0.0.1:80", 8786):
        with pytest.raises(fs.InvalidParameterError, match="scheduler: expected an address"), dask_executor(wrong):
            pass


def test_a_client_in_the_place_of_its_executor_is_told_what_to_give(client: Any, team: Path) -> None:
    with pytest.raises(fs.InvalidParameterError, match=r"executor: expected .* client\.get_executor\(\)"):
        quiet(collection_of(), team, executor=client)


def test_without_distributed_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(fs.MissingExtraError, match=r'pip install "facesearch\[dask\]"'), dask_executor("tcp://x:1"):
        pass


def wait_for_task(scheduler: str) -> None:
    connect: Any = Client
    with connect(scheduler, set_as_default=False) as client:
        assert soon(
            lambda: client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) > 0, seconds=60
        ), "no photo came"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("lost", [False, True], ids=["interrupted", "scheduler lost"])
def test_a_command_that_waits_for_workers_says_so_and_ends_as_told(tmp_path: Path, lost: bool) -> None:
    people = folder_of(tmp_path / "people", {"ada": {"1.png": portrait(GREEN)}})
    command = [sys.executable, "-c", "from distributed.cli.dask_scheduler import main; main()"]
    with subprocess.Popen(  # noqa: S603  # ourselves
        [*command, "--port", "0", "--host", "127.0.0.1", "--no-dashboard"], stderr=subprocess.PIPE, text=True
    ) as scheduler:
        assert scheduler.stderr
        found = next(each for line in scheduler.stderr if (each := re.search(r"Scheduler at: +(tcp://\S+)", line)))
        index = [sys.executable, "-c", INTERRUPTIBLE, "index", str(people), "--db", str(tmp_path / "a.db")]
        with subprocess.Popen([*index, "--scheduler", found[1]], stderr=subprocess.PIPE, text=True) as child:  # noqa: S603  # likewise
            assert child.stderr
            assert "has no worker yet: the photos wait for one" in child.stderr.readline()
            wait_for_task(found[1])
            if lost:
                scheduler.kill()
            else:
                child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=LONG)
        scheduler.kill()
    assert child.returncode == (Exit.COLLECTION if lost else Exit.INTERRUPTED)
    assert ("the scheduler was lost" if lost else "Interrupted: 0 of 1 photos are done and kept") in said
    assert "Traceback" not in said
