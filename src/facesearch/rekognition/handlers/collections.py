"""Operations on collections: create, describe, list, delete, tag."""

from typing import Final

from facesearch.errors import CollectionNotFoundError
from facesearch.rekognition.account import Account, Answer, Request
from facesearch.rekognition.exceptions import ResourceNotFoundException
from facesearch.rekognition.pagination import parse_token, token_of

__all__ = [
    "create_collection",
    "delete_collection",
    "describe_collection",
    "list_collections",
    "list_tags_for_resource",
    "tag_resource",
    "untag_resource",
]

PAGE: Final = 1000
"""Default page size, in collections; AWS does not publish its own."""


def create_collection(account: Account, request: Request) -> Answer:
    """Handle CreateCollection."""
    collection_id = request["CollectionId"]
    made = account.backend.create(collection_id, request.get("Tags") or {})
    return {
        "StatusCode": 200,
        "CollectionArn": account.short_arn(collection_id),
        "FaceModelVersion": made.face_model.version,
    }


def describe_collection(account: Account, request: Request) -> Answer:
    """Handle DescribeCollection."""
    collection_id = request["CollectionId"]
    try:
        info = account.backend.info(collection_id)
    except CollectionNotFoundError as error:
        raise ResourceNotFoundException(f"Collection:{collection_id} not found!") from error
    return {
        "FaceCount": info.faces,
        "UserCount": info.users,
        "FaceModelVersion": info.face_model.version,
        "CollectionARN": f"arn:{account.short_arn(collection_id)}",  # AWS spells it CollectionArn in CreateCollection
        "CreationTimestamp": info.created,
    }


def list_collections(account: Account, request: Request) -> Answer:
    """Handle ListCollections."""
    after = parse_token(request.get("NextToken"), "ListCollections")
    infos = [info for info in account.backend.infos() if after is None or info.collection_id > after]
    page = infos[: request.get("MaxResults") or PAGE]
    answer: Answer = {
        "CollectionIds": [info.collection_id for info in page],
        "FaceModelVersions": [info.face_model.version for info in page],
    }
    if len(page) < len(infos):
        answer["NextToken"] = token_of(page[-1].collection_id, "ListCollections")
    return answer


def delete_collection(account: Account, request: Request) -> Answer:
    """Handle DeleteCollection."""
    collection_id = request["CollectionId"]
    account.backend.delete(collection_id)
    account.updating.forget(collection_id)
    return {"StatusCode": 200}


def tag_resource(account: Account, request: Request) -> Answer:
    """Handle TagResource."""
    account.backend.change_tags(account.collection_of(request["ResourceArn"]), add=request["Tags"], remove=())
    return {}


def untag_resource(account: Account, request: Request) -> Answer:
    """Handle UntagResource."""
    account.backend.change_tags(account.collection_of(request["ResourceArn"]), add={}, remove=request["TagKeys"])
    return {}


def list_tags_for_resource(account: Account, request: Request) -> Answer:
    """Handle ListTagsForResource."""
    return {"Tags": account.backend.tags(account.collection_of(request["ResourceArn"]))}
