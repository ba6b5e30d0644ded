"""A local service with Amazon Rekognition's operations on collections and faces; it matches real faces.

The service has three interfaces: `Rekognition` with Python methods; `client` and `answering` for stock boto3 clients in the same
process (``facesearch[aws]``); ``facesearch serve`` and `facesearch.rekognition.http.server` over HTTP (``facesearch[server]``).
docs/rekognition.md lists the supported operations and the differences from AWS.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facesearch.rekognition.boto3_client import answering, client
    from facesearch.rekognition.exceptions import FAULTS, RekognitionError
    from facesearch.rekognition.s3_objects import ObjectStore, S3Client, S3Folder
    from facesearch.rekognition.service import ANSWERED, Rekognition

__all__ = [
    "ANSWERED",
    "FAULTS",
    "ObjectStore",
    "Rekognition",
    "RekognitionError",
    "S3Client",
    "S3Folder",
    "answering",
    "client",
]

_HOME = {
    "exceptions": ("FAULTS", "RekognitionError"),
    "boto3_client": ("answering", "client"),
    "s3_objects": ("ObjectStore", "S3Client", "S3Folder"),
    "service": ("ANSWERED", "Rekognition"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    # Imported on first use: pytest imports this package at every start, since it contains the pytest plugin.
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
