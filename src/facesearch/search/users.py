"""SearchUsersByImage: detect, filter, select the largest face, embed it, rank the users, and respond as AWS does."""

from collections.abc import Iterable
from typing import TypeVar

import attrs

from facesearch.analysis.faces import AnalyzedFace
from facesearch.analysis.probe import probe
from facesearch.collection.collection import Collection
from facesearch.collection.search import check_search_options
from facesearch.common.tables import Listing
from facesearch.common.validation import check_is
from facesearch.domain.attributes import Attribute, parse_attributes
from facesearch.images.reading import ImageSource, read_image
from facesearch.images.thumbnails import Preview
from facesearch.responses.search_users import (
    SearchedFaceDetails,
    SearchedFaceResponse,
    SearchUsersByImageResponse,
    UnsearchedFace,
    UserMatch,
)
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["search_all_faces", "search_users_by_image"]

R = TypeVar("R", bound=SearchUsersByImageResponse)


def search_users_by_image(
    collection: Collection,
    image: ImageSource,
    *,
    user_match_threshold: float = 80,
    max_users: int | None = None,
    quality_filter: str | QualityFilter = QualityFilter.NONE,
    attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,),
) -> SearchUsersByImageResponse:
    """Search a collection for the user shown by the largest face of a photo.

    Parameters
    ----------
    collection
        The collection to search.
    image
        Path, bytes, binary file, PIL image, or uint8 RGB, RGBA or grey array.
    user_match_threshold
        Return only users of at least this similarity, percent; with 0 all users.
    max_users
        Return at most this number of users, 1-500; by default 500.
    quality_filter
        NONE, AUTO, LOW, MEDIUM or HIGH: the filter that the searched face must pass.
    attributes
        The attributes of each face to return; AWS's names.

    Returns
    -------
    SearchUsersByImageResponse
        ``searched_face`` is ``None`` when no face passes the filter. Neither that nor an empty list of matches is an error.
        Searched and unsearched faces together are all detected faces.

    Raises
    ------
    ImageError
        If the picture can't be used.
    InvalidParameterError
        If another argument is wrong.
    FaceModelMismatchError
        If the collection's vectors are not of the model at work.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> staff = Collection("staff")
    >>> staff.enroll("eileen", [astronaut()]).accepted
    1
    >>> response = search_users_by_image(staff, astronaut()[:, ::-1])  # her mirror image
    >>> response.user_matches[0].user.user_id, response.user_matches[0].similarity > 99
    ('eileen', True)

    References
    ----------
    Amazon Rekognition API reference, SearchUsersByImage.
    """
    (response,) = _search(
        collection,
        image,
        threshold=user_match_threshold,
        max_users=max_users,
        quality_filter=quality_filter,
        attributes=attributes,
        kind=SearchUsersByImageResponse,
    )
    return response


def search_all_faces(
    collection: Collection,
    image: ImageSource,
    *,
    user_match_threshold: float = 80,
    max_users: int | None = None,
    quality_filter: str | QualityFilter = QualityFilter.NONE,
    attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,),
) -> tuple[SearchedFaceResponse, ...]:
    """Search a collection for the user shown by each face of a photo, which is analyzed once.

    Parameters and errors are those of `search_users_by_image`.

    Returns
    -------
    tuple of SearchedFaceResponse
        One for each face that passes the filter, largest first. The ``unsearched_faces`` of each are the faces that did
        not pass, so that no response lists a face that another one searched.
    """
    return _search(
        collection,
        image,
        threshold=user_match_threshold,
        max_users=max_users,
        quality_filter=quality_filter,
        attributes=attributes,
        kind=SearchedFaceResponse,
    )


def _search(
    collection: Collection,
    image: ImageSource,
    *,
    threshold: float,
    max_users: int | None,
    quality_filter: str | QualityFilter,
    attributes: Iterable[str | Attribute],
    kind: type[R],
) -> tuple[R, ...]:
    """Return a response of type *kind* for each searched face; exactly one unless it is `SearchedFaceResponse`."""
    every_face = kind is SearchedFaceResponse
    # Arguments first: a wrong one must not cost the decoding of the picture.
    check_is("collection", collection, Collection)
    check_search_options(threshold, max_users)
    quality, asked = QualityFilter.parse(quality_filter), parse_attributes(attributes)
    picture = read_image(image)
    probing = probe(collection.analyzer, picture, quality, attributes=asked, largest_only=not every_face)
    located, selection = probing.located, probing.selection
    ranked = collection.rank_many(
        [face.embedding for face in probing.probes], user_match_threshold=threshold, max_users=max_users
    )
    answers: list[tuple[AnalyzedFace | None, tuple[UserMatch, ...], UserMatch | None]] = [
        (face, *found) for face, found in zip(probing.probes, ranked, strict=True)
    ]
    if not answers and not every_face:
        answers.append((None, (), None))
    unsearched = tuple(
        UnsearchedFace(face_details=located[position].detail, reasons=reasons)
        for position, reasons in selection.refused
    )
    refused = tuple(position for position, _ in selection.refused)
    preview = Preview.of(picture.pixels)
    responses = [
        kind(
            user_matches=matches,
            face_model_version=collection.face_model.version,
            searched_face=SearchedFaceDetails(face_detail=face.detail) if face else None,
            unsearched_faces=unsearched,
            preview=preview,
            next_user=beyond,
            evidence=attrs.evolve(probing.evidence, listed=(*selection.accepted[place : place + 1], *refused)),
            pictures=collection.pictures(face, matches) if face and matches else None,
            calibration=collection.calibration,
        )
        for place, (face, matches, beyond) in enumerate(answers)
    ]
    return Listing(responses, "searched face")
