"""Reading a collection: its users, faces, vectors and thumbnails."""

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Final

from facesearch.analysis.faces import AnalyzedFace
from facesearch.collection.base import MAX_FACES_PER_DELETION, CollectionBase, check_face_id, check_face_ids, user_of
from facesearch.common.arrays import FloatArray
from facesearch.common.tables import ROWS_SHOWN, Listing, Table
from facesearch.common.validation import check_each, check_int, check_is, check_text
from facesearch.domain.entities import Face, User
from facesearch.enrolment.enroller import image_id
from facesearch.errors import StorageFormatError
from facesearch.images.reading import ImageSource, read_image
from facesearch.images.stored_thumbnails import is_thumbnail
from facesearch.images.thumbnails import SHOWN_FACES, SHOWN_USERS, Pictures, UserPictures, thumbnail as make_thumbnail
from facesearch.responses.search_users import UserMatch

__all__ = ["CollectionContents"]

# Integers of SQLite, with room for one more.
_DIGITS: Final = 18
_MOST: Final = 10**_DIGITS


class CollectionContents(CollectionBase):
    """The operations that read a collection."""

    def users(self) -> tuple[User, ...]:
        """Return all users, sorted by id."""
        with self._store.reading():
            return Listing((user_of(*each) for each in self._store.users()), "user")

    def faces(self, user_id: str | None = None) -> tuple[Face, ...]:
        """Return all faces, or those of one user, sorted by face id.

        Raises
        ------
        UserNotFoundError
            If the user does not exist.
        """
        with self._store.reading():
            if user_id is not None:
                self._check_user(user_id)
            return Listing(self._store.faces(user_id), "face")

    def page_of_users(self, *, after: str | None = None, limit: int = 500) -> tuple[tuple[User, ...], str | None]:
        """Return one page of users, in the order of their creation, for collections too large to be read at once.

        Parameters
        ----------
        after
            The end of the page before; ``None`` for the first page.
        limit
            The greatest number of users, >= 1.

        Returns
        -------
        tuple of User, and str or None
            The users, and the end of the page, to be passed as *after*: opaque digits. ``None`` if this is the last page. If users are
            added or removed meanwhile, no other user is repeated or missed.

        Raises
        ------
        InvalidParameterError
            If *after* is not the end of a page, or *limit* is wrong.

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
        users = tuple(user_of(user_id, faces) for _, user_id, faces in rows[:limit])
        return users, str(rows[limit - 1][0]) if len(rows) > limit else None

    def page_of_faces(
        self,
        *,
        after: str | None = None,
        limit: int = 1000,
        user_id: str | None = None,
        face_ids: Sequence[str] | None = None,
    ) -> tuple[Face, ...]:
        """Return one page of faces, sorted by face id, for collections too large to be read at once.

        Parameters
        ----------
        after
            The last face id of the page before: only faces with greater ids are returned. ``None`` for the first page.
        limit
            The greatest number of faces, >= 1. A page with fewer is the last one.
        user_id
            Only this user's faces.
        face_ids
            Only faces among these 1-4096 ids; unknown ids are ignored.

        Raises
        ------
        UserNotFoundError
            If the user does not exist.
        InvalidParameterError
            If another argument is wrong.
        """
        check_int("limit", limit, 1, _MOST)
        start = "" if after is None else check_face_id("after", after)
        asked = None if face_ids is None else check_face_ids(face_ids, MAX_FACES_PER_DELETION)
        with self._store.reading():
            if user_id is not None:
                self._check_user(user_id)
            if asked is None:
                return tuple(self._store.faces(user_id, after=start, limit=limit))
            found = self._store.faces_by_id(face_id for face_id in asked if face_id > start)
        ordered = (found[face_id] for face_id in sorted(found))
        return tuple(face for face in ordered if user_id is None or face.user_id == user_id)[:limit]

    def face_embedding(self, face_id: str) -> FloatArray:
        """Return a face's vector: (dimension,) float32, read-only.

        Raises
        ------
        FaceNotFoundError
            If the face does not exist.
        """
        with self._store.reading():
            self._face(face_id)
            return self._store.embedding(face_id)

    def thumbnail(self, face_id: str) -> bytes | None:
        """Return the thumbnail of a face, a JPEG file of 112 x 112 pixels, upright.

        ``None`` if none is stored: the collection was created without ``thumbnails=True``, or the face was added as a vector.

        Raises
        ------
        FaceNotFoundError
            If the face does not exist.
        StorageFormatError
            If the stored bytes are no such thumbnail.

        Examples
        --------
        >>> from skimage.data import astronaut
        >>> staff = Collection("staff", thumbnails=True)
        >>> face = staff.enroll("eileen", [astronaut()]).photos[0].face
        >>> staff.thumbnail(face.face_id)[:3].hex()
        'ffd8ff'
        """
        with self._store.reading():
            self._face(face_id)
            kept = self._store.thumbnail(face_id)
        if kept is not None and not is_thumbnail(kept):
            raise StorageFormatError(
                f"collection {self._id!r}: the picture of face {face_id} is no JPEG of 112 x 112 pixels; index its photo again"
            )
        return kept

    def image_id_of(self, image: ImageSource) -> str:
        """Return the image id that the faces of a photo have in this collection, whether or not the photo was indexed.

        Compare it with `Face.image_id` to check that a file is still the photo a face comes from.

        Parameters
        ----------
        image
            Path, bytes, binary file, PIL image, uint8 array or `Picture`, as it was indexed: the same photo in another file
            format has another id.

        Raises
        ------
        ImageError
            If the picture can't be used.

        Examples
        --------
        >>> from skimage.data import astronaut
        >>> staff = Collection("staff")
        >>> record = staff.index_faces(astronaut()).face_records[0]
        >>> staff.image_id_of(astronaut()) == record.face.image_id
        True
        """
        digest = read_image(image).digest
        with self._store.reading():
            return image_id(self._store.secret(), digest)

    def pictures(self, probe: AnalyzedFace, matches: Sequence[UserMatch]) -> Pictures | None:
        """Return the thumbnails for a search: the searched face, and faces of the best matches.

        Parameters
        ----------
        probe
            The searched face.
        matches
            The matches, best first. The first 5 are shown, each with up to 3 faces, nearest to the probe first.

        Returns
        -------
        Pictures or None
            ``None`` if the collection stores no thumbnails. Users that were deleted meanwhile are left out.
        """
        check_is("probe", probe, AnalyzedFace)
        check_each("matches", matches, UserMatch)
        if not self._thumbnails:
            return None
        with self._store.reading():
            users = tuple(
                UserPictures(
                    user_id=user_id, thumbnails=self._nearest_thumbnails(probe.embedding, user_id, SHOWN_FACES)
                )
                for match in matches[:SHOWN_USERS]
                if self._store.has_user(user_id := match.user.user_id)
            )
        return Pictures(searched=partial(make_thumbnail, probe.chip), users=users)

    def user_embedding(self, user_id: str) -> FloatArray | None:
        """Return a user's vector, computed from its faces: (dimension,) float32; ``None`` for a user without faces.

        Raises
        ------
        UserNotFoundError
            If the user does not exist.
        """
        with self._store.reading():
            self._check_user(user_id)
            return self._store.user_vector(user_id)

    def __len__(self) -> int:
        """Return the number of users."""
        with self._store.reading():
            return self._store.count().users

    @property
    def face_count(self) -> int:
        """The number of faces, associated or not."""
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
        rows = [(user_id, faces, user_of(user_id, faces).user_status.value) for user_id, faces in users[:ROWS_SHOWN]]
        table = Table(("user", "faces", "status"), rows, more=len(users) - len(rows))
        return f"<div><p><b>{escape(self._id)}</b>: {escape(self._summary())}</p>{table.html()}</div>"

    def _summary(self) -> str:
        with self._store.reading():
            count, unassociated = self._store.count(), self._store.count_unassociated()
        note = f" ({unassociated} unassociated)" if unassociated else ""
        model = self._face_model
        return f"{count.users} users, {count.faces} faces{note}, face model {model.name} {model.version}"
