"""facesearch: who is in this photo? Amazon Rekognition's SearchUsersByImage, answered on your own machine.

The main job in four lines::

    import facesearch as fs

    staff = fs.Collection("staff")
    staff.enroll("ada", ["ada-1.jpg", "ada-2.jpg", "ada-3.jpg"])
    response = fs.search_users_by_image(staff, "party.jpg")
    fs.to_aws(response)  # AWS's own dict

Importing this package loads no model and reads no data; names are looked up in their modules when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facesearch.analysis import AnalyzedFace as AnalyzedFace
    from facesearch.analysis import Engine as Engine
    from facesearch.analysis import FaceAnalyzer as FaceAnalyzer
    from facesearch.analysis import LocatedFace as LocatedFace
    from facesearch.analysis import detect_faces as detect_faces
    from facesearch.attributes import Attribute as Attribute
    from facesearch.attributes import Unassessed as Unassessed
    from facesearch.audit_report import AuditReport as AuditReport
    from facesearch.audit_report import LooseUser as LooseUser
    from facesearch.audit_report import MisplacedFace as MisplacedFace
    from facesearch.audit_report import SamePerson as SamePerson
    from facesearch.aws import from_aws as from_aws
    from facesearch.aws import to_aws as to_aws
    from facesearch.bars import SHIPPED_BARS as SHIPPED_BARS
    from facesearch.bars import FaceMeasurements as FaceMeasurements
    from facesearch.bars import FilterBars as FilterBars
    from facesearch.bars import QualityBars as QualityBars
    from facesearch.bars import QualityFilter as QualityFilter
    from facesearch.catalog import CollectionInfo as CollectionInfo
    from facesearch.catalog import collections as collections
    from facesearch.catalog import delete_collection as delete_collection
    from facesearch.checks import Check as Check
    from facesearch.collection import Collection as Collection
    from facesearch.comparing import compare_faces as compare_faces
    from facesearch.comparisons import Comparison as Comparison
    from facesearch.embedding import OnnxEmbedder as OnnxEmbedder
    from facesearch.errors import CalibrationError as CalibrationError
    from facesearch.errors import ClosedError as ClosedError
    from facesearch.errors import CollectionExistsError as CollectionExistsError
    from facesearch.errors import CollectionNotFoundError as CollectionNotFoundError
    from facesearch.errors import ExecutorError as ExecutorError
    from facesearch.errors import FaceModelMismatchError as FaceModelMismatchError
    from facesearch.errors import FaceNotFoundError as FaceNotFoundError
    from facesearch.errors import FacesearchError as FacesearchError
    from facesearch.errors import ImageError as ImageError
    from facesearch.errors import ImageNotFoundError as ImageNotFoundError
    from facesearch.errors import ImageTooLargeError as ImageTooLargeError
    from facesearch.errors import ImageTooSmallError as ImageTooSmallError
    from facesearch.errors import InvalidEmbeddingError as InvalidEmbeddingError
    from facesearch.errors import InvalidImageFormatError as InvalidImageFormatError
    from facesearch.errors import InvalidParameterError as InvalidParameterError
    from facesearch.errors import MissingExtraError as MissingExtraError
    from facesearch.errors import OutputRefusedError as OutputRefusedError
    from facesearch.errors import QuotaExceededError as QuotaExceededError
    from facesearch.errors import StorageBusyError as StorageBusyError
    from facesearch.errors import StorageError as StorageError
    from facesearch.errors import StorageFormatError as StorageFormatError
    from facesearch.errors import StorageFullError as StorageFullError
    from facesearch.errors import StorageReadOnlyError as StorageReadOnlyError
    from facesearch.errors import TokenReusedError as TokenReusedError
    from facesearch.errors import UserAlreadyExistsError as UserAlreadyExistsError
    from facesearch.errors import UserNotFoundError as UserNotFoundError
    from facesearch.errors import WeightsError as WeightsError
    from facesearch.errors import WireError as WireError
    from facesearch.explanation import Explanation as Explanation
    from facesearch.explanation import FaceExplanation as FaceExplanation
    from facesearch.explanation import explain as explain
    from facesearch.face import AgeRange as AgeRange
    from facesearch.face import Beard as Beard
    from facesearch.face import DetectedFace as DetectedFace
    from facesearch.face import Emotion as Emotion
    from facesearch.face import EmotionType as EmotionType
    from facesearch.face import EyeDirection as EyeDirection
    from facesearch.face import Eyeglasses as Eyeglasses
    from facesearch.face import EyesOpen as EyesOpen
    from facesearch.face import FaceDetail as FaceDetail
    from facesearch.face import FaceOccluded as FaceOccluded
    from facesearch.face import Gender as Gender
    from facesearch.face import GenderType as GenderType
    from facesearch.face import ImageQuality as ImageQuality
    from facesearch.face import MouthOpen as MouthOpen
    from facesearch.face import Mustache as Mustache
    from facesearch.face import Pose as Pose
    from facesearch.face import Smile as Smile
    from facesearch.face import Sunglasses as Sunglasses
    from facesearch.face_results import ComparedFace as ComparedFace
    from facesearch.face_results import ComparedSourceImageFace as ComparedSourceImageFace
    from facesearch.face_results import CompareFacesMatch as CompareFacesMatch
    from facesearch.face_results import CompareFacesResponse as CompareFacesResponse
    from facesearch.face_results import FaceMatch as FaceMatch
    from facesearch.face_results import SearchedFace as SearchedFace
    from facesearch.face_results import SearchedUser as SearchedUser
    from facesearch.face_results import SearchFacesByImageResponse as SearchFacesByImageResponse
    from facesearch.face_results import SearchFacesResponse as SearchFacesResponse
    from facesearch.face_results import SearchUsersResponse as SearchUsersResponse
    from facesearch.face_search import search_faces as search_faces
    from facesearch.face_search import search_faces_by_image as search_faces_by_image
    from facesearch.face_search import search_users as search_users
    from facesearch.folder_report import BrokenPhoto as BrokenPhoto
    from facesearch.folder_report import FolderProgress as FolderProgress
    from facesearch.folder_report import FolderReport as FolderReport
    from facesearch.folder_report import RefusedPhoto as RefusedPhoto
    from facesearch.geometry import BoundingBox as BoundingBox
    from facesearch.geometry import Landmark as Landmark
    from facesearch.geometry import LandmarkType as LandmarkType
    from facesearch.image import ImageSource as ImageSource
    from facesearch.image import Picture as Picture
    from facesearch.image import read_image as read_image
    from facesearch.network_card import NetworkCard as NetworkCard
    from facesearch.onnx_embedding import NetworkEmbedder as NetworkEmbedder
    from facesearch.reasons import QualityReason as QualityReason
    from facesearch.records import AssociatedFace as AssociatedFace
    from facesearch.records import AssociateFacesResponse as AssociateFacesResponse
    from facesearch.records import DeleteFacesResponse as DeleteFacesResponse
    from facesearch.records import DisassociatedFace as DisassociatedFace
    from facesearch.records import DisassociateFacesResponse as DisassociateFacesResponse
    from facesearch.records import Enrollment as Enrollment
    from facesearch.records import EnrollmentReason as EnrollmentReason
    from facesearch.records import EnrollmentReport as EnrollmentReport
    from facesearch.records import Face as Face
    from facesearch.records import FaceModel as FaceModel
    from facesearch.records import FaceRecord as FaceRecord
    from facesearch.records import IndexFacesResponse as IndexFacesResponse
    from facesearch.records import UnindexedFace as UnindexedFace
    from facesearch.records import UnindexedFaceReason as UnindexedFaceReason
    from facesearch.records import UnsuccessfulFaceAssociation as UnsuccessfulFaceAssociation
    from facesearch.records import UnsuccessfulFaceAssociationReason as UnsuccessfulFaceAssociationReason
    from facesearch.records import UnsuccessfulFaceDeletion as UnsuccessfulFaceDeletion
    from facesearch.records import UnsuccessfulFaceDeletionReason as UnsuccessfulFaceDeletionReason
    from facesearch.records import UnsuccessfulFaceDisassociation as UnsuccessfulFaceDisassociation
    from facesearch.records import UnsuccessfulFaceDisassociationReason as UnsuccessfulFaceDisassociationReason
    from facesearch.records import User as User
    from facesearch.records import UserStatus as UserStatus
    from facesearch.results import MatchedUser as MatchedUser
    from facesearch.results import SearchedFaceDetails as SearchedFaceDetails
    from facesearch.results import SearchedFaceResponse as SearchedFaceResponse
    from facesearch.results import SearchUsersByImageResponse as SearchUsersByImageResponse
    from facesearch.results import UnsearchedFace as UnsearchedFace
    from facesearch.results import UnsearchedFaceReason as UnsearchedFaceReason
    from facesearch.results import UserMatch as UserMatch
    from facesearch.scoring import Calibration as Calibration
    from facesearch.scoring import CalibrationRow as CalibrationRow
    from facesearch.scoring import calibration as calibration
    from facesearch.scoring import distance_at as distance_at
    from facesearch.scoring import similarity as similarity
    from facesearch.search import search_all_faces as search_all_faces
    from facesearch.search import search_users_by_image as search_users_by_image
    from facesearch.weights import WeightFile as WeightFile
    from facesearch.weights import models as models

__version__ = "0.1.0"

__all__ = [
    "SHIPPED_BARS",
    "AgeRange",
    "AnalyzedFace",
    "AssociateFacesResponse",
    "AssociatedFace",
    "Attribute",
    "AuditReport",
    "Beard",
    "BoundingBox",
    "BrokenPhoto",
    "Calibration",
    "CalibrationError",
    "CalibrationRow",
    "Check",
    "ClosedError",
    "Collection",
    "CollectionExistsError",
    "CollectionInfo",
    "CollectionNotFoundError",
    "CompareFacesMatch",
    "CompareFacesResponse",
    "ComparedFace",
    "ComparedSourceImageFace",
    "Comparison",
    "DeleteFacesResponse",
    "DetectedFace",
    "DisassociateFacesResponse",
    "DisassociatedFace",
    "Emotion",
    "EmotionType",
    "Engine",
    "Enrollment",
    "EnrollmentReason",
    "EnrollmentReport",
    "ExecutorError",
    "Explanation",
    "EyeDirection",
    "Eyeglasses",
    "EyesOpen",
    "Face",
    "FaceAnalyzer",
    "FaceDetail",
    "FaceExplanation",
    "FaceMatch",
    "FaceMeasurements",
    "FaceModel",
    "FaceModelMismatchError",
    "FaceNotFoundError",
    "FaceOccluded",
    "FaceRecord",
    "FacesearchError",
    "FilterBars",
    "FolderProgress",
    "FolderReport",
    "Gender",
    "GenderType",
    "ImageError",
    "ImageNotFoundError",
    "ImageQuality",
    "ImageSource",
    "ImageTooLargeError",
    "ImageTooSmallError",
    "IndexFacesResponse",
    "InvalidEmbeddingError",
    "InvalidImageFormatError",
    "InvalidParameterError",
    "Landmark",
    "LandmarkType",
    "LocatedFace",
    "LooseUser",
    "MatchedUser",
    "MisplacedFace",
    "MissingExtraError",
    "MouthOpen",
    "Mustache",
    "NetworkCard",
    "NetworkEmbedder",
    "OnnxEmbedder",
    "OutputRefusedError",
    "Picture",
    "Pose",
    "QualityBars",
    "QualityFilter",
    "QualityReason",
    "QuotaExceededError",
    "RefusedPhoto",
    "SamePerson",
    "SearchFacesByImageResponse",
    "SearchFacesResponse",
    "SearchUsersByImageResponse",
    "SearchUsersResponse",
    "SearchedFace",
    "SearchedFaceDetails",
    "SearchedFaceResponse",
    "SearchedUser",
    "Smile",
    "StorageBusyError",
    "StorageError",
    "StorageFormatError",
    "StorageFullError",
    "StorageReadOnlyError",
    "Sunglasses",
    "TokenReusedError",
    "Unassessed",
    "UnindexedFace",
    "UnindexedFaceReason",
    "UnsearchedFace",
    "UnsearchedFaceReason",
    "UnsuccessfulFaceAssociation",
    "UnsuccessfulFaceAssociationReason",
    "UnsuccessfulFaceDeletion",
    "UnsuccessfulFaceDeletionReason",
    "UnsuccessfulFaceDisassociation",
    "UnsuccessfulFaceDisassociationReason",
    "User",
    "UserAlreadyExistsError",
    "UserMatch",
    "UserNotFoundError",
    "UserStatus",
    "WeightFile",
    "WeightsError",
    "WireError",
    "__version__",
    "calibration",
    "collections",
    "compare_faces",
    "delete_collection",
    "detect_faces",
    "distance_at",
    "explain",
    "from_aws",
    "models",
    "read_image",
    "search_all_faces",
    "search_faces",
    "search_faces_by_image",
    "search_users",
    "search_users_by_image",
    "similarity",
    "to_aws",
]

_HOME = {
    "analysis": (
        "AnalyzedFace",
        "Engine",
        "FaceAnalyzer",
        "LocatedFace",
        "detect_faces",
    ),
    "attributes": (
        "Attribute",
        "Unassessed",
    ),
    "audit_report": (
        "AuditReport",
        "LooseUser",
        "MisplacedFace",
        "SamePerson",
    ),
    "aws": (
        "from_aws",
        "to_aws",
    ),
    "bars": (
        "SHIPPED_BARS",
        "FaceMeasurements",
        "FilterBars",
        "QualityBars",
        "QualityFilter",
    ),
    "catalog": (
        "CollectionInfo",
        "collections",
        "delete_collection",
    ),
    "checks": ("Check",),
    "collection": ("Collection",),
    "comparing": ("compare_faces",),
    "comparisons": ("Comparison",),
    "embedding": ("OnnxEmbedder",),
    "errors": (
        "CalibrationError",
        "ClosedError",
        "CollectionExistsError",
        "CollectionNotFoundError",
        "ExecutorError",
        "FaceModelMismatchError",
        "FaceNotFoundError",
        "FacesearchError",
        "ImageError",
        "ImageNotFoundError",
        "ImageTooLargeError",
        "ImageTooSmallError",
        "InvalidEmbeddingError",
        "InvalidImageFormatError",
        "InvalidParameterError",
        "MissingExtraError",
        "OutputRefusedError",
        "QuotaExceededError",
        "StorageBusyError",
        "StorageError",
        "StorageFormatError",
        "StorageFullError",
        "StorageReadOnlyError",
        "TokenReusedError",
        "UserAlreadyExistsError",
        "UserNotFoundError",
        "WeightsError",
        "WireError",
    ),
    "explanation": (
        "Explanation",
        "FaceExplanation",
        "explain",
    ),
    "face": (
        "AgeRange",
        "Beard",
        "DetectedFace",
        "Emotion",
        "EmotionType",
        "EyeDirection",
        "Eyeglasses",
        "EyesOpen",
        "FaceDetail",
        "FaceOccluded",
        "Gender",
        "GenderType",
        "ImageQuality",
        "MouthOpen",
        "Mustache",
        "Pose",
        "Smile",
        "Sunglasses",
    ),
    "face_results": (
        "CompareFacesMatch",
        "CompareFacesResponse",
        "ComparedFace",
        "ComparedSourceImageFace",
        "FaceMatch",
        "SearchFacesByImageResponse",
        "SearchFacesResponse",
        "SearchUsersResponse",
        "SearchedFace",
        "SearchedUser",
    ),
    "face_search": (
        "search_faces",
        "search_faces_by_image",
        "search_users",
    ),
    "folder_report": (
        "BrokenPhoto",
        "FolderProgress",
        "FolderReport",
        "RefusedPhoto",
    ),
    "geometry": (
        "BoundingBox",
        "Landmark",
        "LandmarkType",
    ),
    "image": (
        "ImageSource",
        "Picture",
        "read_image",
    ),
    "network_card": ("NetworkCard",),
    "onnx_embedding": ("NetworkEmbedder",),
    "reasons": ("QualityReason",),
    "records": (
        "AssociateFacesResponse",
        "AssociatedFace",
        "DeleteFacesResponse",
        "DisassociateFacesResponse",
        "DisassociatedFace",
        "Enrollment",
        "EnrollmentReason",
        "EnrollmentReport",
        "Face",
        "FaceModel",
        "FaceRecord",
        "IndexFacesResponse",
        "UnindexedFace",
        "UnindexedFaceReason",
        "UnsuccessfulFaceAssociation",
        "UnsuccessfulFaceAssociationReason",
        "UnsuccessfulFaceDeletion",
        "UnsuccessfulFaceDeletionReason",
        "UnsuccessfulFaceDisassociation",
        "UnsuccessfulFaceDisassociationReason",
        "User",
        "UserStatus",
    ),
    "results": (
        "MatchedUser",
        "SearchUsersByImageResponse",
        "SearchedFaceDetails",
        "SearchedFaceResponse",
        "UnsearchedFace",
        "UnsearchedFaceReason",
        "UserMatch",
    ),
    "scoring": (
        "Calibration",
        "CalibrationRow",
        "calibration",
        "distance_at",
        "similarity",
    ),
    "search": (
        "search_all_faces",
        "search_users_by_image",
    ),
    "weights": (
        "WeightFile",
        "models",
    ),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # found once, this function is not asked again
    return value


def __dir__() -> list[str]:
    return __all__
