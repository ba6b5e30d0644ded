"""Map the library's errors to AWS's errors."""

from collections.abc import Mapping
from typing import Any

from facesearch import errors
from facesearch.rekognition import exceptions as aws

__all__ = ["invalid_parameters", "to_rekognition_error"]

# The first match applies. Messages have AWS's own text where one is known, since callers compare it.
_FAULTS: tuple[tuple[type[errors.FacesearchError], type[aws.RekognitionError], str], ...] = (
    (errors.ImageTooLargeError, aws.ImageTooLargeException, "Image size is too large. {error}"),
    (errors.ImageTooSmallError, aws.InvalidParameterException, "Request has invalid parameters. {error}"),
    (errors.InvalidImageFormatError, aws.InvalidImageFormatException, "Request has invalid image format. {error}"),
    (errors.ImageError, aws.InvalidParameterException, "Request has invalid parameters. {error}"),
    (
        errors.CollectionExistsError,
        aws.ResourceAlreadyExistsException,
        "The collection id: {CollectionId} already exists.",
    ),
    (errors.CollectionNotFoundError, aws.ResourceNotFoundException, "The collection id: {CollectionId} does not exist"),
    (errors.UserNotFoundError, aws.ResourceNotFoundException, "The user id: {UserId} does not exist"),
    (errors.UserAlreadyExistsError, aws.ConflictException, "The user id: {UserId} already exists."),
    (errors.FaceNotFoundError, aws.InvalidParameterException, "faceId was not found in the collection."),
    (
        errors.TokenReusedError,
        aws.IdempotentParameterMismatchException,
        "The ClientRequestToken: {ClientRequestToken} you have supplied is already in use.",
    ),
    (errors.QuotaExceededError, aws.ServiceQuotaExceededException, "{error}"),
    (errors.FaceModelMismatchError, aws.InvalidParameterException, "Request has invalid parameters. {error}"),
    (errors.InvalidParameterError, aws.InvalidParameterException, "Request has invalid parameters. {error}"),
)


def to_rekognition_error(error: errors.FacesearchError, parameters: Mapping[str, Any]) -> aws.RekognitionError:
    """Return the error that AWS would send; a `RekognitionError` is returned unchanged.

    Errors that the caller can't fix, such as a full disk, map to InternalServerError. Messages contain nothing about this machine.
    Messages repeat the ids in the request's *parameters*.
    """
    if isinstance(error, aws.RekognitionError):
        return error
    if isinstance(error, errors.StorageBusyError):  # another process holds the lock: boto3 retries by itself
        return aws.ThrottlingException()
    if isinstance(error, errors.StorageReadOnlyError):
        return aws.AccessDeniedException(
            "You are not authorized to perform this operation. The collections are read-only."
        )
    for kind, fault, text in _FAULTS:
        # OutputRefusedError concerns the file of collections and names its path: the caller can't fix it.
        if isinstance(error, kind) and not isinstance(error, errors.OutputRefusedError):
            of_arn = str(parameters.get("ResourceArn", "")).rpartition("/")[2]
            ids = {name: parameters.get(name) for name in ("CollectionId", "UserId", "ClientRequestToken")}
            return fault(text.format(**ids | {"CollectionId": ids["CollectionId"] or of_arn}, error=error))
    return aws.InternalServerError()


def invalid_parameters(why: str) -> aws.InvalidParameterException:
    """Return AWS's error for invalid parameters, with the reason."""
    return aws.InvalidParameterException(f"Request has invalid parameters. {why}")
