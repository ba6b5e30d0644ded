"""What becomes of photos in a collection: faces are indexed, people enrolled, one by one or a folder at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from os import PathLike

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.base import CollectionBase, check_sequence
from facesearch.common.validation import check_float, check_int, check_text
from facesearch.domain.attributes import Attribute, parse_attributes
from facesearch.domain.entities import EXTERNAL_IMAGE_ID_PATTERN, USER_ID_PATTERN, Face, UnindexedFaceReason
from facesearch.domain.sources import check_source, check_sources, source_of
from facesearch.enrolment.candidates import PhotoAnalysis, analyze_to_enroll, analyze_to_index
from facesearch.enrolment.enroller import Enroller
from facesearch.enrolment.folder_plan import plan_photos
from facesearch.enrolment.folder_registrar import Registrar
from facesearch.enrolment.folder_run import index_photos
from facesearch.enrolment.judging import Verdict
from facesearch.enrolment.photo_workers import AnalysisOptions, PhotoWorkers
from facesearch.enrolment.progress import showing
from facesearch.errors import InvalidParameterError
from facesearch.images.reading import ImageSource, read_image
from facesearch.responses.collection import Enrollment, EnrollmentReport, FaceRecord, IndexFacesResponse, UnindexedFace
from facesearch.responses.folder import FolderProgress, FolderReport
from facesearch.selection.quality_filter import QualityFilter
from facesearch.storage.memory import StoredFace

__all__ = ["CollectionPhotos"]


class CollectionPhotos(CollectionBase):
    """What a collection takes from photos."""

    def index_faces(
        self,
        image: ImageSource,
        *,
        external_image_id: str | None = None,
        max_faces: int | None = None,
        quality_filter: str | QualityFilter = QualityFilter.AUTO,
        attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,),
        source: str | PathLike[str] | None = None,
    ) -> IndexFacesResponse:
        """Find the faces in a photo and add them, as nobody's.

        Parameters
        ----------
        image
            Path, bytes, binary file, PIL image, or uint8 RGB, RGBA or grey array.
        external_image_id
            Your own name for the photo: 1-255 characters of ``[a-zA-Z0-9_.-:]``.
        max_faces
            Add so many of the largest that pass, >= 1; AWS's own limit of 100 holds in any case.
        quality_filter
            NONE, AUTO, LOW, MEDIUM or HIGH.
        attributes
            What to tell of each face; AWS's names.
        source
            Where the photo is from, kept as `Face.source`: 1-4096 characters. By default the path, where *image* is one.

        Returns
        -------
        IndexFacesResponse
            The faces added, largest first, and the others with the reasons. A photo indexed again under the same
            ``external_image_id`` adds nothing and gives the same records.

        Raises
        ------
        ImageError
            If the picture can't be used.
        InvalidParameterError
            If another argument is wrong.
        """
        if external_image_id is not None:
            check_text("external_image_id", external_image_id, EXTERNAL_IMAGE_ID_PATTERN, 255)
        if max_faces is not None:
            check_int("max_faces", max_faces, 1)
        quality, asked = QualityFilter.parse(quality_filter), parse_attributes(attributes)
        where = check_source("source", source) or source_of(image)
        analysis = analyze_to_index(
            self.analyzer,
            read_image(image),
            quality,
            thumbnails=self._thumbnails,
            attributes=asked,
            max_faces=max_faces,
        )
        enroller = self._enroller
        kept = [
            enroller.face(analysis.digest, face, external_image_id=external_image_id, source=where)
            for face in analysis.faces
        ]
        with self._store.writing():
            faces = enroller.keep(kept)
        return IndexFacesResponse(
            face_records=tuple(
                FaceRecord(face=faces[stored.face.face_id], face_detail=face.detail)
                for stored, face in zip(kept, analysis.faces, strict=True)
            ),
            unindexed_faces=tuple(
                UnindexedFace(
                    face_detail=analysis.evidence.details[position],
                    reasons=tuple(UnindexedFaceReason(reason.value) for reason in reasons),
                )
                for position, reasons in analysis.refused
            ),
            face_model_version=self._face_model.version,
            evidence=analysis.evidence,
        )

    def enroll(
        self,
        user_id: str,
        images: Sequence[ImageSource],
        *,
        quality_filter: str | QualityFilter = QualityFilter.AUTO,
        user_match_threshold: float = 75,
        sources: Sequence[str | PathLike[str] | None] | None = None,
        anyway: bool = False,
    ) -> EnrollmentReport:
        """Make a user of photos: index the largest face of each, create the user if need be, and associate them.

        Parameters
        ----------
        user_id
            An existing user gets more faces.
        images
            One or more photos of the person, who must be the largest face in each.
        quality_filter
            NONE, AUTO, LOW, MEDIUM or HIGH.
        user_match_threshold
            A user that has faces already accepts only photos of at least this similarity, percent. At 0 who the photos show
            is your word: nothing is compared.
        sources
            Where each photo is from, kept as `Face.source`: as many as there are images, each 1-4096 characters or ``None``. By
            default, and for ``None``, the path, where the image is one.
        anyway
            Enrol a new user although its photos don't agree.

        Returns
        -------
        EnrollmentReport
            What became of each photo. Of a photo that was not accepted nothing is kept, and of a new user with none that
            was accepted neither.

        Notes
        -----
        All photos are judged at once; their order changes nothing, and one that is given twice counts once. If the photos of
        a new user don't agree, because no one of them matches more than half of all, none is accepted: each has the reason
        PHOTOS_DISAGREE, and `EnrollmentReport.kept_out` is true. Look at them, and take out the wrong ones or give
        ``anyway=True``. A single photo has nothing to agree with; of two that differ one is wrong. Not accepted either
        are photos in which a second face is at least half as large as the largest, photos that don't fit the user's faces
        or, of a new user and from three photos on, the other photos, and photos that are clearly nearer to another user of
        the collection than to their own. `facesearch.enrolment.agreement.doubts` has the rules.

        Raises
        ------
        ImageError
            If a picture can't be used; nothing was changed.
        InvalidParameterError
            If another argument is wrong.
        QuotaExceededError
            If the user would have more than 100 faces; nothing was changed.
        """
        check_text("user_id", user_id, USER_ID_PATTERN, 128)
        check_float("user_match_threshold", user_match_threshold, 0, 100)
        check_sequence("images", images, "a sequence of one or more pictures")
        where = check_sources("sources", sources, images)
        if not isinstance(anyway, bool):
            raise InvalidParameterError.of("anyway", anyway, "True or False")
        quality, analyzer = QualityFilter.parse(quality_filter), self.analyzer
        analyses = [
            analyze_to_enroll(analyzer, read_image(image), quality, thumbnails=self._thumbnails) for image in images
        ]
        enroller = self._enroller
        faces = [
            enroller.face(analysis.digest, analysis.faces[0], source=source) if analysis.faces else None
            for analysis, source in zip(analyses, where, strict=True)
        ]
        # Of a photo that is given twice the first source by name is kept: the order of photos must not matter.
        given = sorted(
            (face for face in faces if face), key=lambda stored: (not stored.face.source, stored.face.source)
        )
        with self._store.writing():
            verdict = enroller.judge([user_id], lambda _: given, user_match_threshold, anyway=anyway)[user_id]
            accepted = {*verdict.accepted, *verdict.over_quota}
            self._check_quota(user_id, len(self._store.faces_of(user_id) | accepted))
            # Nothing is written before here, and nothing raises after.
            enroller.enroll(user_id, verdict, reversed(given))
            kept = self._store.faces_named(accepted)
            return EnrollmentReport(
                user=self._user(user_id) if self._store.has_user(user_id) else None,
                photos=tuple(
                    attrs.evolve(
                        _enrollment(analysis, face, verdict, kept),
                        evidence=attrs.evolve(analysis.evidence, needed=verdict.needed),
                    )
                    for analysis, face in zip(analyses, faces, strict=True)
                ),
            )

    def index_folder(
        self,
        path: str | PathLike[str],
        *,
        executor: Executor | None = None,
        progress: bool | Callable[[FolderProgress], object] = True,
        quality_filter: str | QualityFilter = QualityFilter.AUTO,
        user_match_threshold: float = 75,
        anyway: bool = False,
        send_photos: bool = False,
        in_flight: int | None = None,
    ) -> FolderReport:
        """Enrol a folder of photos: `enroll` for each person, on all cores, and to be continued after whatever ends it.

        Parameters
        ----------
        path
            A folder with a sub-folder for each person, named after the user: picture files, at any depth below it. Where a
            name is no user id the nearest id is taken, "Ada_Lovelace" for "Ada Lovelace", and the report says so. Or a
            folder with nothing but photos, whose faces are indexed as nobody's, under the files' names where those are
            valid as ``external_image_id``. Or a CSV file with the columns ``photo``, relative to the file, and ``user_id``;
            others are ignored.
        executor
            Who looks at the photos: any `concurrent.futures.Executor`, such as a process pool or a cluster's; by default a
            thread for each core. Processes get the analyzer's settings, and each loads the weights once.
        progress
            ``True`` shows a bar on a terminal, if tqdm is installed, or else tells the log ``facesearch`` every 5 s;
            ``False`` nothing. A function is called with a `FolderProgress` for each photo, for the last one when all are judged.
        quality_filter, user_match_threshold, anyway
            As for `enroll`.
        send_photos
            Send the photos' bytes to *executor* rather than their paths: for workers that don't see the files.
        in_flight
            How many photos may be under way at once, >= 1; by default 16 for each core of this machine, and 4 where they are
            sent. For a cluster, at least twice its workers.

        Returns
        -------
        FolderReport
            What became of each photo; printing it shows a table. Of files that can't be read as photos each is one line.

        Raises
        ------
        InvalidParameterError
            If there is no such folder, two folders are one user id by their names, a CSV file is none (the message says in which
            line), or another argument is wrong.
        ExecutorError
            If *executor* broke.

        Notes
        -----
        What is seen in a photo is written at once, photo by photo. The photos of all people are judged together, when all
        were looked at, and written in one step: the outcome depends neither on the executor nor on the order of people or
        photos, as `facesearch.enrolment.judging` explains. Where a user would have more than 100 faces, the rest is refused with
        QUOTA_EXCEEDED, by path.

        Whatever ends the work, Ctrl-C or SIGKILL, photos that were told as done are not looked at again by the next call,
        which ends with what an uninterrupted one would have. Until then faces of users that are to be judged are kept, with
        their vectors, where nothing but this method finds them; see `forget_photos`. A photo is known by the SHA-256 of its bytes: if its user has its face, or if it was refused or broken by the
        same filter and threshold. Nothing of a photo that was refused is kept but the reasons with their figures;
        `forget_photos` forgets them, and so does deleting a user that they are about.

        A function that starts processes must be called under ``if __name__ == "__main__":`` in a script.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from skimage.data import astronaut
        >>> album = tempfile.TemporaryDirectory()
        >>> photo = Path(album.name, "eileen", "portrait.png")
        >>> photo.parent.mkdir()
        >>> Image.fromarray(astronaut()).save(photo)
        >>> staff = Collection("staff")
        >>> print(staff.index_folder(album.name))
        1 photo, 1 user: 1 accepted, 0 refused, 0 broken
        >>> print(staff.index_folder(album.name))
        1 photo, 1 user: 1 accepted, 0 refused, 0 broken, 1 known before
        >>> album.cleanup()
        """
        check_float("user_match_threshold", user_match_threshold, 0, 100)
        if in_flight is not None:
            check_int("in_flight", in_flight, 1)
        for argument, value in (("send_photos", send_photos), ("anyway", anyway)):
            if not isinstance(value, bool):
                raise InvalidParameterError.of(argument, value, "True or False")
        quality, analyzer = QualityFilter.parse(quality_filter), self.analyzer
        plan = plan_photos(path)
        workers = PhotoWorkers(
            analyzer,
            # Other processes are as many as there are cores: one core each.
            self._analyzer or FaceAnalyzer(threads=1),
            AnalysisOptions(quality_filter=quality, thumbnails=self._thumbnails),
            executor=executor,
            send_photos=send_photos,
            most=in_flight,
        )
        registrar = Registrar(
            enroller=self._enroller,
            analyzer=analyzer,
            quality_filter=quality,
            threshold=user_match_threshold,
            anyway=anyway,
            thumbnails=self._thumbnails,
            root=plan.path if plan.path.is_dir() else plan.path.parent,
        )
        with showing(progress, plan.photos) as tell:
            return index_photos(plan, workers, registrar, tell)

    def forget_photos(self, user_id: str | None = None) -> int:
        """Forget which photos `index_folder` refused, and what it saw in photos that wait to be judged: it looks at them again.

        Photos wait where `index_folder` was interrupted; what it kept of them is in the file until the same call is made again, the
        user is deleted, or they are forgotten here.

        Parameters
        ----------
        user_id
            Only those that were to be this user's, who need not exist, or that are nearer to it; by default all.

        Returns
        -------
        int
            How many were forgotten.

        Raises
        ------
        InvalidParameterError
            If the id is not 1-128 characters of ``[a-zA-Z0-9_.-:]``.
        """
        if user_id is not None:
            check_text("user_id", user_id, USER_ID_PATTERN, 128)
        with self._store.writing():
            waiting = self._store.forget_waiting(None if user_id is None else [user_id])
            return waiting + self._store.forget_photos(user_id)

    @property
    def _enroller(self) -> Enroller:
        return Enroller(self._store, self._face_model, self._calibration)


def _enrollment(
    analysis: PhotoAnalysis, face: StoredFace | None, verdict: Verdict, kept: Mapping[str, Face]
) -> Enrollment:
    """Return what became of a photo."""
    if face is None:
        return Enrollment(reasons=analysis.reasons)
    face_id = face.face.face_id
    return verdict.refused.get(face_id) or Enrollment(face=kept[face_id])
