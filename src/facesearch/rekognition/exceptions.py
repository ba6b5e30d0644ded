"""AWS's errors by AWS's names, with the attributes of botocore's ``ClientError``; neither boto3 nor botocore is required.

Source: Amazon Rekognition's service model and developer guide, "Error handling". The last classes are errors of the front end
that all AWS services share. The HTTP status is 400 unless a class states another one.
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
    """Base of all errors that AWS sends; each error of AWS is a subclass of the same name.

    Parameters
    ----------
    message
        Description of the error; by default AWS's own text.

    Attributes
    ----------
    code
        AWS's name for the error.
    http_status
        400, or 500 for a failure of the service.
    operation_name
        The operation that was called, such as ``"SearchUsersByImage"``; empty until then.
    request_id
        UUID of this response.

    Examples
    --------
    >>> from facesearch.rekognition.exceptions import ResourceNotFoundException
    >>> error = ResourceNotFoundException("The collection id: staff does not exist")
    >>> error.operation_name = "DescribeCollection"
    >>> error.response["Error"]["Code"]
    'ResourceNotFoundException'
    >>> print(error)  # the text of botocore's ClientError
    An error occurred (ResourceNotFoundException) when calling the DescribeCollection operation: The collection id: staff does not exist
    """

    code: ClassVar[str] = "RekognitionError"
    http_status: ClassVar[int] = 400
    usual_message: ClassVar[str] = "Request has invalid parameters."

    def __init_subclass__(cls, message: str | None = None, status: int | None = None) -> None:
        cls.code = cls.__name__
        cls.usual_message = message or cls.usual_message
        cls.http_status = status or cls.http_status

    def __init__(self, message: str | None = None) -> None:
        super().__init__(self.usual_message if message is None else message)
        self.operation_name = ""
        self.request_id = str(uuid.uuid4())

    @property
    def message(self) -> str:
        """Description of the error, without its name."""
        return str(self.args[0])

    @property
    def response(self) -> dict[str, Any]:
        """The error as botocore's ``ClientError.response``."""
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


class AccessDeniedException(RekognitionError, message="You are not authorized to perform this operation."):
    """The caller is not permitted to perform this operation."""


class ConflictException(RekognitionError, message="A user with the same id already exists."):
    """A user with this id exists already."""


class IdempotentParameterMismatchException(
    RekognitionError, message="The ClientRequestToken you have supplied is already in use."
):
    """A ClientRequestToken was reused with other parameters."""


class ImageTooLargeException(RekognitionError, message="Image size is too large."):
    """An image has more bytes or pixels than AWS accepts."""


class InternalServerError(RekognitionError, message="Internal server error", status=500):
    """The service failed; HTTP 500."""


class InvalidImageFormatException(RekognitionError, message="Request has invalid image format."):
    """An image is neither a JPEG nor a PNG."""


class InvalidPaginationTokenException(RekognitionError, message="Invalid Pagination Token"):
    """A NextToken does not belong to this listing."""


class InvalidParameterException(RekognitionError):
    """A parameter is well formed, but its value can't be processed."""


class InvalidS3ObjectException(
    RekognitionError,
    message="Unable to get object metadata from S3. Check object key, region and/or access permissions.",
):
    """An S3 object does not exist, or access is denied."""


class ProvisionedThroughputExceededException(RekognitionError, message="Provisioned Rate exceeded."):
    """The request rate exceeds the limit of the service, or of S3; boto3 retries by itself."""


class ResourceAlreadyExistsException(RekognitionError, message="The collection already exists."):
    """A collection with this id exists already."""


class ResourceNotFoundException(RekognitionError, message="The resource does not exist."):
    """A collection, user or tagged resource does not exist."""


class ServiceQuotaExceededException(RekognitionError, message="The request exceeds a service quota."):
    """A limit of AWS is exceeded, such as 100 faces per user."""


class ThrottlingException(RekognitionError, message="Service Unavailable", status=500):
    """The service is busy; HTTP 500. boto3 retries by itself."""


class ValidationException(RekognitionError, message="The request does not satisfy the constraints of its model."):
    """A parameter is missing, or violates a constraint of the service model."""


class SerializationException(RekognitionError, message="The request can not be read."):
    """A request is not valid JSON, or a value has the wrong type."""


class UnknownOperationException(RekognitionError, message="There is no such operation."):
    """The operation does not exist, or is not supported here."""


class RequestEntityTooLargeException(RekognitionError, message="The request is too large.", status=413):
    """The body of a request exceeds the size limit; HTTP 413."""


class UnrecognizedClientException(RekognitionError, message="The security token included in the request is invalid."):
    """The access key of a request is unknown."""


class InvalidSignatureException(
    RekognitionError,
    message="The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details.",
):
    """The signature of a request is wrong, expired, or not yet valid."""


class IncompleteSignatureException(
    RekognitionError, message="The request signature does not conform to AWS standards."
):
    """The Authorization header of a request is incomplete or malformed."""


class MissingAuthenticationTokenException(RekognitionError, message="Missing Authentication Token"):
    """A request is not signed."""


FAULTS: Final[Mapping[str, type[RekognitionError]]] = MappingProxyType(
    {fault.code: fault for fault in RekognitionError.__subclasses__()}
)
"""Error classes by AWS's names."""
