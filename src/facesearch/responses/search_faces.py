"""The responses of SearchFaces, SearchFacesByImage, SearchUsers and CompareFaces, and their parts.

Source: Amazon Rekognition API reference, ``SearchFaces``, ``SearchFacesByImage``, ``SearchUsers``, ``CompareFaces``.
"""

from collections.abc import Iterator
from typing import ClassVar

import attrs
from attrs import field

from facesearch.common.announce import announce
from facesearch.common.tables import BOX_HEAD, Cell, Shown, Table, counted
from facesearch.common.validation import between, is_a, matches, maybe, maybe_float, plain_float, tuple_of
from facesearch.domain.entities import LONGEST_USER_ID, MODEL_VERSION_PATTERN, USER_ID_PATTERN, UUID_PATTERN, Face
from facesearch.domain.face_detail import Emotion, FaceDetail, ImageQuality, Pose, Smile
from facesearch.domain.geometry import BoundingBox, Landmark
from facesearch.responses.search_users import UserMatch

__all__ = [
    "CompareFacesMatch",
    "CompareFacesResponse",
    "ComparedFace",
    "ComparedSourceImageFace",
    "FaceMatch",
    "SearchFacesByImageResponse",
    "SearchFacesResponse",
    "SearchUsersResponse",
    "SearchedFace",
    "SearchedUser",
]


@attrs.frozen(kw_only=True)
class FaceMatch:
    """A face of a collection that is similar to the searched one.

    Attributes
    ----------
    similarity
        Percent, 0-100; higher is closer. See `facesearch.matching.calibration`.
    face
        The matched face.
    """

    ROW_HEAD: ClassVar[tuple[str, ...]] = ("similarity", *Face.ROW_HEAD)

    similarity: float = field(converter=plain_float, validator=between(0, 100))
    face: Face = field(validator=is_a(Face))

    def row_cells(self) -> tuple[Cell, ...]:
        """Return the cells of this match's row in a table."""
        return self.similarity, *self.face.row_cells()


@attrs.frozen(kw_only=True, repr=False)
class SearchFacesResponse(Shown):
    """The response of SearchFaces: the faces of a collection similar to one of its faces.

    Attributes
    ----------
    searched_face_id
        The searched face; it is not among its own matches.
    face_matches
        Nearest first; equally near ones by face id. Empty when no other face is similar enough.
    face_model_version
        Digits and dots.
    """

    searched_face_id: str = field(validator=matches(UUID_PATTERN, 36))
    face_matches: tuple[FaceMatch, ...] = field(default=(), validator=tuple_of(FaceMatch))
    face_model_version: str | None = field(default=None, validator=maybe(matches(MODEL_VERSION_PATTERN, 64)))

    def _headline(self) -> str:
        return f"{counted(len(self.face_matches), 'face')} found"

    def _shown_tables(self) -> Iterator[Table]:
        yield Table(FaceMatch.ROW_HEAD, [match.row_cells() for match in self.face_matches])


@attrs.frozen(kw_only=True, repr=False)
class SearchFacesByImageResponse(Shown):
    """The response of SearchFacesByImage: the faces of a collection similar to the largest face of a photo.

    Attributes
    ----------
    searched_face_bounding_box, searched_face_confidence
        The box of the searched face, in ratios of the photo, and the confidence that it is a face, percent, 0-100; both
        ``None`` when no face of the photo passed the filter.
    face_matches
        Nearest first; equally near ones by face id. Empty when none is similar enough, or no face was searched.
    face_model_version
        Digits and dots.
    """

    searched_face_bounding_box: BoundingBox | None = field(default=None, validator=maybe(is_a(BoundingBox)))
    searched_face_confidence: float | None = field(
        default=None, converter=maybe_float, validator=maybe(between(0, 100))
    )
    face_matches: tuple[FaceMatch, ...] = field(default=(), validator=tuple_of(FaceMatch))
    face_model_version: str | None = field(default=None, validator=maybe(matches(MODEL_VERSION_PATTERN, 64)))

    def _headline(self) -> str:
        searched = self.searched_face_bounding_box is not None
        return f"{counted(len(self.face_matches), 'face')} found" if searched else "no face to search"

    def _shown_tables(self) -> Iterator[Table]:
        yield Table(FaceMatch.ROW_HEAD, [match.row_cells() for match in self.face_matches])


@attrs.frozen(kw_only=True)
class SearchedFace:
    """The face of a collection that was searched for users; that of a photo is a `SearchedFaceDetails`."""

    face_id: str = field(validator=matches(UUID_PATTERN, 36))


@attrs.frozen(kw_only=True)
class SearchedUser:
    """The user that was searched for similar users."""

    user_id: str = field(validator=matches(USER_ID_PATTERN, LONGEST_USER_ID))


