"""Operations on the users of a collection: create, delete, list, associate, search."""

from typing import Any, Final

from facesearch.aws import to_aws
from facesearch.collection.collection import MAX_FACES_PER_USER, Collection
from facesearch.errors import InvalidParameterError, QuotaExceededError
from facesearch.images.reading import Picture
from facesearch.rekognition.account import Account, Answer, Request, on_picture, once
from facesearch.rekognition.error_mapping import invalid_parameters
from facesearch.rekognition.exceptions import InvalidPaginationTokenException, ServiceQuotaExceededException
from facesearch.rekognition.pagination import parse_token, token_of
from facesearch.search.faces import search_users as search_by_id
from facesearch.search.users import search_users_by_image as search_by_image

__all__ = [
    "associate_faces",
    "create_user",
    "delete_user",
    "disassociate_faces",
    "list_users",
    "search_users",
    "search_users_by_image",
]

PAGE: Final = 500
"""Default page size, in users, equal to the largest permitted one; AWS does not publish its own."""


@once("CreateUser")
def create_user(_: Account, request: Request, collection: Collection) -> Answer:
    """Handle CreateUser."""
    collection.create_user(request["UserId"])
    return {}


@once("DeleteUser")
def delete_user(account: Account, request: Request, collection: Collection) -> Answer:
    """Handle DeleteUser; the faces stay in the collection, as at AWS."""
    collection.delete_user(request["UserId"])
    account.updating.forget(collection.collection_id, request["UserId"])
    return {}


def list_users(account: Account, request: Request) -> Answer:
    """Handle ListUsers."""
    listing = ("ListUsers", request["CollectionId"])
    after = parse_token(request.get("NextToken"), *listing)

    def work(collection: Collection) -> Answer:
        try:
            users, following = collection.page_of_users(after=after, limit=request.get("MaxResults") or PAGE)
        except InvalidParameterError as error:  # the token predates a deletion and new creation of the collection
            raise InvalidPaginationTokenException from error
        answer: Answer = {"Users": [_with_status(account, collection, to_aws(user)) for user in users]}
        if following is not None:
            answer["NextToken"] = token_of(following, *listing)
        return answer

    return account.with_collection(request["CollectionId"], work)


@once("AssociateFaces")
def associate_faces(account: Account, request: Request, collection: Collection) -> Answer:
    """Handle AssociateFaces."""
    user_id = request["UserId"]
    try:
        response = collection.associate_faces(
            user_id, request["FaceIds"], user_match_threshold=request["UserMatchThreshold"]
        )
    except QuotaExceededError as error:
        raise ServiceQuotaExceededException(
            f"The user id: {user_id} can not have more than {MAX_FACES_PER_USER} faces"
        ) from error
    return _changed(account, collection, user_id, response, response.associated_faces)


@once("DisassociateFaces")
def disassociate_faces(account: Account, request: Request, collection: Collection) -> Answer:
    """Handle DisassociateFaces."""
    response = collection.disassociate_faces(request["UserId"], request["FaceIds"])
    return _changed(account, collection, request["UserId"], response, response.disassociated_faces)


def search_users(account: Account, request: Request) -> Answer:
    """Handle SearchUsers."""
    user_id, face_id = request.get("UserId"), request.get("FaceId")
    if (user_id is None) == (face_id is None):
        raise invalid_parameters("Expected either UserId or FaceId")

    def work(collection: Collection) -> Answer:
        response = search_by_id(
            collection,
            user_id=user_id,
            face_id=face_id,
            user_match_threshold=request["UserMatchThreshold"],
            max_users=request.get("MaxUsers"),
        )
        return _with_statuses(account, collection, to_aws(response))

    return account.with_collection(request["CollectionId"], work)


@on_picture
def search_users_by_image(account: Account, request: Request, collection: Collection, picture: Picture) -> Answer:
    """Handle SearchUsersByImage."""
    response = search_by_image(
        collection,
        picture,
        user_match_threshold=request["UserMatchThreshold"],
        max_users=request.get("MaxUsers"),
        quality_filter=request["QualityFilter"],
        attributes=account.searched_attributes,
    )
    return _with_statuses(account, collection, to_aws(response))


def _changed(account: Account, collection: Collection, user_id: str, response: Any, faces: tuple[Any, ...]) -> Answer:
    """Return the response to a change of some of a user's faces."""
    if faces:
        account.updating.start(collection.collection_id, user_id)
    return account.updating.with_status(collection.collection_id, user_id, to_aws(response))


def _with_status(account: Account, collection: Collection, user: dict[str, Any]) -> dict[str, Any]:
    return account.updating.with_status(collection.collection_id, user["UserId"], user)


def _with_statuses(account: Account, collection: Collection, answer: Answer) -> Answer:
    for match in answer["UserMatches"]:
        match["User"] = _with_status(account, collection, match["User"])
    return answer
