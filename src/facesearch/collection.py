"""A collection of people: their faces, their vectors, and the search among them.

Nothing of a photo is kept but its faces' vectors and where they were, and small pictures of them only if asked for. A user has one vector, made of its faces; it changes
with them and with nothing else, so adding a face and removing it again leaves the user as it was.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Collection as AnyCollection
from concurrent.futures import Executor
from contextlib import ExitStack
from html import escape
from os import PathLike
from typing import Any, Final, Self

import attrs
import numpy as np
import numpy.typing as npt

from facesearch._fields import check_float, check_int, check_text
from facesearch.admission import MAX_FACES_PER_USER, Admission, content_id
from facesearch.analysis import AnalyzedFace, FaceAnalyzer, default_analyzer
from facesearch.attributes import Attribute, parse_attributes
from facesearch.audit_report import AuditReport
from facesearch.auditing import OWN_SIMILARITY, SAME_PERSON_SIMILARITY, audit
from facesearch.bars import QualityFilter
from facesearch.bulk import index_photos
from facesearch.catalog import Entry, add_entry, find_entry, missing, sessions_of
from facesearch.embedding import DLIB_RESNET_MIRRORED
from facesearch.errors import (
    CalibrationError,
    FaceModelMismatchError,
    FaceNotFoundError,
    InvalidEmbeddingError,
    InvalidParameterError,
    QuotaExceededError,
    TokenReusedError,
    UserAlreadyExistsError,
    UserNotFoundError,
)
from facesearch.evidence import Evidence
from facesearch.explanation import Use
from facesearch.export import Export, read_export, write_export
from facesearch.folder_report import FolderProgress, FolderReport
from facesearch.image import ImageSource, read_image
from facesearch.looks import KeptFace, look_to_enroll
from facesearch.membership import (
    part_for_association,
    part_for_deletion,
    part_for_disassociation,
)
from facesearch.photo_plan import plan_photos
from facesearch.photo_work import LookOptions, PhotoWorkers
from facesearch.preview import SHOWN_FACES, SHOWN_USERS, Pictures, UserPictures
from facesearch.preview import thumbnail as make_thumbnail
from facesearch.progress_shown import showing
from facesearch.ranking import check_embedding
from facesearch.records import (
    COLLECTION_ID_PATTERN,
    EXTERNAL_IMAGE_ID_PATTERN,
    USER_ID_PATTERN,
    UUID_PATTERN,
    AssociatedFace,
    AssociateFacesResponse,
    DeleteFacesResponse,
    DisassociatedFace,
    DisassociateFacesResponse,
    EnrollmentReport,
    Face,
    FaceModel,
    FaceRecord,
    IndexFacesResponse,
    UnindexedFace,
    UnindexedFaceReason,
    User,
    UserStatus,
)
from facesearch.results import MatchedUser, UserMatch
from facesearch.scoring import Calibration, shipped_calibrations
from facesearch.scoring import calibration as calibration_of
from facesearch.selection import select
from facesearch.sessions import Sessions
from facesearch.settling import Registrar
from facesearch.sqlite_store import SqliteStore
from facesearch.stages import FloatArray
from facesearch.storage import MemoryStore, Store, StoredFace

__all__ = [
    "MAX_FACES",
    "MAX_FACES_PER_REQUEST",
    "MAX_FACES_PER_USER",
    "MAX_USERS",
    "TOKEN_SECONDS",
    "Collection",
    "check_search_options",
]

# Amazon Rekognition's limits: shapes UserFaceIdList, MaxUserResults and FaceIdList of its model, and "100 faces per user".
MAX_FACES_PER_REQUEST = 100
MAX_FACES_PER_DELETION = 4096
MAX_USERS = 500
MAX_FACES = 4096  # shape MaxFaces
TOKEN_SECONDS: Final = 24 * 3600
"""How long an answer is remembered; see `Collection.once`."""

_ROWS_SHOWN = 20
# What SQLite's numbers hold, with room for one more.
_DIGITS: Final = 18
_MOST: Final = 10**_DIGITS


class Collection:
    """People to search among, in memory.

    Parameters
    ----------
    collection_id
        1-255 characters of ``[a-zA-Z0-9_.-]``.
    face_model
        What makes the vectors; other models' are refused. By default the analyzer's, or else dlib's ResNet.
    analyzer
        What finds and embeds faces. By default one for the process is loaded when a picture is first given; a collection
        that only sees embeddings never loads any.
    calibration
        What percentages mean for the face model; by default the analyzer's, or what comes with the library.
    thumbnails
        Whether to keep a small picture of each face that comes from a photo, 112 x 112 pixels and some 3 kB, so that a
        notebook and `facesearch.plotting` can show who was found. It goes with its face. Without it no picture is kept.

    Raises
    ------
    CalibrationError
        If none is given and none comes with the library for this model, or if it is another model's.

    Notes
    -----
    May be used from several threads. Every method either does all it was asked or, where it raises, nothing.

    Examples
    --------
    >>> import numpy as np
    >>> staff = Collection("staff")
    >>> face_id = staff.add_embedding("ada", np.full(128, 0.1))
    >>> [match.user.user_id for match in staff.search_embedding(np.full(128, 0.11))]
    ['ada']
    """

    def __init__(
        self,
        collection_id: str,
        *,
        face_model: FaceModel | None = None,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
        thumbnails: bool = False,
    ) -> None:
        self._id = check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
        if face_model is None:
            face_model = analyzer.face_model if analyzer else DLIB_RESNET_MIRRORED
        self._face_model = face_model
        self._analyzer = analyzer
        if analyzer:
            self._check_model(analyzer.face_model)
        self._calibration = calibration or (analyzer and analyzer.calibration) or calibration_of(face_model)
        if self._calibration.face_model.digest != face_model.digest:
            theirs = self._calibration.face_model
            raise CalibrationError(
                f"calibration: expected that of {face_model.name} ({face_model.digest[:12]}), "
                f"got that of {theirs.name} ({theirs.digest[:12]})"
            )
        if not isinstance(thumbnails, bool):
            raise InvalidParameterError.of("thumbnails", thumbnails, "True or False")
        self._thumbnails = thumbnails
        self._store: Store = MemoryStore(face_model.dimension, self._calibration.user_offset)
        self._clock = time.time

    # ---------------------------------------------------------------- in a file

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        collection_id: str,
        *,
        create: bool = True,
        face_model: FaceModel | None = None,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
        thumbnails: bool | None = None,
        timeout: float = 10.0,
    ) -> "Collection":
        """Open a collection that lasts, in a file that may have several.

        Parameters
        ----------
        path
            A file on a local disk; SQLite keeps two more beside it while it is open, ending in ``-wal`` and ``-shm``.
        collection_id
            1-255 characters of ``[a-zA-Z0-9_.-]``.
        create
            Make the file, and the collection in it, where there is none.
        face_model, analyzer
            As for a collection in memory. One that is there already has its own model, and refuses others.
        calibration
            By default the analyzer's, that with which the collection was made, or what comes with the library.
        thumbnails
            As for a collection in memory; by default what the collection was made with, or no.
        timeout
            Seconds, 0-3600, to wait for others that write.

        Returns
        -------
        Collection
            Close it when done, or use it in a ``with`` statement.

        Raises
        ------
        CollectionNotFoundError
            If it is not there and shall not be made.
        FaceModelMismatchError
            If it has another face model.
        StorageError
            And those under it: if the file is none of ours, truncated, damaged or of a newer format, can't be written, or
            others write for too long. The file is left as it was.
        CalibrationError, InvalidParameterError
            If an argument is wrong.

        Notes
        -----
        What a method has returned is on disk, even if the process is killed a moment later; what it has not is there whole or
        not at all. Any number of threads and processes may read and write one file: each search sees all that was committed
        before. Users' vectors are read into memory by the first search. docs/collections.md has more.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Collection.open(f"{folder}/people.db", "staff") as staff:
        ...         _ = staff.add_embedding("ada", np.full(128, 0.1))
        ...     with Collection.open(f"{folder}/people.db", "staff") as staff:
        ...         [match.user.user_id for match in staff.search_embedding(np.full(128, 0.11))]
        ['ada']
        """
        check_text("collection_id", collection_id, COLLECTION_ID_PATTERN, 255)
        sessions = sessions_of(path, timeout)
        with ExitStack() as undo:
            undo.callback(sessions.close)
            entry = find_entry(sessions, collection_id)
            if entry is None:
                if not create:
                    raise missing(sessions.path, collection_id)
                draft = cls(
                    collection_id,
                    face_model=face_model,
                    analyzer=analyzer,
                    calibration=calibration,
                    thumbnails=thumbnails or False,
                )
                entry = draft._add_to(sessions)
            if thumbnails is not None and thumbnails != entry.thumbnails:
                raise InvalidParameterError.of("thumbnails", thumbnails, f"{entry.thumbnails}, what it was made with")
            if calibration is None and entry.calibration and (analyzer is None or analyzer.calibration is None):
                origin = f"{sessions.path}: {collection_id}"
                calibration = Calibration.from_json(entry.calibration, face_model=entry.face_model, origin=origin)
            opened = cls(
                collection_id,
                face_model=entry.face_model,
                analyzer=analyzer,
                calibration=calibration,
                thumbnails=entry.thumbnails,
            )
            if face_model is not None:
                opened._check_model(face_model)
            opened._store = SqliteStore(sessions, entry, opened.calibration.user_offset)
            undo.pop_all()
        return opened

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        collection_id: str,
        *,
        face_model: FaceModel | None = None,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
        thumbnails: bool = False,
        tags: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> "Collection":
        """Make a collection that lasts, with its tags, and open it; the file is made if need be.

        Parameters are those of `open`, but for *tags*: see `facesearch.catalog.change_tags`.

        Raises
        ------
        CollectionExistsError
            If the file has a collection of that id already. Of several processes that make one, all but one get this.
        QuotaExceededError
            If there are more than 200 tags.
        StorageError, CalibrationError, FaceModelMismatchError, InvalidParameterError
            As from `open`.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Collection.create(f"{folder}/people.db", "staff", tags={"site": "Oslo"}) as staff:
        ...         len(staff)
        0
        """
        draft = cls(
            collection_id, face_model=face_model, analyzer=analyzer, calibration=calibration, thumbnails=thumbnails
        )
        sessions = sessions_of(path, timeout)
        try:
            draft._add_to(sessions, tags=tags, must_be_new=True)
        finally:
            sessions.close()
        return cls.open(path, collection_id, create=False, analyzer=analyzer, calibration=calibration, timeout=timeout)

    def _add_to(self, sessions: Sessions, *, tags: Mapping[str, str] | None = None, must_be_new: bool = False) -> Entry:
        return add_entry(
            sessions,
            self._id,
            face_model=self._face_model,
            thumbnails=self._thumbnails,
            calibration=_own(self._calibration),
            tags=tags,
            must_be_new=must_be_new,
        )

    def close(self) -> None:
        """Close the file of a collection that lasts; in memory nothing happens.

        Whatever is asked of it from then on raises `StorageError`. A collection that is not closed loses nothing.
        """
        self._store.close()

    def save(self, path: str | PathLike[str]) -> None:
        """Write all there is in it to one portable file, an .npz without pickle; see `load`.

        Parameters
        ----------
        path
            A file that is there is replaced, when the new one is complete.

        Raises
        ------
        StorageError
            And those under it, if it can't be written; nothing is left half written.
        """
        with self._store.reading():
            export = Export(
                collection_id=self._id,
                face_model=self._face_model,
                thumbnails=self._thumbnails,
                calibration=_own(self._calibration),
                user_ids=[user_id for user_id, _ in self._store.users()],
                faces=list(self._store.stored_faces()),
            )
        write_export(path, export)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        analyzer: FaceAnalyzer | None = None,
        calibration: Calibration | None = None,
    ) -> "Collection":
        """Read what `save` wrote into a collection in memory; `restore` reads it into one that lasts.

        Parameters
        ----------
        path
            The file. From somebody else it may be refused, but does no harm.
        analyzer
            As for a new collection.
        calibration
            By default the analyzer's, that with which the collection was saved, or what comes with the library.

        Raises
        ------
        CollectionNotFoundError
            If there is no such file.
        StorageFormatError
            If it is not what `save` writes, or damaged.
        FaceModelMismatchError
            If the analyzer is of another face model.
        StorageError, CalibrationError
            If something else is in the way.

        Examples
        --------
        >>> import numpy as np, tempfile
        >>> staff = Collection("staff")
        >>> _ = staff.add_embedding("ada", np.full(128, 0.1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     staff.save(f"{folder}/staff.npz")
        ...     Collection.load(f"{folder}/staff.npz").faces() == staff.faces()
        True
        """
        export = read_export(path)
        if calibration is None and export.calibration and (analyzer is None or analyzer.calibration is None):
            calibration = Calibration.from_json(export.calibration, face_model=export.face_model, origin=str(path))
        loaded = cls(
            export.collection_id,
            face_model=export.face_model,
            analyzer=analyzer,
            calibration=calibration,
            thumbnails=export.thumbnails,
        )
        loaded._restore(export)
        return loaded

    def restore(self, path: str | PathLike[str]) -> None:
        """Fill this collection, which must be empty, with what `save` wrote, all or nothing.

        Parameters
        ----------
        path
            The file. Its pictures of faces are left out unless this collection keeps them.

        Raises
        ------
        FaceModelMismatchError
            If it has vectors of another face model.
        InvalidParameterError
            If this collection is not empty.
        CollectionNotFoundError, StorageFormatError, StorageError
            As from `load`.
        """
        self._restore(read_export(path))

    def _restore(self, export: Export) -> None:
        self._check_model(export.face_model)
        with self._store.writing():
            count = self._store.count()
            if count.users or count.faces:
                raise InvalidParameterError(
                    f"path: only an empty collection can be filled from a file, "
                    f"{self._id!r} has {count.users} users and {count.faces} faces"
                )
            faces = Counter(stored.face.user_id for stored in export.faces if stored.face.user_id)
            for user_id, number in faces.items():
                self._check_quota(user_id, number)
            self._store.create_users(export.user_ids)
            self._store.put_faces(
                stored if self._thumbnails else attrs.evolve(stored, thumbnail=None) for stored in export.faces
            )
            self._store.refresh(faces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------- what is in it

    @property
    def collection_id(self) -> str:
        """The collection's id."""
        return self._id

    @property
    def face_model(self) -> FaceModel:
        """What makes the vectors in it; pinned for life."""
        return self._face_model

    @property
    def calibration(self) -> Calibration:
        """What percentages mean in it."""
        return self._calibration

    @property
    def analyzer(self) -> FaceAnalyzer:
        """What finds and embeds faces for it.

        Raises
        ------
        FaceModelMismatchError
            If none was given and the process's default makes vectors of another model.
        """
        analyzer = self._analyzer or default_analyzer()
        self._check_model(analyzer.face_model)
        return analyzer

    def users(self) -> tuple[User, ...]:
        """Give all users, by id."""
        with self._store.reading():
            return tuple(_user(*each) for each in self._store.users())

    def faces(self, user_id: str | None = None) -> tuple[Face, ...]:
        """Give all faces, or those of one user, by face id.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        """
        with self._store.reading():
            if user_id is not None:
                self._check_user(user_id)
            return tuple(self._store.faces(user_id))

    def page_of_users(self, *, after: str | None = None, limit: int = 500) -> tuple[tuple[User, ...], str | None]:
        """Give some users in the order in which they were created, for collections too large to be read at once.

        Parameters
        ----------
        after
            Where the page before ended; ``None`` for the first page.
        limit
            At most so many, >= 1.

        Returns
        -------
        tuple of User, and str or None
            The users, and where the page ended, to be given as *after*: digits that mean nothing to others. ``None`` if there are no
            more. Users that come or go meanwhile make no other one come twice or be missed.

        Raises
        ------
        InvalidParameterError
            If *after* is not what a page gave, or *limit* is wrong.

        Examples
        --------
        >>> staff = Collection("staff")
        >>> _ = [staff.create_user(user_id) for user_id in ("bob", "ada", "eve")]
        >>> users, end = staff.page_of_users(limit=2)
        >>> [user.user_id for user in users]
        ['bob', 'ada']
        >>> users, end = staff.page_of_users(after=end)
        >>> [user.user_id for user in users], end
        (['eve'], None)
        """
        check_int("limit", limit, 1, _MOST)
        number = 0 if after is None else int(check_text("after", after, "[0-9]+", _DIGITS))
        with self._store.reading():
            # One more than the page, to see whether there is another.
            rows = self._store.page_of_users(number, limit + 1)
        users = tuple(_user(user_id, faces) for _, user_id, faces in rows[:limit])
        return users, str(rows[limit - 1][0]) if len(rows) > limit else None

    def page_of_faces(
        self,
        *,
        after: str | None = None,
        limit: int = 1000,
        user_id: str | None = None,
        face_ids: Sequence[str] | None = None,
    ) -> tuple[Face, ...]:
        """Give some faces by face id, for collections too large to be read at once.

        Parameters
        ----------
        after
            Only faces whose ids are greater: the last of the page before. ``None`` for the first page.
        limit
            At most so many, >= 1. There are no more where a page has fewer.
        user_id
            Only this user's faces.
        face_ids
            Only faces among these, 1-4096 ids; those that are not there are passed over.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        InvalidParameterError
            If another argument is wrong.
        """
        check_int("limit", limit, 1, _MOST)
        start = "" if after is None else _check_face_id("after", after)
        wanted = None if face_ids is None else _check_face_ids(face_ids, MAX_FACES_PER_DELETION)
        with self._store.reading():
            if user_id is not None:
                self._check_user(user_id)
            if wanted is None:
                return tuple(self._store.page_of_faces(start, limit, user_id))
            named = self._store.faces_named(face_id for face_id in wanted if face_id > start)
        ordered = (named[face_id] for face_id in sorted(named))
        return tuple(face for face in ordered if user_id is None or face.user_id == user_id)[:limit]

    def face_embedding(self, face_id: str) -> FloatArray:
        """Give a face's vector: (dimension,) float32, read-only.

        Raises
        ------
        FaceNotFoundError
            If there is no such face.
        """
        with self._store.reading():
            if self._store.face(_check_face_id("face_id", face_id)) is None:
                raise FaceNotFoundError(f"face_id: no face {face_id!r} in collection {self._id!r}")
            return self._store.embedding(face_id)

    def thumbnail(self, face_id: str) -> bytes | None:
        """Give the small picture of a face, a JPEG file of 112 x 112 pixels, upright.

        ``None`` where none is kept: the collection was made without ``thumbnails=True``, or the face came as a vector.

        Raises
        ------
        FaceNotFoundError
            If there is no such face.

        Examples
        --------
        >>> from skimage.data import astronaut
        >>> staff = Collection("staff", thumbnails=True)
        >>> face = staff.enroll("eileen", [astronaut()]).photos[0].face
        >>> staff.thumbnail(face.face_id)[:3].hex()
        'ffd8ff'
        """
        with self._store.reading():
            if self._store.face(_check_face_id("face_id", face_id)) is None:
                raise FaceNotFoundError(f"face_id: no face {face_id!r} in collection {self._id!r}")
            return self._store.thumbnail(face_id)

    def pictures(self, probe: AnalyzedFace, matches: Sequence[UserMatch]) -> Pictures | None:
        """Give what there is to show of a search: the searched face, and thumbnails of the best matches.

        Parameters
        ----------
        probe
            The searched face.
        matches
            Who was found, best first: the first 5 are shown, each with the up to 3 faces nearest to the probe.

        Returns
        -------
        Pictures or None
            ``None`` where the collection keeps no thumbnails. Users that were deleted meanwhile are left out.
        """
        if not self._thumbnails:
            return None
        with self._store.reading():
            users = tuple(
                UserPictures(user_id=user_id, thumbnails=self._nearest_thumbnails(probe.embedding, user_id))
                for match in matches[:SHOWN_USERS]
                if self._store.has_user(user_id := match.user.user_id)
            )
        return Pictures(searched=make_thumbnail(probe.chip), users=users)

    def user_embedding(self, user_id: str) -> FloatArray | None:
        """Give a user's vector, made of its faces: (dimension,) float32, or ``None`` for a user without faces.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        """
        with self._store.reading():
            self._check_user(user_id)
            return self._store.user_vector(user_id)

    def __len__(self) -> int:
        """How many users there are."""
        with self._store.reading():
            return self._store.count().users

    @property
    def face_count(self) -> int:
        """How many faces there are, users' and nobody's."""
        with self._store.reading():
            return self._store.count().faces

    def __contains__(self, user_id: object) -> bool:
        with self._store.reading():
            return isinstance(user_id, str) and self._store.has_user(user_id)

    def __repr__(self) -> str:
        return f"<Collection {self._id!r}: {self._summary()}>"

    def _repr_html_(self) -> str:
        with self._store.reading():
            users = self._store.users()
        rows = "".join(
            f"<tr><td>{escape(user_id)}</td><td>{faces}</td><td>{_user(user_id, faces).user_status.value}</td></tr>"
            for user_id, faces in users[:_ROWS_SHOWN]
        )
        more = f"<p>and {len(users) - _ROWS_SHOWN} more</p>" if len(users) > _ROWS_SHOWN else ""
        return (
            f"<div><p><b>{escape(self._id)}</b>: {escape(self._summary())}</p>"
            f"<table><thead><tr><th>user</th><th>faces</th><th>status</th></tr></thead><tbody>{rows}</tbody></table>"
            f"{more}</div>"
        )

    def _summary(self) -> str:
        with self._store.reading():
            count, loose = self._store.count(), self._store.count_loose()
        nobodys = f" ({loose} nobody's)" if loose else ""
        model = self._face_model
        return f"{count.users} users, {count.faces} faces{nobodys}, face model {model.name} {model.version}"

    # ---------------------------------------------------------------- users

    def create_user(self, user_id: str) -> User:
        """Add a user without faces.

        Raises
        ------
        InvalidParameterError
            If the id is not 1-128 characters of ``[a-zA-Z0-9_.-:]``.
        UserAlreadyExistsError
            If there is such a user.
        """
        check_text("user_id", user_id, USER_ID_PATTERN, 128)
        with self._store.writing():
            if self._store.has_user(user_id):
                raise UserAlreadyExistsError(f"user_id: collection {self._id!r} has a user {user_id!r} already")
            self._store.create_users([user_id])
        return _user(user_id, 0)

    def delete_user(self, user_id: str, *, faces: bool = False) -> None:
        """Remove a user.

        Parameters
        ----------
        user_id
            Whom.
        faces
            Remove the user's faces too, so that nothing of the person is left. As in AWS they stay otherwise, as
            nobody's.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        """
        with self._store.writing():
            face_ids = self._faces_of(user_id)
            self._store.delete_user(user_id)
            if faces:
                self._store.remove_faces(face_ids)

    # ---------------------------------------------------------------- faces from pictures

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
        bars = analyzer.bars.of(quality)
        located = analyzer.assess(analyzer.locate(picture, attributes=asked), bars)
        selection = select([face.measurements for face in located], bars, max_faces=max_faces)
        accepted = analyzer.embed([located[position] for position in selection.accepted])
        kept = [KeptFace.of(face, thumbnails=self._thumbnails) for face in accepted]
        with self._store.writing():
            records = tuple(
                FaceRecord(face=self._admission.keep(picture.digest, face, external_image_id), face_detail=face.detail)
                for face in kept
            )
        return IndexFacesResponse(
            face_records=records,
            unindexed_faces=tuple(
                UnindexedFace(
                    face_detail=located[position].detail,
                    reasons=tuple(UnindexedFaceReason(reason.value) for reason in reasons),
                )
                for position, reasons in selection.refused
            ),
            face_model_version=self._face_model.version,
            evidence=Evidence.of(
                located,
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
        _check_sequence("images", images, "a sequence of one or more pictures")
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
            A folder with a sub-folder for each person, named after the user: JPEG and PNG files, at any depth below it. Or a
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
            If there is no such folder, a CSV file is none (the message says in which line), or another argument is wrong.
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

    # ---------------------------------------------------------------- faces from vectors

    def add_embedding(self, user_id: str, vector: npt.ArrayLike, *, face_model: FaceModel | None = None) -> str:
        """Add one face to a user without any picture; the user is created if need be.

        Parameters
        ----------
        user_id
            1-128 characters of ``[a-zA-Z0-9_.-:]``.
        vector
            (dimension,) finite real numbers, not all zero.
        face_model
            What made it, if you keep track: another model than the collection's is refused.

        Returns
        -------
        str
            The id of the new face.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError, QuotaExceededError
            Nothing was changed.
        """
        row = check_embedding(vector, self._face_model.dimension)
        return self.add_embeddings([user_id], row[np.newaxis], face_model=face_model)[0]

    def add_embeddings(
        self, user_ids: Sequence[str], matrix: npt.ArrayLike, *, face_model: FaceModel | None = None
    ) -> tuple[str, ...]:
        """Add one face to each of several users, all or none; users are created if need be.

        Parameters
        ----------
        user_ids
            N ids; one may come several times.
        matrix
            (N, dimension) finite real numbers, no row all zero.
        face_model
            What made them, if you keep track.

        Returns
        -------
        tuple of str
            The ids of the N new faces.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError, QuotaExceededError
            Nothing was changed.
        """
        _check_sequence("user_ids", user_ids, "a sequence of one or more user ids")
        for user_id in user_ids:
            check_text("user_ids", user_id, USER_ID_PATTERN, 128)
        if face_model is not None:
            self._check_model(face_model)
        try:
            rows = np.asarray(matrix)
        except ValueError:  # rows of different lengths
            rows = np.empty(0)
        if rows.shape[:1] != (len(user_ids),):
            raise InvalidEmbeddingError(
                f"matrix: expected shape ({len(user_ids)}, {self._face_model.dimension}), one row a user id, "
                f"got shape {rows.shape}"
            )
        vectors = [check_embedding(row, self._face_model.dimension, f"matrix[{i}]") for i, row in enumerate(rows)]
        with self._store.writing():
            for user_id, more in Counter(user_ids).items():
                self._check_quota(user_id, len(self._store.faces_of(user_id)) + more)
            face_ids = self._free_ids(user_ids, vectors)
            self._store.create_users(user_ids)
            version = self._face_model.version
            self._store.put_faces(
                StoredFace(Face(face_id=face_id, index_faces_model_version=version, user_id=user_id), vector)
                for face_id, user_id, vector in zip(face_ids, user_ids, vectors, strict=True)
            )
            self._store.refresh(dict.fromkeys(user_ids))
        return face_ids

    # ---------------------------------------------------------------- whose a face is

    def associate_faces(
        self, user_id: str, face_ids: Sequence[str], *, user_match_threshold: float = 75
    ) -> AssociateFacesResponse:
        """Make indexed faces a user's.

        Parameters
        ----------
        user_id
            Whose.
        face_ids
            1-100 ids; those that are the user's already are passed over in silence.
        user_match_threshold
            Where the user has faces already: the similarity that a face must have to the user, percent.

        Returns
        -------
        AssociateFacesResponse
            Faces that are unknown, another user's or not similar enough are listed with the reason, not raised.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        QuotaExceededError
            If the user would have more than 100 faces; nothing was changed.
        InvalidParameterError
            If another argument is wrong.
        """
        check_float("user_match_threshold", user_match_threshold, 0, 100)
        wanted = _check_face_ids(face_ids, MAX_FACES_PER_REQUEST)
        with self._store.writing():
            had = self._faces_of(user_id)
            taken, refused = part_for_association(
                self._store, user_id, wanted, threshold=user_match_threshold, calibration=self._calibration
            )
            self._check_quota(user_id, len(had) + len(taken))
            self._store.assign(taken, user_id)
            self._store.refresh([user_id])
            return AssociateFacesResponse(
                associated_faces=tuple(AssociatedFace(face_id=face_id) for face_id in taken),
                unsuccessful_face_associations=tuple(refused),
                user_status=self._user(user_id).user_status,
            )

    def disassociate_faces(self, user_id: str, face_ids: Sequence[str]) -> DisassociateFacesResponse:
        """Take faces from a user; they stay in the collection as nobody's.

        Parameters
        ----------
        user_id
            Whose.
        face_ids
            1-100 ids; those that are nobody's are passed over in silence.

        Returns
        -------
        DisassociateFacesResponse
            Faces that are unknown or another user's are listed with the reason, not raised.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        InvalidParameterError
            If another argument is wrong.
        """
        wanted = _check_face_ids(face_ids, MAX_FACES_PER_REQUEST)
        with self._store.writing():
            self._check_user(user_id)
            gone, refused = part_for_disassociation(self._store, user_id, wanted)
            self._store.assign(gone, None)
            self._store.refresh([user_id])
            return DisassociateFacesResponse(
                disassociated_faces=tuple(DisassociatedFace(face_id=face_id) for face_id in gone),
                unsuccessful_face_disassociations=tuple(refused),
                user_status=self._user(user_id).user_status,
            )

    def delete_faces(self, face_ids: Sequence[str]) -> DeleteFacesResponse:
        """Remove faces.

        Parameters
        ----------
        face_ids
            1-4096 ids.

        Returns
        -------
        DeleteFacesResponse
            Faces that are unknown or a user's are listed with the reason, not raised: disassociate them first, or
            remove the user with ``delete_user(..., faces=True)``.

        Raises
        ------
        InvalidParameterError
            If the list is no such list.
        """
        wanted = _check_face_ids(face_ids, MAX_FACES_PER_DELETION)
        with self._store.writing():
            gone, refused = part_for_deletion(self._store, wanted)
            self._store.remove_faces(gone)
        return DeleteFacesResponse(deleted_faces=tuple(gone), unsuccessful_face_deletions=tuple(refused))

    # ---------------------------------------------------------------- requests that happen once

    def once(self, token: str, request: str, answer: Callable[[], str]) -> str:
        """Do something, or if it was done before, give what it gave then.

        Parameters
        ----------
        token
            1-255 characters that whoever asks makes up anew for each request, and gives again to repeat one.
        request
            What is asked for, in full.
        answer
            Does it, with any methods that change this collection, and gives a text. The text must name nobody: it outlives the
            deletion of whom it is about. While it runs others wait, so photos should be looked at before.

        Returns
        -------
        str
            The text. It is remembered for 24 hours, with salted hashes of token and request.

        Raises
        ------
        TokenReusedError
            If the token was given with another request.
        InvalidParameterError
            If an argument is wrong.
        Exception
            What *answer* raises. Then nothing is remembered, and of a collection in a file nothing was changed; in memory,
            what *answer* changed before stays.

        Examples
        --------
        >>> staff = Collection("staff")
        >>> def create() -> str:
        ...     staff.create_user("ada")
        ...     return "created"
        >>> [staff.once("7c1f", "create ada", create) for _ in range(2)]
        ['created', 'created']
        >>> len(staff)
        1
        """
        check_text("token", token, "(?s:.+)", 255)
        if not isinstance(request, str):
            raise InvalidParameterError.of("request", request, "a text")
        with self._store.writing():
            now = self._clock()
            self._store.forget_answers(now - TOKEN_SECONDS)
            kept = self._store.answer_to(token, request)
            if kept is None:
                text = answer()
                if not isinstance(text, str):
                    raise InvalidParameterError.of("answer", text, "a function that gives a text")
                self._store.remember_answer(token, request, text, now)
                return text
        text, same = kept
        if not same:
            raise TokenReusedError(f"token: {token!r} was given before with another request")
        return text

    # ---------------------------------------------------------------- what looks wrong in it

    def audit(
        self,
        *,
        threshold: float = SAME_PERSON_SIMILARITY,
        own_threshold: float = OWN_SIMILARITY,
        limit: int = 1000,
    ) -> AuditReport:
        """Look for mistakes: one person under two ids, faces that are not their user's, users that don't hang together.

        Parameters
        ----------
        threshold
            Percent, 0-100: users whose vectors are at least as similar as that are taken for one person. Of strangers it is
            one pair in a hundred thousand by default, which in 10,000 users are 500 pairs: look at the most similar first.
        own_threshold
            Percent, 0-100: a face below that is far from its user's other faces, and a user whose median face is below it is
            loose.
        limit
            Tell at most so many of each kind, the worst, >= 1.

        Returns
        -------
        AuditReport
            Print it for a table. Nothing is changed; what to do about it is yours to decide.

        Raises
        ------
        InvalidParameterError
            If an argument is wrong.

        Notes
        -----
        `facesearch.auditing.audit` has the rules. 20,000 users take seconds; the collection can be used meanwhile.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob", "countess"], np.eye(3, 128)[[0, 1, 0]])
        >>> print(staff.audit())  # doctest: +ELLIPSIS
        3 users, 3 faces: 1 pairs of users that look like one person, ...
        <BLANKLINE>
        one person?
        100.00  ada  countess
        """
        with self._store.reading():
            user_ids, vectors = self._store.user_vectors()
            faces = [
                (each.face.face_id, user_id, each.embedding)
                for each in self._store.stored_faces()
                if (user_id := each.face.user_id)
            ]
        return audit(
            user_ids,
            vectors,
            [face_id for face_id, _, _ in faces],
            [user_id for _, user_id, _ in faces],
            self._matrix(vector for _, _, vector in faces),
            calibration=self._calibration,
            threshold=threshold,
            own_threshold=own_threshold,
            limit=limit,
        )

    # ---------------------------------------------------------------- search

    def search_embedding(
        self,
        probe: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[UserMatch, ...]:
        """Find the users nearest to a vector.

        Parameters
        ----------
        probe
            (dimension,) finite real numbers, not all zero.
        user_match_threshold
            Only users of at least this similarity, percent; 0 is everybody.
        max_users
            At most so many, 1-500; by default 500.
        face_model
            What made the probe, if you keep track: another model than the collection's is refused.

        Returns
        -------
        tuple of UserMatch
            Nearest first; equally near ones by user id. Empty when nobody is similar enough.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError
            If an argument is wrong.
        """
        return self.rank(probe, user_match_threshold=user_match_threshold, max_users=max_users, face_model=face_model)[
            0
        ]

    def search_embeddings(
        self,
        probes: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[tuple[UserMatch, ...], ...]:
        """Find the users nearest to each of several vectors, in less time than one after the other.

        Parameters and errors are those of `search_embedding`, but for *probes*: (P, dimension), P >= 0.

        Returns
        -------
        tuple of tuple of UserMatch
            P of them, each just what `search_embedding` gives.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob"], np.eye(2, 128))
        >>> [matches[0].user.user_id for matches in staff.search_embeddings(np.eye(2, 128)[::-1])]
        ['bob', 'ada']
        """
        ranked = self.rank_many(
            probes, user_match_threshold=user_match_threshold, max_users=max_users, face_model=face_model
        )
        return tuple(matches for matches, _ in ranked)

    def rank(
        self,
        probe: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[tuple[UserMatch, ...], UserMatch | None]:
        """Find the users nearest to a vector, and who comes next.

        Parameters and errors are those of `search_embedding`.

        Returns
        -------
        tuple of UserMatch, and UserMatch or None
            What `search_embedding` gives, and the nearest user that is not among them: below the threshold, or beyond
            *max_users*. ``None`` where there is no other user.
        """
        check_search_options(user_match_threshold, max_users)
        if face_model is not None:
            self._check_model(face_model)
        vector = check_embedding(probe, self._face_model.dimension, "probe")
        return self._rank(vector[np.newaxis], user_match_threshold, max_users)[0]

    def rank_many(
        self,
        probes: npt.ArrayLike,
        *,
        user_match_threshold: float = 80,
        max_users: int | None = None,
        face_model: FaceModel | None = None,
    ) -> tuple[tuple[tuple[UserMatch, ...], UserMatch | None], ...]:
        """Find the users nearest to each of several vectors, and who comes next to each.

        Parameters and errors are those of `search_embeddings`.

        Returns
        -------
        tuple of (tuple of UserMatch, and UserMatch or None)
            P of them, each just what `rank` gives.
        """
        check_search_options(user_match_threshold, max_users)
        return self._rank(self._probes(probes, face_model), user_match_threshold, max_users)

    def rank_like_user(
        self, user_id: str, *, user_match_threshold: float = 80, max_users: int | None = None
    ) -> tuple[UserMatch, ...]:
        """Find the users nearest to a user, who is not among them.

        Parameters
        ----------
        user_id
            Whom they shall be like.
        user_match_threshold, max_users
            See `search_embedding`.

        Returns
        -------
        tuple of UserMatch
            Nearest first; equally near ones by user id. Empty for a user without faces. Similarity is that of `audit`.

        Raises
        ------
        UserNotFoundError
            If there is no such user.
        InvalidParameterError
            If another argument is wrong.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob", "countess"], np.eye(3, 128)[[0, 1, 0]])
        >>> [match.user.user_id for match in staff.rank_like_user("ada")]
        ['countess']
        """
        check_search_options(user_match_threshold, max_users)
        with self._store.reading():
            self._check_user(user_id)
            anchor = self._store.anchor(user_id)
        if anchor is None:
            return ()
        most = max_users or MAX_USERS
        ((found, _),) = self._store.nearest(
            anchor.vector[np.newaxis], max_distance=self._reach(user_match_threshold), limit=most + 1
        )
        # The others' offsets are in these distances; the user's own only makes all of them greater.
        matches = (
            self._match(math.sqrt(distance**2 + anchor.offset), other) for distance, other in found if other != user_id
        )
        return tuple(match for match in matches if match.similarity >= user_match_threshold)[:most]

    def rank_faces(
        self,
        probes: npt.ArrayLike,
        *,
        face_match_threshold: float = 80,
        max_faces: int | None = None,
        face_model: FaceModel | None = None,
        exclude: AnyCollection[str] = (),
    ) -> tuple[tuple[tuple[float, Face], ...], ...]:
        """Find the faces nearest to each of several vectors, whosever they are.

        Parameters
        ----------
        probes
            (P, dimension) finite real numbers, no row all zero; P >= 0.
        face_match_threshold
            Only faces of at least this similarity, percent; 0 is all faces.
        max_faces
            At most so many for each, 1-4096; by default 4096.
        face_model
            What made the probes, if you keep track: another model than the collection's is refused.
        exclude
            Ids of faces that are not wanted, such as the one that is searched with.

        Returns
        -------
        tuple of tuple of (float, Face)
            P of them: similarity in percent, and the face. Nearest first; equally near ones by face id. Faces that are deleted
            while it works are left out.

        Raises
        ------
        InvalidEmbeddingError, InvalidParameterError, FaceModelMismatchError
            If an argument is wrong.

        Notes
        -----
        The first search reads all faces' vectors into memory, where they stay.

        Examples
        --------
        >>> import numpy as np
        >>> staff = Collection("staff")
        >>> _ = staff.add_embeddings(["ada", "bob"], np.eye(2, 128))
        >>> ((best,), _) = staff.rank_faces(np.eye(2, 128))
        >>> best[0], best[1].user_id
        (100.0, 'ada')
        """
        check_float("face_match_threshold", face_match_threshold, 0, 100)
        if max_faces is not None:
            check_int("max_faces", max_faces, 1, MAX_FACES)
        if isinstance(exclude, str) or not isinstance(exclude, AnyCollection):
            raise InvalidParameterError.of("exclude", exclude, "a collection of face ids")
        unwanted = {_check_face_id("exclude", face_id) for face_id in exclude}
        most = max_faces or MAX_FACES
        ranked = self._store.nearest_faces(
            self._probes(probes, face_model), max_distance=self._reach(face_match_threshold), limit=most + len(unwanted)
        )
        similarity = self._calibration.similarity
        answers = [
            [
                (percent, face_id)
                for distance, face_id in found
                if face_id not in unwanted and (percent := similarity(distance)) >= face_match_threshold
            ][:most]
            for found, _ in ranked
        ]
        with self._store.reading():
            faces = self._store.faces_named({face_id for answer in answers for _, face_id in answer})
        return tuple(
            tuple((percent, faces[face_id]) for percent, face_id in answer if face_id in faces) for answer in answers
        )

    # ---------------------------------------------------------------- within a block of the store

    def _probes(self, probes: npt.ArrayLike, face_model: FaceModel | None) -> FloatArray:
        if face_model is not None:
            self._check_model(face_model)
        try:
            rows = np.asarray(probes)
        except ValueError:  # rows of different lengths
            rows = np.empty(())
        dimension = self._face_model.dimension
        if rows.ndim == 0 or (len(rows) and rows.ndim == 1):
            raise InvalidEmbeddingError(f"probes: expected shape (P, {dimension}), got shape {rows.shape}")
        return self._matrix(check_embedding(row, dimension, f"probes[{i}]") for i, row in enumerate(rows))

    def _reach(self, threshold: float) -> float:
        # Cuts are made on the similarity itself, which near 100 is the same float for many distances; this distance only
        # bounds the work, so it is that of a hair less.
        return self._calibration.distance_at(max(0, threshold - 1e-9))

    def _rank(
        self, probes: FloatArray, threshold: float, max_users: int | None
    ) -> tuple[tuple[tuple[UserMatch, ...], UserMatch | None], ...]:
        reach = self._reach(threshold)
        answers = []
        for found, beyond in self._store.nearest(probes, max_distance=reach, limit=max_users or MAX_USERS):
            ranked = [self._match(*each) for each in (found if beyond is None else [*found, beyond])]
            taken = sum(match.similarity >= threshold for match in ranked[: len(found)])
            answers.append((tuple(ranked[:taken]), ranked[taken] if taken < len(ranked) else None))
        return tuple(answers)

    def _match(self, distance: float, user_id: str) -> UserMatch:
        return UserMatch(
            similarity=self._calibration.similarity(distance),
            user=MatchedUser(user_id=user_id, user_status=UserStatus.ACTIVE),
        )

    def _check_model(self, face_model: FaceModel) -> None:
        if face_model != self._face_model:
            ours, theirs = self._face_model, face_model
            raise FaceModelMismatchError(
                f"face_model: collection {self._id!r} holds vectors of {ours.name} {ours.version} "
                f"({ours.digest[:12]}), got {theirs.name} {theirs.version} ({theirs.digest[:12]})"
            )

    @property
    def _admission(self) -> Admission:
        return Admission(self._store, self._face_model, self._calibration)

    def _check_quota(self, user_id: str, faces: int) -> None:
        if faces > MAX_FACES_PER_USER:
            raise QuotaExceededError(
                f"face_ids: user {user_id!r} would have {faces} faces, at most {MAX_FACES_PER_USER}"
            )

    def _user(self, user_id: str) -> User:
        return _user(user_id, len(self._store.faces_of(user_id)))

    def _check_user(self, user_id: str) -> None:
        check_text("user_id", user_id, USER_ID_PATTERN, 128)
        if not self._store.has_user(user_id):
            raise UserNotFoundError(f"user_id: no user {user_id!r} in collection {self._id!r}")

    def _faces_of(self, user_id: str) -> frozenset[str]:
        self._check_user(user_id)
        return self._store.faces_of(user_id)

    def _nearest_thumbnails(self, probe: FloatArray, user_id: str) -> tuple[bytes, ...]:
        def distance(face_id: str) -> tuple[float, str]:
            return float(np.linalg.norm(self._store.embedding(face_id) - probe)), face_id

        ordered = sorted(self._store.faces_of(user_id), key=distance)
        kept = (self._store.thumbnail(face_id) for face_id in ordered)
        return tuple([small for small in kept if small is not None][:SHOWN_FACES])

    def _free_ids(self, user_ids: Sequence[str], vectors: Sequence[FloatArray]) -> tuple[str, ...]:
        """Give ids for new faces that come as vectors.

        The same vector added again is one more face: the first free number of its content makes the id.
        """
        given: dict[str, int] = {}  # id -> row
        waiting, copies = dict(enumerate(zip(user_ids, vectors, strict=True))), 0
        while waiting:
            wanted = {
                row: content_id("vector", user_id, vector.tobytes().hex(), copies)
                for row, (user_id, vector) in waiting.items()
            }
            known = self._store.known(wanted.values())
            for row, face_id in wanted.items():
                if face_id not in known and face_id not in given:
                    given[face_id] = row
                    del waiting[row]
            copies += 1
        return tuple(sorted(given, key=given.__getitem__))

    def _matrix(self, vectors: Iterable[FloatArray]) -> FloatArray:
        return np.array([*vectors], np.float32).reshape(-1, self._face_model.dimension)


def check_search_options(user_match_threshold: float, max_users: int | None) -> None:
    """Refuse a threshold outside 0-100 and a number of users outside 1-500.

    Raises
    ------
    InvalidParameterError
        That names the argument.
    """
    check_float("user_match_threshold", user_match_threshold, 0, 100)
    if max_users is not None:
        check_int("max_users", max_users, 1, MAX_USERS)


def _user(user_id: str, faces: int) -> User:
    return User(user_id=user_id, user_status=UserStatus.ACTIVE if faces else UserStatus.CREATED)


def _own(calibration: Calibration) -> str | None:
    """Give a calibration as it is kept with a collection: not at all if it comes with the library."""
    return None if calibration in shipped_calibrations() else calibration.to_json()


def _check_sequence(argument: str, value: Any, expected: str) -> None:
    if isinstance(value, str | bytes | bytearray | memoryview) or not isinstance(value, Sequence) or not value:
        raise InvalidParameterError.of(argument, value, expected)


def _check_face_id(argument: str, face_id: Any) -> str:
    return check_text(argument, face_id, UUID_PATTERN, 36)


def _check_face_ids(face_ids: Any, most: int) -> tuple[str, ...]:
    """Give the ids without repetition, in their order."""
    expected = f"a sequence of 1 to {most} face ids"
    _check_sequence("face_ids", face_ids, expected)
    if len(face_ids) > most:
        raise InvalidParameterError.of("face_ids", face_ids, expected)
    return tuple(dict.fromkeys(_check_face_id("face_ids", face_id) for face_id in face_ids))
