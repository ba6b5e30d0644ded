"""Photos of a collection: index faces, enrol people one by one or a folder at a time, and forget outcomes."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from os import PathLike

import attrs

from facesearch.analysis.analyzer import FaceAnalyzer
from facesearch.collection.base import CollectionBase, check_sequence
from facesearch.common.validation import check_bool, check_float, check_int, check_text
from facesearch.domain.attributes import Attribute, parse_attributes
from facesearch.domain.entities import EXTERNAL_IMAGE_ID_PATTERN, LONGEST_USER_ID, USER_ID_PATTERN
from facesearch.domain.reasons import UnindexedFaceReason
from facesearch.domain.sources import check_source, check_sources, source_of
from facesearch.enrolment.candidates import analyze_to_enroll, analyze_to_index
from facesearch.enrolment.enroller import Enroller
from facesearch.enrolment.folder_plan import plan_photos
from facesearch.enrolment.folder_registrar import Registrar
from facesearch.enrolment.folder_run import index_photos
from facesearch.enrolment.photo_workers import PhotoWorkers
from facesearch.enrolment.progress import progress_reporter
from facesearch.images.reading import ImageSource, read_image
from facesearch.responses.collection import Enrollment, EnrollmentReport, FaceRecord, IndexFacesResponse, UnindexedFace
from facesearch.responses.folder import FolderProgress, FolderReport
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["CollectionPhotos"]


class CollectionPhotos(CollectionBase):
    """The operations that add faces from photos."""

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
        """Detect the faces in a photo and add them, unassociated.

        Parameters
        ----------
        image
            Path, bytes, binary file, PIL image, or uint8 RGB, RGBA or grey array.
        external_image_id
            The caller's id of the photo: 1-255 characters of ``[a-zA-Z0-9_.-:]``.
        max_faces
            The greatest number of faces to add, >= 1: the largest that pass the filter. AWS's limit of 100 always applies.
        quality_filter
            NONE, AUTO, LOW, MEDIUM or HIGH.
        attributes
            The attributes of each face to return, by AWS's names.
        source
            Source of the photo, stored as `Face.source`: 1-4096 characters. By default the path, if *image* is one.

        Returns
        -------
        IndexFacesResponse
            The added faces, largest first, and the others with reasons. A photo that is indexed again under the same
            ``external_image_id`` adds no face and returns the same records.

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
        """Enrol a user from photos: index the largest face of each, create the user if needed, and associate the faces.

        Parameters
        ----------
        user_id
            An existing user gets more faces.
        images
            One or more photos of the person, who must be the largest face in each.
        quality_filter
            NONE, AUTO, LOW, MEDIUM or HIGH.
        user_match_threshold
            For a user that has faces already, the least similarity of a photo, percent. At 0 nothing is compared: the caller vouches
            for the photos.
        sources
            Source of each photo, stored as `Face.source`: one for each image, 1-4096 characters or ``None``. By default, and for
            ``None``, the path, if the image is one.
        anyway
            Enrol a new user even if its photos disagree.

        Returns
        -------
        EnrollmentReport
            The outcome of each photo. Of a rejected photo nothing is stored. A new user without an accepted photo is not created.

        Notes
        -----
        All photos are judged together; their order does not matter, and a duplicate counts once. If the photos of a new user
        disagree, because none of them matches more than half of all, no photo is accepted: each has the reason PHOTOS_DISAGREE, and
        `EnrollmentReport.kept_out` is true. Check them, and remove the wrong ones or pass ``anyway=True``. A single photo can't
        disagree; if two differ, one is wrong. Also rejected are photos in which a second face is at least half as large as the largest,
        photos that don't match the user's faces (for a new user with three photos or more: the other photos), and photos that are
        clearly nearer to another user of the collection. `facesearch.enrolment.agreement.doubts` describes the rules.

        Raises
        ------
        ImageError
            If a picture can't be used; nothing was changed.
        InvalidParameterError
            If another argument is wrong.
        QuotaExceededError
            If the user would have more than 100 faces; nothing was changed.
        """
        check_text("user_id", user_id, USER_ID_PATTERN, LONGEST_USER_ID)
        check_float("user_match_threshold", user_match_threshold, 0, 100)
        check_sequence("images", images, "a sequence of one or more pictures")
        where = check_sources("sources", sources, images)
        check_bool("anyway", anyway)
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
            kept = self._store.faces_by_id(accepted)
            photos = []
            for analysis, face in zip(analyses, faces, strict=True):
                if face is None:
                    photo = Enrollment(reasons=analysis.reasons)
                else:
                    face_id = face.face.face_id
                    photo = verdict.refused.get(face_id) or Enrollment(face=kept[face_id])
                photos.append(attrs.evolve(photo, evidence=attrs.evolve(analysis.evidence, needed=verdict.needed)))
            user = self._user(user_id) if self._store.has_user(user_id) else None
            return EnrollmentReport(user=user, photos=tuple(photos))

    def index_folder(
        self,
        path: str | PathLike[str],
        *,
        executor: Executor | None = None,
        progress: bool | Callable[[FolderProgress], object] = True,
        quality_filter: str | QualityFilter = QualityFilter.AUTO,
        user_match_threshold: float = 75,
        anyway: bool = False,
        send_photos: bool | None = None,
        in_flight: int | None = None,
    ) -> FolderReport:
        """Enrol a folder of photos: `enroll` for each person, on all cores, resumable after an interruption.

        Parameters
        ----------
        path
            A folder with a sub-folder for each person, named after the user, with image files at any depth. If a name is no valid user
            id, the nearest valid id is used, "Ada_Lovelace" for "Ada Lovelace", and the report lists it. Or a folder with photos only:
            their faces are indexed unassociated, with the file names as ``external_image_id`` if valid. Or a CSV file with the columns
            ``photo``, relative to the file, and ``user_id``; other columns are ignored.
        executor
            Analyzes the photos: any `concurrent.futures.Executor`, such as a process pool, or ``client.get_executor()`` of a Dask
            client; by default one thread for each core. Processes get the analyzer's settings, each loads the weights once, and each
            must have the versions and weights of this process.
        progress
            ``True`` shows a progress bar on a terminal if tqdm is installed, and otherwise logs to ``facesearch`` every 5 s. ``False``
            shows nothing. A function is called with a `FolderProgress` for each photo; for the last photo, when all are judged.
        quality_filter, user_match_threshold, anyway
            As for `enroll`.
        send_photos
            ``True`` sends the photos' bytes to *executor*, ``False`` their absolute paths, for workers that see the same files there.
            By default paths go to pools of this machine, and bytes to any other executor.
        in_flight
            The greatest number of photos in progress at once, >= 1; by default 16 for each core, and 4 if photos are sent: the cores
            of a Dask cluster, or of this machine for any other executor. Of photos that are sent, 256 MiB at most are in progress.

        Returns
        -------
        FolderReport
            The outcome of each photo; printing it shows a table. Each file that can't be read as a photo is one line.

        Raises
        ------
        InvalidParameterError
            If there is no such folder, two folder names have the same user id, a CSV file is invalid (the message names the line), or
            another argument is wrong.
        ExecutorError
            If *executor* broke, or its workers have other versions, weights or photos than this process. What was done is kept.

        Notes
        -----
        The result for each photo is written as soon as it is analyzed. The photos of all people are judged together, after all are
        analyzed, and written in one transaction: the outcome depends neither on the executor nor on the order of people or photos, as
        `facesearch.enrolment.judging` explains. If a user would have more than 100 faces, the rest is rejected with QUOTA_EXCEEDED, in
        the order of the paths.

        After an interruption, even by SIGKILL, the next call does not analyze finished photos again, and its result is that of an
        uninterrupted call. Until then, faces that are not judged yet are stored with their vectors, and only this method reads them;
        see `forget_photos`. A photo is recognised by the SHA-256 of its bytes: it is known if its user has its face, or if the same
        filter and threshold rejected it or found it broken. Of a rejected photo only the reasons and their figures are stored;
        `forget_photos` removes them, and so does the deletion of a user that they mention.

        With an executor that starts processes, call this under ``if __name__ == "__main__":`` in a script.

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
        if send_photos is not None:
            check_bool("send_photos", send_photos)
        check_bool("anyway", anyway)
        quality, analyzer = QualityFilter.parse(quality_filter), self.analyzer
        plan = plan_photos(path)
        workers = PhotoWorkers(
            analyzer,
            # There are as many worker processes as cores: one core each.
            self._analyzer or FaceAnalyzer(threads=1, models=analyzer.models),
            quality,
            thumbnails=self._thumbnails,
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
        with progress_reporter(progress, plan.photos) as report:
            return index_photos(plan, workers, registrar, report)

    def forget_photos(self, user_id: str | None = None) -> int:
        """Remove the stored outcomes of rejected photos and the faces of waiting photos: `index_folder` analyzes them again.

        Photos wait to be judged if `index_folder` was interrupted. Their faces stay in the file until the same call is repeated, the
        user is deleted, or this method removes them.

        Parameters
        ----------
        user_id
            Only photos for this user, existing or not, and photos that are nearer to it; by default all.

        Returns
        -------
        int
            The number of photos removed.

        Raises
        ------
        InvalidParameterError
            If the id is not 1-128 characters of ``[a-zA-Z0-9_.-:]``.
        """
        if user_id is not None:
            check_text("user_id", user_id, USER_ID_PATTERN, LONGEST_USER_ID)
        with self._store.writing():
            waiting = self._store.forget_waiting(None if user_id is None else [user_id])
            return waiting + self._store.forget_photos(user_id)

    @property
    def _enroller(self) -> Enroller:
        return Enroller(self._store, self._face_model, self._calibration)
