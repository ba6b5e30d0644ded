"""AWS's errors, by AWS's names, with what botocore's ``ClientError`` carries; neither boto3 nor botocore is needed.

Source: Amazon Rekognition's service model and developer guide, "Error handling"; the last ones are what stands before every
AWS service. All are answered with HTTP 400 but where a class says otherwise.
"""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Final

from facesearch.errors import FacesearchError

__all__ = [
    "FAULTS",
    "AccessDeniedException",
    "ConflictException",
    "IdempotentParameterMismatchException",
    "ImageTooLargeException",
    "IncompleteSignatureException",
    "InternalServerError",
    "InvalidImageFormatException",
    "InvalidPaginationTokenException",
    "InvalidParameterException",
    "InvalidS3ObjectException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ProvisionedThroughputExceededException",
    "RekognitionError",
    "RequestEntityTooLargeException",
    "ResourceAlreadyExistsException",
    "ResourceNotFoundException",
    "SerializationException",
    "ServiceQuotaExceededException",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
]


class RekognitionError(FacesearchError):
    """An answer that AWS sends as an error; each of AWS's names is a subclass.

    Parameters
    ----------
    message
        What was wrong; by default AWS's own words for it.

    Attributes
    ----------
    code
        AWS's name of the error.
    http_status
        400, or 500 where the service is to blame.
    operation_name
        The operation that was called, such as ``"SearchUsersByImage"``; empty until it is known.
    request_id
        A UUID of this answer's own.

    Examples
    --------
    >>> from facesearch.rekognition.exceptions import ResourceNotFoundException
    >>> error = ResourceNotFoundException("The collection id: staff does not exist")
    >>> error.operation_name = "DescribeCollection"
    >>> error.response["Error"]["Code"]
    'ResourceNotFoundException'
    >>> print(error)  # as botocore has it
    An error occurred (ResourceNotFoundException) when calling the DescribeCollection operation: The collection id: staff does not exist
    """

    code: ClassVar[str] = "RekognitionError"
    http_status: ClassVar[int] = 400
    usual_message: ClassVar[str] = "Request has invalid parameters."

    def __init_subclass__(cls) -> None:
        cls.code = cls.__name__

    def __init__(self, message: str | None = None) -> None:
        super().__init__(self.usual_message if message is None else message)
        self.operation_name = ""
        self.request_id = str(uuid.uuid4())

    @property
    def message(self) -> str:
        """What was wrong, without the name of the error."""
        return str(self.args[0])

    @property
    def response(self) -> dict[str, Any]:
        """What botocore's ``ClientError.response`` would be."""
        return {
            "Error": {"Message": self.message, "Code": self.code},
            "ResponseMetadata": {
                "RequestId": self.request_id,
                "HTTPStatusCode": self.http_status,
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        }

    def __str__(self) -> str:
        return f"An error occurred ({self.code}) when calling the {self.operation_name} operation: {self.message}"


class AccessDeniedException(RekognitionError):
    """The keys of the request may not do this."""

    usual_message = "You are not authorized to perform this operation."


class ConflictException(RekognitionError):
    """There is a user of that id already."""

    usual_message = "A user with the same id already exists."


class IdempotentParameterMismatchException(RekognitionError):
    """A ClientRequestToken came again with other parameters."""

    usual_message = "The ClientRequestToken you have supplied is already in use."


class ImageTooLargeException(RekognitionError):
    """A picture has more bytes or pixels than AWS takes."""

    usual_message = "Image size is too large."


class InternalServerError(RekognitionError):
    """The service failed; HTTP 500."""

    http_status = 500
    usual_message = "Internal server error"


class InvalidImageFormatException(RekognitionError):
    """A picture is no JPEG or PNG."""

    usual_message = "Request has invalid image format."


class InvalidPaginationTokenException(RekognitionError):
    """A NextToken is not one that was given out for this listing."""

    usual_message = "Invalid Pagination Token"


class InvalidParameterException(RekognitionError):
    """The parameters are well formed, but can't be served."""


class InvalidS3ObjectException(RekognitionError):
    """An S3 object is not there, or may not be read."""

    usual_message = "Unable to get object metadata from S3. Check object key, region and/or access permissions."


class ProvisionedThroughputExceededException(RekognitionError):
    """More requests than the service, or S3, takes at a time; boto3 tries again by itself."""

    usual_message = "Provisioned Rate exceeded."


class ResourceAlreadyExistsException(RekognitionError):
    """There is a collection of that id already."""

    usual_message = "The collection already exists."


class ResourceNotFoundException(RekognitionError):
    """A collection, a user or what a tag is for is not there."""

    usual_message = "The resource does not exist."


class ServiceQuotaExceededException(RekognitionError):
    """More than one of AWS's limits, such as 100 faces a user."""

    usual_message = "The request exceeds a service quota."


class ThrottlingException(RekognitionError):
    """The service is busy; HTTP 500, and boto3 tries again by itself."""

    http_status = 500
    usual_message = "Service Unavailable"


class ValidationException(RekognitionError):
    """A parameter is missing, or breaks a constraint of the operation's model."""

    usual_message = "The request does not satisfy the constraints of its model."


class SerializationException(RekognitionError):
    """A request is no JSON, or a value in it has the wrong type."""

    usual_message = "The request can not be read."


class UnknownOperationException(RekognitionError):
    """There is no such operation, or it is not answered here."""

    usual_message = "There is no such operation."


class RequestEntityTooLargeException(RekognitionError):
    """The body of a request has too many bytes to be read; HTTP 413."""

    http_status = 413
    usual_message = "The request is too large."


class UnrecognizedClientException(RekognitionError):
    """The access key of a request is unknown."""

    usual_message = "The security token included in the request is invalid."


class InvalidSignatureException(RekognitionError):
    """The signature of a request does not fit it, or is of another time."""

    usual_message = (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
        " and signing method. Consult the service documentation for details."
    )


class IncompleteSignatureException(RekognitionError):
    """The Authorization header of a request lacks a part."""

    usual_message = "The request signature does not conform to AWS standards."


class MissingAuthenticationTokenException(RekognitionError):
    """A request is not signed."""

    usual_message = "Missing Authentication Token"


FAULTS: Final[Mapping[str, type[RekognitionError]]] = MappingProxyType(
    {fault.code: fault for fault in RekognitionError.__subclasses__()}
)
"""The errors by AWS's names."""
