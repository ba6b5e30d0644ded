"""Map the library's errors to AWS's errors."""

from collections.abc import Mapping
from typing import Any

from facesearch.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    FaceModelMismatchError,
    FaceNotFoundError,
    FacesearchError,
    ImageError,
    ImageTooLargeError,
    ImageTooSmallError,
    InvalidImageFormatError,
    InvalidParameterError,
    OutputRefusedError,
    QuotaExceededError,
    StorageBusyError,
    StorageReadOnlyError,
    TokenReusedError,
    UserAlreadyExistsError,
    UserNotFoundError,
)
from facesearch.rekognition.exceptions import (
    AccessDeniedException,
    ConflictException,
    IdempotentParameterMismatchException,
    ImageTooLargeException,
    InternalServerError,
    InvalidImageFormatException,
    InvalidParameterException,
    RekognitionError,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
    ThrottlingException,
)

__all__ = ["invalid_parameters", "to_rekognition_error"]

# The first match applies. Messages have AWS's own text where one is known, since callers compare it.
_FAULTS: tuple[tuple[type[FacesearchError], type[RekognitionError], str], ...] = (
    (ImageTooLargeError, ImageTooLargeException, "Image size is too large. {error}"),
    (ImageTooSmallError, InvalidParameterException, "Request has invalid parameters. {error}"),
    (InvalidImageFormatError, InvalidImageFormatException, "Request has invalid image format. {error}"),
    (ImageError, InvalidParameterException, "Request has invalid parameters. {error}"),
    (CollectionExistsError, ResourceAlreadyExistsException, "The collection id: {CollectionId} already exists."),
    (CollectionNotFoundError, ResourceNotFoundException, "The collection id: {CollectionId} does not exist"),
    (UserNotFoundError, ResourceNotFoundException, "The user id: {UserId} does not exist"),
    (UserAlreadyExistsError, ConflictException, "The user id: {UserId} already exists."),
    (FaceNotFoundError, InvalidParameterException, "faceId was not found in the collection."),
    (
        TokenReusedError,
        IdempotentParameterMismatchException,
        "The ClientRequestToken: {ClientRequestToken} you have supplied is already in use.",
    ),
    (QuotaExceededError, ServiceQuotaExceededException, "{error}"),
    (FaceModelMismatchError, InvalidParameterException, "Request has invalid parameters. {error}"),
    (InvalidParameterError, InvalidParameterException, "Request has invalid parameters. {error}"),
)


def to_rekognition_error(error: FacesearchError, parameters: Mapping[str, Any]) -> RekognitionError:
    """Return the error that AWS would send; a `RekognitionError` is returned unchanged.

    Errors that the caller can't fix, such as a full disk, map to InternalServerError. Messages contain nothing about this machine.

    Parameters
    ----------
    error
        The library's error.
    parameters
        The request's, of which messages repeat the ids.
    """
    if isinstance(error, RekognitionError):
        return error
    if isinstance(error, StorageBusyError):  # another process holds the lock: boto3 retries by itself
        return ThrottlingException()
    if isinstance(error, StorageReadOnlyError):
        return AccessDeniedException("You are not authorized to perform this operation. The collections are read-only.")
    for kind, fault, text in _FAULTS:
        # OutputRefusedError concerns the file of collections and names its path: the caller can't fix it.
        if isinstance(error, kind) and not isinstance(error, OutputRefusedError):
            of_arn = str(parameters.get("ResourceArn", "")).rpartition("/")[2]
            ids = {name: parameters.get(name) for name in ("CollectionId", "UserId", "ClientRequestToken")}
            return fault(text.format(**ids | {"CollectionId": ids["CollectionId"] or of_arn}, error=error))
    return InternalServerError()


def invalid_parameters(why: str) -> InvalidParameterException:
    """Return AWS's error for invalid parameters, with the reason."""
    return InvalidParameterException(f"Request has invalid parameters. {why}")
