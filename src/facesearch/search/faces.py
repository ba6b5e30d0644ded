"""SearchFaces, SearchFacesByImage and SearchUsers: faces by face or by photo, and users by user or by face."""

from facesearch.analysis.probe import probe
from facesearch.collection.collection import Collection
from facesearch.collection.search import check_face_search_options, check_search_options
from facesearch.common.validation import check_is
from facesearch.domain.entities import Face
from facesearch.errors import InvalidParameterError
from facesearch.images.reading import ImageSource, read_image
from facesearch.responses.search_faces import (
    FaceMatch,
    SearchedFace,
    SearchedUser,
    SearchFacesByImageResponse,
    SearchFacesResponse,
    SearchUsersResponse,
)
from facesearch.selection.quality_filter import QualityFilter

__all__ = ["search_faces", "search_faces_by_image", "search_users"]


def search_faces(
    collection: Collection, face_id: str, *, face_match_threshold: float = 80, max_faces: int | None = None
) -> SearchFacesResponse:
    """Search a collection for faces similar to one of its faces.

    Parameters
    ----------
    collection
        The collection to search, which holds the face.
    face_id
        The face to search with; it is not among its own matches.
    face_match_threshold
        Return only faces of at least this similarity, percent; with 0 all faces.
    max_faces
        Return at most this number of faces, 1-4096; by default 4096.

    Raises
    ------
    FaceNotFoundError
        If there is no such face.
    InvalidParameterError
        If another argument is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> staff = Collection("staff")
    >>> face_ids = [staff.add_embedding("ada", np.full(128, value)) for value in (0.1, 0.11)]
    >>> response = search_faces(staff, face_ids[0])
    >>> [match.face.face_id == face_ids[1] for match in response.face_matches]
    [True]

    References
    ----------
    Amazon Rekognition API reference, SearchFaces.
    """
    check_is("collection", collection, Collection)
    check_face_search_options(face_match_threshold, max_faces)
    (ranked,) = collection.rank_faces(
        [collection.face_embedding(face_id)],
        face_match_threshold=face_match_threshold,
        max_faces=max_faces,
        exclude=(face_id,),
    )
    return SearchFacesResponse(
        searched_face_id=face_id,
        face_matches=_matches(ranked),
        face_model_version=collection.face_model.version,
    )


def search_faces_by_image(
    collection: Collection,
    image: ImageSource,
    *,
    face_match_threshold: float = 80,
    max_faces: int | None = None,
    quality_filter: str | QualityFilter = QualityFilter.NONE,
) -> SearchFacesByImageResponse:
    """Search a collection for faces similar to the largest face of a photo, associated with a user or not.

    Parameters
    ----------
    collection
        The collection to search.
    image
        Path, bytes, binary file, PIL image, or uint8 RGB, RGBA or grey array.
    face_match_threshold
        Return only faces of at least this similarity, percent; with 0 all faces.
    max_faces
        Return at most this number of faces, 1-4096; by default 4096.
    quality_filter
        NONE, AUTO, LOW, MEDIUM or HIGH: the filter that the searched face must pass.

    Returns
    -------
    SearchFacesByImageResponse
        Without box and confidence when no face passes the filter. Neither that nor an empty list of matches is an error.

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
    >>> _ = staff.index_faces(astronaut(), external_image_id="crew-7")
    >>> response = search_faces_by_image(staff, astronaut()[:, ::-1])  # her mirror image
    >>> response.face_matches[0].face.external_image_id
    'crew-7'

    References
    ----------
    Amazon Rekognition API reference, SearchFacesByImage.
    """
    # Arguments first: a wrong one must not cost the decoding of the picture.
    check_is("collection", collection, Collection)
    check_face_search_options(face_match_threshold, max_faces)
    quality = QualityFilter.parse(quality_filter)
    version = collection.face_model.version
    probes = probe(collection.analyzer, read_image(image), quality, largest_only=True).probes
    if not probes:
        return SearchFacesByImageResponse(face_model_version=version)
    (ranked,) = collection.rank_faces(
        [probes[0].embedding], face_match_threshold=face_match_threshold, max_faces=max_faces
    )
    return SearchFacesByImageResponse(
        searched_face_bounding_box=probes[0].detail.bounding_box,
        searched_face_confidence=probes[0].detail.confidence,
        face_matches=_matches(ranked),
        face_model_version=version,
    )


def search_users(
    collection: Collection,
    *,
    user_id: str | None = None,
    face_id: str | None = None,
    user_match_threshold: float = 80,
    max_users: int | None = None,
) -> SearchUsersResponse:
    """Search a collection for users similar to one of its users or faces.

    Parameters
    ----------
    collection
        The collection to search.
    user_id
        The user to search with, who is not among the matches. A user without faces has no matches.
    face_id
        The face to search with, in place of a user; the user that has it may be among the matches.
    user_match_threshold
        Return only users of at least this similarity, percent; with 0 all users.
    max_users
        Return at most this number of users, 1-500; by default 500.

    Raises
    ------
    UserNotFoundError, FaceNotFoundError
        If there is no such user or face.
    InvalidParameterError
        If both are given, or neither, or another argument is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> staff = Collection("staff")
    >>> _ = staff.add_embeddings(["ada", "ada2"], np.full((2, 128), [[0.1], [0.11]]))
    >>> [match.user.user_id for match in search_users(staff, user_id="ada").user_matches]
    ['ada2']

    References
    ----------
    Amazon Rekognition API reference, SearchUsers.
    """
    check_is("collection", collection, Collection)
    check_search_options(user_match_threshold, max_users)
    version = collection.face_model.version
    if user_id is not None and face_id is None:
        matches = collection.rank_like_user(user_id, user_match_threshold=user_match_threshold, max_users=max_users)
        return SearchUsersResponse(
            user_matches=matches, face_model_version=version, searched_user=SearchedUser(user_id=user_id)
        )
    if face_id is not None and user_id is None:
        matches = collection.search_embedding(
            collection.face_embedding(face_id), user_match_threshold=user_match_threshold, max_users=max_users
        )
        return SearchUsersResponse(
            user_matches=matches, face_model_version=version, searched_face=SearchedFace(face_id=face_id)
        )
    raise InvalidParameterError.of("user_id, face_id", (user_id, face_id), "exactly one of them")


def _matches(ranked: tuple[tuple[float, Face], ...]) -> tuple[FaceMatch, ...]:
    return tuple(FaceMatch(similarity=similarity, face=face) for similarity, face in ranked)
