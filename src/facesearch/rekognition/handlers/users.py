"""Operations on the users of a collection: create, delete, list, associate, search."""

from typing import Any, Final

from facesearch.aws import to_aws
from facesearch.collection.collection import MAX_FACES_PER_USER, Collection
from facesearch.errors import InvalidParameterError, QuotaExceededError
from facesearch.images.reading import Picture
from facesearch.rekognition.account import Account, Answer, Request
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


def create_user(account: Account, request: Request) -> Answer:
    """Handle CreateUser."""

    def work(collection: Collection) -> Answer:
        collection.create_user(request["UserId"])
        return {}

    return account.once("CreateUser", request, work)


def delete_user(account: Account, request: Request) -> Answer:
    """Handle DeleteUser; the faces stay in the collection, as at AWS."""
    user_id = request["UserId"]

    def work(collection: Collection) -> Answer:
        collection.delete_user(user_id)
        account.updating.forget(collection.collection_id, user_id)
        return {}

    return account.once("DeleteUser", request, work)


def list_users(account: Account, request: Request) -> Answer:
    """Handle ListUsers."""
    collection_id = request["CollectionId"]
    listing = ("ListUsers", collection_id)
    after = parse_token(request.get("NextToken"), *listing)

    def work(collection: Collection) -> Answer:
        try:
            users, following = collection.page_of_users(after=after, limit=request.get("MaxResults") or PAGE)
        except InvalidParameterError as error:  # the token predates a deletion and new creation of the collection
            raise InvalidPaginationTokenException("Invalid Pagination Token") from error
        answer: Answer = {"Users": [_with_status(account, collection, to_aws(user)) for user in users]}
        if following is not None:
            answer["NextToken"] = token_of(following, *listing)
        return answer

    return account.with_collection(collection_id, work)


def associate_faces(account: Account, request: Request) -> Answer:
    """Handle AssociateFaces."""
    user_id = request["UserId"]

    def work(collection: Collection) -> Answer:
        try:
            response = collection.associate_faces(
                user_id, request["FaceIds"], user_match_threshold=request["UserMatchThreshold"]
            )
        except QuotaExceededError as error:
            raise ServiceQuotaExceededException(
                f"The user id: {user_id} can not have more than {MAX_FACES_PER_USER} faces"
            ) from error
        return _user_response(account, collection, user_id, response, changed=bool(response.associated_faces))

    return account.once("AssociateFaces", request, work)


def disassociate_faces(account: Account, request: Request) -> Answer:
    """Handle DisassociateFaces."""
    user_id = request["UserId"]

    def work(collection: Collection) -> Answer:
        response = collection.disassociate_faces(user_id, request["FaceIds"])
        return _user_response(account, collection, user_id, response, changed=bool(response.disassociated_faces))

    return account.once("DisassociateFaces", request, work)


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


def search_users_by_image(account: Account, request: Request) -> Answer:
    """Handle SearchUsersByImage."""

    def work(collection: Collection, picture: Picture) -> Answer:
        response = search_by_image(
            collection,
            picture,
            user_match_threshold=request["UserMatchThreshold"],
            max_users=request.get("MaxUsers"),
            quality_filter=request["QualityFilter"],
            attributes=account.searched_attributes,
        )
        return _with_statuses(account, collection, to_aws(response))

    return account.with_picture(request, work)


def _with_status(account: Account, collection: Collection, user: dict[str, Any]) -> dict[str, Any]:
    status = account.updating.status(collection.collection_id, user["UserId"], user["UserStatus"])
    return {**user, "UserStatus": status}


def _user_response(account: Account, collection: Collection, user_id: str, response: Any, *, changed: bool) -> Answer:
    """Return the response to a change of a user, with the user's status."""
    if changed:
        account.updating.mark(collection.collection_id, user_id)
    answer = to_aws(response)
    status = account.updating.status(collection.collection_id, user_id, answer["UserStatus"])
    return {**answer, "UserStatus": status}


def _with_statuses(account: Account, collection: Collection, answer: Answer) -> Answer:
    for match in answer["UserMatches"]:
        match["User"] = _with_status(account, collection, match["User"])
    return answer