@attrs.frozen(kw_only=True, repr=False)
class SearchUsersResponse(Shown):
    """The response of SearchUsers: the users similar to a face or a user of the collection.

    Attributes
    ----------
    user_matches
        Nearest first; equally near ones by user id. Empty when no user is similar enough.
    face_model_version
        Digits and dots.
    searched_face
        The searched face; ``None`` for a search by user.
    searched_user
        The searched user, who is not among the matches; ``None`` for a search by face.
    """

    user_matches: tuple[UserMatch, ...] = field(default=(), validator=tuple_of(UserMatch))
    face_model_version: str | None = field(default=None, validator=maybe(matches(MODEL_VERSION_PATTERN, 64)))
    searched_face: SearchedFace | None = field(default=None, validator=maybe(is_a(SearchedFace)))
    searched_user: SearchedUser | None = field(default=None, validator=maybe(is_a(SearchedUser)))

    def _headline(self) -> str:
        return f"{counted(len(self.user_matches), 'user')} found"

    def _shown_tables(self) -> Iterator[Table]:
        yield Table(UserMatch.ROW_HEAD, [match.row_cells() for match in self.user_matches])


@attrs.frozen(kw_only=True)
class ComparedSourceImageFace:
    """The face of the source photo that the target's faces were compared with.

    Attributes
    ----------
    bounding_box
        In ratios of the source photo.
    confidence
        The confidence that this is a face, percent, 0-100.
    """

    bounding_box: BoundingBox = field(validator=is_a(BoundingBox))
    confidence: float = field(converter=plain_float, validator=between(0, 100))


@attrs.frozen(kw_only=True, repr=False)
class ComparedFace(Shown):
    """A face of the target photo, with some of the members of `FaceDetail`.

    AWS's published responses have the bounding box and the confidence of every face, and the other members of some.
    """

    bounding_box: BoundingBox = field(validator=is_a(BoundingBox))
    confidence: float = field(converter=plain_float, validator=between(0, 100))
    landmarks: tuple[Landmark, ...] | None = field(default=None, validator=maybe(tuple_of(Landmark)))
    pose: Pose | None = field(default=None, validator=maybe(is_a(Pose)))
    quality: ImageQuality | None = field(default=None, validator=maybe(is_a(ImageQuality)))
    emotions: tuple[Emotion, ...] | None = field(default=None, validator=maybe(tuple_of(Emotion)))
    smile: Smile | None = field(default=None, validator=maybe(is_a(Smile)))

    def _headline(self) -> str:
        return self._detail()._headline()  # noqa: SLF001  # both are shown in the same way

    def _shown_tables(self) -> Iterator[Table]:
        yield from self._detail()._shown_tables()  # noqa: SLF001  # likewise

    def _detail(self) -> FaceDetail:
        return FaceDetail(**{each.name: getattr(self, each.name) for each in attrs.fields(ComparedFace)})


@attrs.frozen(kw_only=True)
class CompareFacesMatch:
    """A face of the target photo that is similar to the source face.

    Attributes
    ----------
    similarity
        Percent, 0-100; higher is closer. See `facesearch.matching.calibration`.
    face
        The matched face.
    """

    similarity: float = field(converter=plain_float, validator=between(0, 100))
    face: ComparedFace = field(validator=is_a(ComparedFace))


@attrs.frozen(kw_only=True, repr=False)
class CompareFacesResponse(Shown):
    """The response of CompareFaces: the faces of the target photo that match the source face, and those that don't.

    Attributes
    ----------
    source_image_face
        ``None`` when no face of the source photo passed the filter.
    face_matches
        Highest similarity first. Empty when no face of the target is similar enough, or when there was no face to compare.
    unmatched_faces
        The target's other faces that passed the filter, the more similar first; without a source face, all of them,
        largest first.
    """

    source_image_face: ComparedSourceImageFace | None = field(
        default=None, validator=maybe(is_a(ComparedSourceImageFace))
    )
    face_matches: tuple[CompareFacesMatch, ...] = field(default=(), validator=tuple_of(CompareFacesMatch))
    unmatched_faces: tuple[ComparedFace, ...] = field(default=(), validator=tuple_of(ComparedFace))

    def _headline(self) -> str:
        faces = len(self.face_matches) + len(self.unmatched_faces)
        if not self.source_image_face:
            return f"no face in the source photo; {counted(faces, 'face')} in the target"
        return f"{len(self.face_matches):,} of {counted(faces, 'face')} similar enough"

    def _shown_tables(self) -> Iterator[Table]:
        faces: list[tuple[ComparedFace, float | None]] = [(match.face, match.similarity) for match in self.face_matches]
        faces += [(face, None) for face in self.unmatched_faces]
        rows = [(similarity, *face.bounding_box.row_cells(), face.confidence) for face, similarity in faces]
        yield Table(("similarity", *BOX_HEAD, "confidence"), rows)


announce(__name__)
