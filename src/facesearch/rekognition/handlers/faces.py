"""Operations on the faces of a collection: index, list, delete, search."""

from typing import Final

from facesearch.aws import to_aws
from facesearch.collection.collection import Collection
from facesearch.images.reading import Picture
from facesearch.rekognition.account import Account, Answer, Request, on_collection, on_picture
from facesearch.rekognition.exceptions import InvalidParameterException, ServiceQuotaExceededException
from facesearch.rekognition.pagination import parse_token, token_of
from facesearch.search.faces import search_faces as search_by_face, search_faces_by_image as search_by_image

__all__ = ["delete_faces", "index_faces", "list_faces", "search_faces", "search_faces_by_image"]

PAGE: Final = 1000
"""Default page size, in faces; AWS does not publish its own."""
MOST_FACES: Final = 20_000_000
"""Most faces in a collection: AWS's own limit."""


@on_picture
def index_faces(_: Account, request: Request, collection: Collection, picture: Picture) -> Answer:
    """Handle IndexFaces."""
    if collection.face_count >= MOST_FACES:
        raise ServiceQuotaExceededException(f"The collection has {MOST_FACES:,} faces, which is the maximum")
    response = collection.index_faces(
        picture,
        external_image_id=request.get("ExternalImageId"),
        max_faces=request.get("MaxFaces"),
        quality_filter=request["QualityFilter"],
        attributes=request.get("DetectionAttributes") or ("DEFAULT",),
    )
    return to_aws(response)


def list_faces(account: Account, request: Request) -> Answer:
    """Handle ListFaces."""
    collection_id, user_id = request["CollectionId"], request.get("UserId")
    face_ids = request.get("FaceIds")
    listing = ("ListFaces", collection_id, user_id or "", *sorted(face_ids or ()))
    after = parse_token(request.get("NextToken"), *listing)
    size = request.get("MaxResults") or PAGE

    def work(collection: Collection) -> Answer:
        # One face more than the page shows whether there is a next page.
        faces = collection.page_of_faces(after=after, limit=size + 1, user_id=user_id, face_ids=face_ids)
        answer: Answer = {
            "Faces": [to_aws(face) for face in faces[:size]],
            "FaceModelVersion": collection.face_model.version,
        }
        if len(faces) > size:
            answer["NextToken"] = token_of(faces[size - 1].face_id, *listing)
        return answer

    return account.with_collection(collection_id, work)


@on_collection
def delete_faces(_: Account, request: Request, collection: Collection) -> Answer:
    """Handle DeleteFaces."""
    return to_aws(collection.delete_faces(request["FaceIds"]))


@on_collection
def search_faces(_: Account, request: Request, collection: Collection) -> Answer:
    """Handle SearchFaces."""
    response = search_by_face(
        collection,
        request["FaceId"],
        face_match_threshold=request["FaceMatchThreshold"],
        max_faces=request.get("MaxFaces"),
    )
    return to_aws(response)


@on_picture
def search_faces_by_image(_: Account, request: Request, collection: Collection, picture: Picture) -> Answer:
    """Handle SearchFacesByImage."""
    response = search_by_image(
        collection,
        picture,
        face_match_threshold=request["FaceMatchThreshold"],
        max_faces=request.get("MaxFaces"),
        quality_filter=request["QualityFilter"],
    )
    if response.searched_face_bounding_box is None:
        raise InvalidParameterException("There are no faces in the image. Should be at least 1.")
    return to_aws(response)
