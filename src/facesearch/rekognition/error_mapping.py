"""Map the library's errors to AWS's errors."""

from facesearch.errors import (
    CollectionExistsError,
    CollectionNotFoundError,
    FaceModelMismatchError,
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
    UserAlreadyExistsError,
    UserNotFoundError,
)
from facesearch.rekognition.exceptions import (
    AccessDeniedException,
    ConflictException,
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

__all__ = ["invalid_parameters", "no_collection", "no_user", "to_rekognition_error"]

# The first match applies. The message starts with AWS's own text where one is known, since callers compare it.
_FAULTS: tuple[tuple[type[FacesearchError], type[RekognitionError], str], ...] = (
    (ImageTooLargeError, ImageTooLargeException, "Image size is too large. "),
    (ImageTooSmallError, InvalidParameterException, "Request has invalid parameters. "),
    (InvalidImageFormatError, InvalidImageFormatException, "Request has invalid image format. "),
    (ImageError, InvalidParameterException, "Request has invalid parameters. "),
    (CollectionExistsError, ResourceAlreadyExistsException, ""),
    (UserNotFoundError, ResourceNotFoundException, ""),
    (UserAlreadyExistsError, ConflictException, ""),
    (QuotaExceededError, ServiceQuotaExceededException, ""),
    (FaceModelMismatchError, InvalidParameterException, "Request has invalid parameters. "),
    (InvalidParameterError, InvalidParameterException, "Request has invalid parameters. "),
)


def to_rekognition_error(error: FacesearchError) -> RekognitionError:
    """Return the error that AWS would send; a `RekognitionError` is returned unchanged.

    Errors that the caller can't fix, such as a full disk, map to InternalServerError. Messages contain nothing about this machine.
    """
    if isinstance(error, RekognitionError):
        return error
    if isinstance(error, StorageBusyError):  # another process holds the lock: boto3 retries by itself
        return ThrottlingException()
    if isinstance(error, StorageReadOnlyError):
        return AccessDeniedException("You are not authorized to perform this operation. The collections are read-only.")
    if isinstance(error, CollectionNotFoundError):
        return ResourceNotFoundException()
    for kind, fault, text in _FAULTS:
        # OutputRefusedError concerns the file of collections and names its path: the caller can't fix it.
        if isinstance(error, kind) and not isinstance(error, OutputRefusedError):
            return fault(f"{text}{error}")
    return InternalServerError()


def no_collection(collection_id: str) -> ResourceNotFoundException:
    """Return AWS's error for a collection that does not exist."""
    return ResourceNotFoundException(f"The collection id: {collection_id} does not exist")


def no_user(user_id: str) -> ResourceNotFoundException:
    """Return the error for a user that does not exist."""
    return ResourceNotFoundException(f"The user id: {user_id} does not exist")


def invalid_parameters(why: str) -> InvalidParameterException:
    """Return AWS's error for invalid parameters, with the reason."""
    return InvalidParameterException(f"Request has invalid parameters. {why}")
