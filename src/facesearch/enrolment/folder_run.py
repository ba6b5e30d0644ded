"""Indexing of a folder: photos are analyzed in parallel, stored in order by one thread, and judged when all are analyzed.

A photo counts as done when its analysis is stored, in a transaction with the few others that were ready at that moment. So after
any interruption, the same call continues with the next photo. The faces of users are judged once, at the end, all together:
`facesearch.enrolment.folder_registrar` explains why, `facesearch.enrolment.judging` how.

Storing and judging run in a thread of their own, which Ctrl-C can't interrupt between two writes; the caller's thread shows the
progress and waits. Memory holds the photos in progress and, for each waiting photo, its path and digest (about 400 bytes).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait as wait_for
from queue import Empty, SimpleQueue
from typing import Final

import attrs

from facesearch.enrolment.candidates import PhotoAnalysis
from facesearch.enrolment.folder_plan import PhotoPlan
from facesearch.enrolment.folder_registrar import FolderPhoto, Registrar, StoppedError
from facesearch.enrolment.photo_outcomes import PHOTOS_DISAGREE, PhotoOutcome
from facesearch.enrolment.photo_workers import BrokenFile, PhotoWorkers, content_digest
from facesearch.responses.folder import BrokenPhoto, FolderProgress, FolderReport, RefusedPhoto

__all__ = ["index_photos"]

_POLL: Final = 0.1  # seconds between two checks of the stop event
# Analyzed photos are stored when there is nothing else to do, or when they reach this number or this age.
_MOST_UNWRITTEN: Final = 64
_OLDEST_UNWRITTEN: Final = 0.5  # seconds


def index_photos(
    plan: PhotoPlan, workers: PhotoWorkers, registrar: Registrar, report: Callable[[FolderProgress], object]
) -> FolderReport:
    """Analyze, judge and store all photos of a plan; call *report*, in this thread, each time a photo is done.

    Raises
    ------
    ExecutorError
        If the workers broke. After any exception, photos that were reported as done stay stored.
    """
    run = _Run(plan, workers, registrar)
    thread = threading.Thread(target=run.work, name="facesearch-folder", daemon=True)
    try:
        thread.start()
        while (progress := run.next()) is not None:
            report(progress)
        thread.join()
        return run.report()
    except BaseException as error:
        run.stop.set()
        if thread.ident is not None:
            thread.join()
        error.add_note(run.note())
        raise


@attrs.define(kw_only=True, eq=False)
class _Photo(FolderPhoto):
    """A photo in progress."""

    number: int  # in the plan
    future: "Future[PhotoAnalysis | BrokenFile] | None" = None
    known: bool = False  # an earlier call analyzed it

    @property
    def is_ready(self) -> bool:
        return self.future is None or self.future.done()


class _Run:
    """One pass over a plan."""

    def __init__(self, plan: PhotoPlan, workers: PhotoWorkers, registrar: Registrar) -> None:
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._plan, self._workers, self._registrar = plan, workers, registrar
        self._reports: SimpleQueue[FolderProgress | None] = SimpleQueue()
        self._queue: deque[_Photo] = deque()  # in the plan's order; not yet taken
        self._unwritten: list[_Photo] = []  # analyzed
        self._unwritten_since = 0.0
        self._waiting: dict[str, list[_Photo]] = {}
        self._start = time.monotonic()
        self._done = self._known = self._accepted = self._unassociated = 0
        self._users: set[str] = set()
        self._kept_out: set[str] = set()
        self._refused: dict[int, RefusedPhoto] = {}  # by number
        self._broken: dict[int, BrokenPhoto] = {}

    # ---------------------------------------------------------------- in the caller's thread

    def next(self) -> FolderProgress | None:
        """Wait for the next progress; return ``None`` at the end."""
        while True:
            try:
                return self._reports.get(timeout=_POLL)  # waiting for ever can't be interrupted on Windows
            except Empty:
                continue

    def note(self) -> str:
        """Return how far an interrupted run came."""
        waiting = sum(map(len, self._waiting.values()))
        judged = f", {waiting:,} of them to be judged when all are" if waiting else ""
        return (
            f"{self._done:,} of {self._plan.photos:,} photos are done and kept{judged}; "
            "the same call goes on from there"
        )

    def report(self) -> FolderReport:
        """Return the report; raise the error of the other thread, if there is one."""
        if self.error is not None:
            raise self.error
        return FolderReport(
            path=self._plan.path,
            photos=self._plan.photos,
            accepted=self._accepted,
            known=self._known,
            users=len(self._users),
            nobodys=self._unassociated,
            refused=tuple(self._refused[number] for number in sorted(self._refused)),
            broken=tuple(self._broken[number] for number in sorted(self._broken)),
            kept_out=tuple(sorted(self._kept_out)),
            skipped=self._plan.skipped,
            notes=self._plan.notes,
            renamed=self._plan.renamed,
        )

    # ---------------------------------------------------------------- in a thread of its own

    def work(self) -> None:
        """Run until all photos are done, an error occurs, or the stop event is set."""
        try:
            with self._workers:
                self._analyze_all()
            if not self.stop.is_set():
                self._judge()
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            self.error = error
        finally:
            self._reports.put(None)

    def _analyze_all(self) -> None:
        number = 0
        try:
            for person in self._plan.people:
                photos = [
                    _Photo(number=number + place, user_id=person.user_id, path=path)
                    for place, path in enumerate(person.photos)
                ]
                number += len(photos)
                self._recognize(person.user_id, photos)
                for photo in photos:
                    if not self._make_room():
                        return
                    self._begin(photos, photo)
                    self._queue.append(photo)
            while self._queue and self._wait_for_first():
                self._take()
        finally:
            self._workers.cancel()
            self._queue.clear()  # and its futures, for which a cluster would keep the photos
            self._write()

    def _recognize(self, user_id: str | None, photos: Sequence[_Photo]) -> None:
        """Set the outcomes of photos that an earlier call analyzed, found by their content."""
        for photo in photos:
            if self.stop.is_set():
                return
            digest = content_digest(photo.path)
            if isinstance(digest, BrokenFile):
                photo.analysis = digest
            else:
                photo.digest = digest
        readable = [photo for photo in photos if photo.digest is not None]
        self._registrar.recall(user_id, readable)
        for photo in readable:
            photo.known = photo.waits or photo.outcome is not None

    def _begin(self, photos: Sequence[_Photo], photo: _Photo) -> None:
        """Submit an unknown photo for analysis, once where a user has it several times."""
        if photo.known or photo.analysis is not None:
            return
        same = (each for each in photos if each.digest == photo.digest and (each.future or each.analysis))
        if twin := next(same, None):
            photo.future, photo.analysis = twin.future, twin.analysis
        else:
            photo.future = self._workers.submit(photo.path, enroll=photo.user_id is not None)

    def _make_room(self) -> bool:
        """Take photos that are ready, and wait while too many are in progress; return whether to continue."""
        while self._queue and (self._queue[0].is_ready or self._workers.is_full):
            if not self._wait_for_first():
                return False
            self._take()
        return not self.stop.is_set()

    def _wait_for_first(self) -> bool:
        """Wait for the first photo of the queue or the stop event; return whether the photo is ready."""
        photo = self._queue[0]
        if not photo.is_ready:
            self._write()
        while photo.future and not photo.is_ready and not self.stop.is_set():
            wait_for([photo.future], timeout=_POLL)
        return photo.is_ready

    def _take(self) -> None:
        """Remove the first photo from the queue, and collect its analysis."""
        photo = self._queue.popleft()
        if photo.known:
            self._finish(photo)
            return
        if photo.future:
            photo.analysis = self._workers.result(photo.path, photo.digest, photo.future)
            photo.future = None  # a cluster keeps the photo as long as its future lives
        if isinstance(photo.analysis, PhotoAnalysis):
            # The file may have changed since it was hashed: the analyzed content counts.
            photo.digest = photo.analysis.digest
        if not self._unwritten:
            self._unwritten_since = time.monotonic()
        self._unwritten.append(photo)
        is_old = time.monotonic() - self._unwritten_since > _OLDEST_UNWRITTEN
        if is_old or len(self._unwritten) >= _MOST_UNWRITTEN:
            self._write()

    def _write(self) -> None:
        """Store the analyzed photos, and only then report them as done."""
        photos, self._unwritten = self._unwritten, []
        if not photos:
            return
        self._registrar.keep(photos)
        for photo in photos:
            self._finish(photo)

    def _finish(self, photo: _Photo) -> None:
        """Count a photo that is done, and report the progress."""
        photo.analysis = photo.future = None
        self._done += 1
        self._known += photo.known
        if photo.waits and photo.user_id is not None:
            self._waiting.setdefault(photo.user_id, []).append(photo)
        else:
            self._count(photo)
        # The last photo is reported after the judgement.
        if not self._waiting or self._done < self._plan.photos:
            self._report_progress()

    def _judge(self) -> None:
        if not self._waiting:
            return
        try:
            self._registrar.judge_waiting(self._waiting, self.stop.is_set)
        except StoppedError:
            return
        for photo in (photo for photos in self._waiting.values() for photo in photos):
            self._count(photo)
        self._waiting.clear()
        self._report_progress()

    def _count(self, photo: _Photo) -> None:
        outcome, user_id = photo.outcome or PhotoOutcome(), photo.user_id
        if outcome.accepted:
            self._accepted += 1
            if user_id is None:
                self._unassociated += 1
            else:
                self._users.add(user_id)
        elif outcome.error is not None:
            self._broken[photo.number] = BrokenPhoto(
                path=photo.path, user_id=user_id, detail=outcome.detail, known=photo.known
            )
        else:
            self._refused[photo.number] = RefusedPhoto(
                path=photo.path, user_id=user_id, reasons=outcome.reasons, detail=outcome.detail, known=photo.known
            )
            if user_id is not None and PHOTOS_DISAGREE in outcome.reasons:
                self._kept_out.add(user_id)

    def _report_progress(self) -> None:
        self._reports.put(
            FolderProgress(
                total=self._plan.photos,
                done=self._done,
                known=self._known,
                waiting=self._done - self._accepted - len(self._refused) - len(self._broken),
                accepted=self._accepted,
                refused=len(self._refused),
                broken=len(self._broken),
                seconds=time.monotonic() - self._start,
            )
        )
