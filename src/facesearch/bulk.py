"""Index many photos: looked at by many, judged and written by one, person by person, in order.

A person's photos are judged together and written in one step, so whatever ends the work leaves whole people: what was told as
done is kept, and the same call goes on from there. The judging runs in a thread of its own, which Ctrl-C can't interrupt between
two writes; the caller's thread shows the progress and waits.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

import attrs

from facesearch.folder_report import BrokenPhoto, FolderProgress, FolderReport, RefusedPhoto
from facesearch.looks import Look
from facesearch.photo_outcomes import PhotoOutcome
from facesearch.photo_plan import PhotoPlan
from facesearch.photo_work import BrokenFile, PhotoWorkers, content_digest
from facesearch.settling import Registrar, SeenPhoto

__all__ = ["index_photos"]

_POLL: Final = 0.1  # seconds in which a wish to stop is seen


def index_photos(
    plan: PhotoPlan, workers: PhotoWorkers, registrar: Registrar, tell: Callable[[FolderProgress], object]
) -> FolderReport:
    """Look at all photos of a plan, and have them judged and written.

    Parameters
    ----------
    plan
        Which photos, and whose.
    workers
        Who looks.
    registrar
        Who judges and writes.
    tell
        Called, in this thread, each time a photo is done.

    Returns
    -------
    FolderReport
        Of every photo.

    Raises
    ------
    ExecutorError
        If the workers broke. Whatever is raised, what was settled stays.
    """
    run = _Run(plan, workers, registrar)
    thread = threading.Thread(target=run.work, name="facesearch-folder", daemon=True)
    try:
        thread.start()
        while (progress := run.next()) is not None:
            tell(progress)
    except BaseException as error:
        run.stop.set()
        if thread.ident is not None:
            thread.join()
        error.add_note(run.note())
        raise
    thread.join()
    if run.error is not None:
        run.error.add_note(run.note())
        raise run.error
    return run.report()


@attrs.define(kw_only=True, eq=False)
class _Photo:
    """A photo on its way."""

    path: Path
    digest: str | None = None
    look: Look | BrokenFile | None = None
    future: "Future[Look | BrokenFile] | None" = None
    outcome: PhotoOutcome | None = None
    known: bool = False

    @property
    def is_ready(self) -> bool:
        return self.future is None or self.future.done()

    @property
    def as_seen(self) -> SeenPhoto:
        # What was looked at counts, should the file have changed since it was hashed.
        digest = self.look.digest if isinstance(self.look, Look) else self.digest
        return SeenPhoto(path=self.path, digest=digest, look=self.look)


@attrs.frozen(eq=False)
class _Group:
    """The photos that are settled together."""

    user_id: str | None
    photos: list[_Photo]


class _Run:
    """One pass over a plan."""

    def __init__(self, plan: PhotoPlan, workers: PhotoWorkers, registrar: Registrar) -> None:
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self._settled = 0
        self._plan, self._workers, self._registrar = plan, workers, registrar
        self._told: SimpleQueue[FolderProgress | None] = SimpleQueue()
        self._line: deque[tuple[_Group, _Photo]] = deque()  # in the plan's order; not yet done
        self._under_way: set[Future[Look | BrokenFile]] = set()
        self._start = time.monotonic()
        self._done = self._known = self._accepted = self._nobodys = self._users = 0
        self._refused: list[RefusedPhoto] = []
        self._broken: list[BrokenPhoto] = []

    # ---------------------------------------------------------------- in the caller's thread

    def next(self) -> FolderProgress | None:
        """Wait for something to tell; ``None`` at the end."""
        while True:
            try:
                return self._told.get(timeout=_POLL)  # waiting for ever can't be interrupted on Windows
            except Empty:
                continue

    def note(self) -> str:
        """Say how far it came."""
        total = self._plan.photos
        return f"{self._settled:,} of {total:,} photos are done and kept; the same call goes on from there"

    def report(self) -> FolderReport:
        """Say what became of the photos."""
        return FolderReport(
            path=self._plan.path,
            photos=self._plan.photos,
            accepted=self._accepted,
            known=self._known,
            users=self._users,
            nobodys=self._nobodys,
            refused=tuple(self._refused),
            broken=tuple(self._broken),
            skipped=self._plan.skipped,
            notes=self._plan.notes,
            renamed=self._plan.renamed,
        )

    # ---------------------------------------------------------------- in a thread of its own

    def work(self) -> None:
        """Do it all, or as much as there is time for."""
        try:
            with self._workers:
                self._work()
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            self.error = error
        finally:
            self._told.put(None)

    def _work(self) -> None:
        try:
            for person in self._plan.people:
                group = _Group(person.user_id, [_Photo(path=path) for path in person.photos])
                self._recognize(group)
                for photo in group.photos:
                    if not self._make_room():
                        return
                    if photo.outcome is None and photo.look is None:
                        self._begin(group, photo)
                    self._line.append((group, photo))
            while self._line and self._wait_for_first():
                self._finish()
        finally:
            for future in self._under_way:
                future.cancel()

    def _recognize(self, group: _Group) -> None:
        """Tell by their content which photos are known."""
        for photo in group.photos:
            if self.stop.is_set():
                return
            digest = content_digest(photo.path)
            if isinstance(digest, BrokenFile):
                photo.look = digest
            else:
                photo.digest = digest
        photos = [photo for photo in group.photos if photo.digest is not None]
        outcomes = self._registrar.recall(group.user_id, [photo.as_seen for photo in photos])
        for photo, outcome in zip(photos, outcomes, strict=True):
            photo.outcome, photo.known = outcome, outcome is not None

    def _begin(self, group: _Group, photo: _Photo) -> None:
        """Have a photo looked at, once where a user has it several times."""
        twin = next((each for each in group.photos if each.digest == photo.digest and each.future), None)
        photo.future = twin.future if twin else self._workers.submit(photo.path, enroll=group.user_id is not None)
        if photo.future:
            self._under_way.add(photo.future)

    def _make_room(self) -> bool:
        """Finish what is ready, and wait as long as too much is under way; tell whether to go on."""
        while self._line and (self._line[0][1].is_ready or len(self._under_way) >= self._workers.most):
            if not self._wait_for_first():
                return False
            self._finish()
        return not self.stop.is_set()

    def _wait_for_first(self) -> bool:
        """Wait for the first photo of the line, unless it is time to stop; tell whether it is ready."""
        photo = self._line[0][1]
        while photo.future and not photo.is_ready and not self.stop.is_set():
            wait_for([photo.future], timeout=_POLL)
        return photo.is_ready

    def _finish(self) -> None:
        """Take the first photo off the line; the last one of a group settles it."""
        group, photo = self._line.popleft()
        if photo.future:
            self._under_way.discard(photo.future)
            photo.look = self._workers.result(photo.path, photo.future)
        self._done += 1
        self._known += photo.known
        if photo is group.photos[-1]:
            self._settle(group)
        self._tell()

    def _settle(self, group: _Group) -> None:
        fresh = [photo for photo in group.photos if photo.outcome is None]
        if fresh:
            outcomes = self._registrar.settle(group.user_id, [photo.as_seen for photo in fresh])
            for photo, outcome in zip(fresh, outcomes, strict=True):
                photo.outcome = outcome
        self._count(group)

    def _count(self, group: _Group) -> None:
        accepted = 0
        for photo in group.photos:
            outcome = photo.outcome or PhotoOutcome()
            if outcome.accepted:
                accepted += 1
            elif outcome.error is not None:
                broken = BrokenPhoto(path=photo.path, user_id=group.user_id, detail=outcome.detail, known=photo.known)
                self._broken.append(broken)
            else:
                refused = RefusedPhoto(
                    path=photo.path,
                    user_id=group.user_id,
                    reasons=outcome.reasons,
                    detail=outcome.detail,
                    known=photo.known,
                )
                self._refused.append(refused)
        self._settled += len(group.photos)
        self._accepted += accepted
        self._nobodys += accepted if group.user_id is None else 0
        self._users += group.user_id is not None and accepted > 0

    def _tell(self) -> None:
        self._told.put(
            FolderProgress(
                total=self._plan.photos,
                done=self._done,
                known=self._known,
                accepted=self._accepted,
                refused=len(self._refused),
                broken=len(self._broken),
                seconds=time.monotonic() - self._start,
            )
        )
