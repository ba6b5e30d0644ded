"""What this library's errors are called by AWS."""

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

__all__ = ["invalid_parameters", "no_collection", "no_user", "translated"]

# The first that fits counts. A text of AWS's own comes first where there is one, since callers compare it; what was wrong follows.
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


def translated(error: FacesearchError) -> RekognitionError:
    """Give the error that AWS would send; one that is AWS's already stays as it is.

    What nobody who calls could mend, as a full disk, is InternalServerError. Texts tell nothing of this machine.
    """
    if isinstance(error, RekognitionError):
        return error
    if isinstance(error, StorageBusyError):  # others write for too long: boto3 tries again by itself
        return ThrottlingException()
    if isinstance(error, StorageReadOnlyError):
        return AccessDeniedException("You are not authorized to perform this operation. The collections are read-only.")
    if isinstance(error, CollectionNotFoundError):
        return ResourceNotFoundException()
    for kind, fault, text in _FAULTS:
        # OutputRefusedError is about the file of collections, and names its path: no request can change that.
        if isinstance(error, kind) and not isinstance(error, OutputRefusedError):
            return fault(f"{text}{error}")
    return InternalServerError()


def no_collection(collection_id: str) -> ResourceNotFoundException:
    """Give AWS's answer to requests for a collection that is not there."""
    return ResourceNotFoundException(f"The collection id: {collection_id} does not exist")


def no_user(user_id: str) -> ResourceNotFoundException:
    """Give the answer to requests for a user that is not there."""
    return ResourceNotFoundException(f"The user id: {user_id} does not exist")


def invalid_parameters(why: str) -> InvalidParameterException:
    """Give AWS's answer to requests that make no sense, and say why."""
    return InvalidParameterException(f"Request has invalid parameters. {why}")
