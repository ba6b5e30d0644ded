"""What becomes of photos in a collection: faces are indexed, people enrolled, one by one or a folder at a time."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from os import PathLike

from facesearch._fields import check_float, check_int, check_text
from facesearch.admission import Admission
from facesearch.analysis import FaceAnalyzer
from facesearch.attributes import Attribute, parse_attributes
from facesearch.bars import QualityFilter
from facesearch.bulk import index_photos
from facesearch.collection_base import CollectionBase, check_sequence
from facesearch.errors import InvalidParameterError
from facesearch.evidence import Evidence
from facesearch.explanation import Use
from facesearch.folder_report import FolderProgress, FolderReport
from facesearch.image import ImageSource, read_image
from facesearch.looks import KeptFace, look_to_enroll
from facesearch.photo_plan import plan_photos
from facesearch.photo_work import LookOptions, PhotoWorkers
from facesearch.probing import probe
from facesearch.progress_shown import showing
from facesearch.records import (
    EXTERNAL_IMAGE_ID_PATTERN,
    USER_ID_PATTERN,
    EnrollmentReport,
    FaceRecord,
    IndexFacesResponse,
    UnindexedFace,
    UnindexedFaceReason,
)
from facesearch.settling import Registrar

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
        picture, analyzer = read_image(image), self.analyzer
        probing = probe(analyzer, picture, quality, attributes=asked, max_faces=max_faces)
        kept = [KeptFace.of(face, thumbnails=self._thumbnails) for face in probing.probes]
        with self._store.writing():
            records = tuple(
                FaceRecord(face=self._admission.keep(picture.digest, face, external_image_id), face_detail=face.detail)
                for face in kept
            )
        return IndexFacesResponse(
            face_records=records,
            unindexed_faces=tuple(
                UnindexedFace(
                    face_detail=probing.located[position].detail,
                    reasons=tuple(UnindexedFaceReason(reason.value) for reason in reasons),
                )
                for position, reasons in probing.selection.refused
            ),
            face_model_version=self._face_model.version,
            evidence=Evidence.of(
                probing.located,
                (picture.width, picture.height),
                use=Use.INDEXED,
                quality_filter=quality,
                filter_bars=analyzer.bars,
                max_faces=max_faces,
            ),
        )

    def enroll(
        self,
        user_id: str,
        images: Sequence[ImageSource],
        *,
        quality_filter: str | QualityFilter = QualityFilter.AUTO,
        user_match_threshold: float = 75,
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

        Returns
        -------
        EnrollmentReport
            What became of each photo. Of a photo that was not accepted nothing is kept, and of a new user with none that
            was accepted neither.

        Notes
        -----
        All photos are judged at once; their order changes nothing, and one that is given twice counts once. Not accepted
        are photos in which a second face is at least half as large as the largest, photos that don't fit the user's faces
        or, of a new user and from three photos on, the other photos, and photos that are clearly nearer to another user of
        the collection than to their own. `facesearch.enrolment.doubts` has the rules.

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
        quality, analyzer = QualityFilter.parse(quality_filter), self.analyzer
        looks = [look_to_enroll(analyzer, read_image(image), quality, thumbnails=self._thumbnails) for image in images]
        with self._store.writing():
            offer = self._admission.offer(user_id, looks, user_match_threshold)
            self._check_quota(user_id, len(self._store.faces_of(user_id) | offer.accepted.keys()))
            # Nothing is written before here, and nothing raises after.
            photos = self._admission.enroll(user_id, looks, offer)
            return EnrollmentReport(user=self._user(user_id) if self._store.has_user(user_id) else None, photos=photos)

    def index_folder(
        self,
        path: str | PathLike[str],
        *,
        executor: Executor | None = None,
        progress: bool | Callable[[FolderProgress], object] = True,
        quality_filter: str | QualityFilter = QualityFilter.AUTO,
        user_match_threshold: float = 75,
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
            ``False`` nothing. A function is called with a `FolderProgress` for each photo.
        quality_filter, user_match_threshold
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
        A person's photos are judged together and written in one step, people by their ids: the outcome is that of `enroll`,
        person by person, whatever the executor. Where a user would have more than 100 faces, the rest is refused with
        QUOTA_EXCEEDED, by path.

        Whatever ends the work, Ctrl-C or SIGKILL, the people that are done stay, and the next call looks at the others only.
        A photo is known by the SHA-256 of its bytes: if its user has its face, or if it was refused or broken by the
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
        if not isinstance(send_photos, bool):
            raise InvalidParameterError.of("send_photos", send_photos, "True or False")
        quality, analyzer = QualityFilter.parse(quality_filter), self.analyzer
        plan = plan_photos(path)
        workers = PhotoWorkers(
            analyzer,
            # Other processes are as many as there are cores: one core each.
            self._analyzer or FaceAnalyzer(threads=1),
            LookOptions(quality_filter=quality, thumbnails=self._thumbnails),
            executor=executor,
            send_photos=send_photos,
            most=in_flight,
        )
        registrar = Registrar(
            admission=self._admission, analyzer=analyzer, quality_filter=quality, threshold=user_match_threshold
        )
        with showing(progress, plan.photos) as tell:
            return index_photos(plan, workers, registrar, tell)

    def forget_photos(self, user_id: str | None = None) -> int:
        """Forget which photos `index_folder` refused, so that it looks at them again.

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
            return self._store.forget_photos(user_id)

    @property
    def _admission(self) -> Admission:
        return Admission(self._store, self._face_model, self._calibration)
