# The one list of public names: lazy_loader reads it at run time, type checkers read it as it is.

from .analysis.analyzer import (
    Engine as Engine,
    FaceAnalyzer as FaceAnalyzer,
    ModelFamily as ModelFamily,
    detect_faces as detect_faces,
)
from .analysis.faces import AnalyzedFace as AnalyzedFace, LocatedFace as LocatedFace
from .aws import (
    from_aws as from_aws,
    to_aws as to_aws,
)
from .collection.collection import (
    Collection as Collection,
)
from .domain.attributes import (
    Attribute as Attribute,
    Unassessed as Unassessed,
)
from .domain.changes import (
    Change as Change,
    ChangedFace as ChangedFace,
    ChangeKind as ChangeKind,
)
from .domain.entities import (
    Face as Face,
    FaceModel as FaceModel,
    User as User,
    UserStatus as UserStatus,
)
from .domain.face_detail import (
    AgeRange as AgeRange,
    Beard as Beard,
    DetectedFace as DetectedFace,
    Emotion as Emotion,
    EmotionType as EmotionType,
    EyeDirection as EyeDirection,
    Eyeglasses as Eyeglasses,
    EyesOpen as EyesOpen,
    FaceDetail as FaceDetail,
    FaceOccluded as FaceOccluded,
    Gender as Gender,
    GenderType as GenderType,
    ImageQuality as ImageQuality,
    MouthOpen as MouthOpen,
    Mustache as Mustache,
    Pose as Pose,
    Smile as Smile,
    Sunglasses as Sunglasses,
)
from .domain.geometry import (
    BoundingBox as BoundingBox,
    Landmark as Landmark,
    LandmarkType as LandmarkType,
)
from .domain.reasons import (
    EnrollmentReason as EnrollmentReason,
    QualityReason as QualityReason,
    UnindexedFaceReason as UnindexedFaceReason,
)
from .embedding.dlib_resnet import (
    OnnxEmbedder as OnnxEmbedder,
)
from .embedding.network_card import (
    NetworkCard as NetworkCard,
)
from .embedding.own_network import (
    NetworkEmbedder as NetworkEmbedder,
)
from .embedding.sface import (
    SFaceEmbedder as SFaceEmbedder,
)
from .errors import (
    CalibrationError as CalibrationError,
    ClosedError as ClosedError,
    CollectionExistsError as CollectionExistsError,
    CollectionNotFoundError as CollectionNotFoundError,
    ExecutorError as ExecutorError,
    FaceModelMismatchError as FaceModelMismatchError,
    FaceNotFoundError as FaceNotFoundError,
    FacesearchError as FacesearchError,
    GroupChangedError as GroupChangedError,
    ImageError as ImageError,
    ImageNotFoundError as ImageNotFoundError,
    ImageTooLargeError as ImageTooLargeError,
    ImageTooSmallError as ImageTooSmallError,
    InvalidEmbeddingError as InvalidEmbeddingError,
    InvalidImageFormatError as InvalidImageFormatError,
    InvalidParameterError as InvalidParameterError,
    MissingExtraError as MissingExtraError,
    NothingToUndoError as NothingToUndoError,
    OutputRefusedError as OutputRefusedError,
    QuotaExceededError as QuotaExceededError,
    StorageBusyError as StorageBusyError,
    StorageError as StorageError,
    StorageFormatError as StorageFormatError,
    StorageFullError as StorageFullError,
    StorageReadOnlyError as StorageReadOnlyError,
    StorageUncertainError as StorageUncertainError,
    TokenReusedError as TokenReusedError,
    UndoConflictError as UndoConflictError,
    UserAlreadyExistsError as UserAlreadyExistsError,
    UserNotFoundError as UserNotFoundError,
    WeightsError as WeightsError,
    WireError as WireError,
)
from .images.reading import (
    ImageSource as ImageSource,
    Picture as Picture,
    read_image as read_image,
)
from .matching.calibration import (
    Calibration as Calibration,
    CalibrationRow as CalibrationRow,
    calibration as calibration,
    distance_at as distance_at,
    similarity as similarity,
)
from .networks.weights import (
    WeightFile as WeightFile,
    models as models,
)
from .responses.annotation import annotate as annotate
from .responses.audit import (
    AuditReport as AuditReport,
    LooseUser as LooseUser,
    MisplacedFace as MisplacedFace,
    SamePerson as SamePerson,
)
from .responses.collection import (
    AssociatedFace as AssociatedFace,
    AssociateFacesResponse as AssociateFacesResponse,
    DeleteFacesResponse as DeleteFacesResponse,
    DisassociatedFace as DisassociatedFace,
    DisassociateFacesResponse as DisassociateFacesResponse,
    Enrollment as Enrollment,
    EnrollmentReport as EnrollmentReport,
    FaceRecord as FaceRecord,
    IndexFacesResponse as IndexFacesResponse,
    UnindexedFace as UnindexedFace,
    UnsuccessfulFaceAssociation as UnsuccessfulFaceAssociation,
    UnsuccessfulFaceAssociationReason as UnsuccessfulFaceAssociationReason,
    UnsuccessfulFaceDeletion as UnsuccessfulFaceDeletion,
    UnsuccessfulFaceDeletionReason as UnsuccessfulFaceDeletionReason,
    UnsuccessfulFaceDisassociation as UnsuccessfulFaceDisassociation,
    UnsuccessfulFaceDisassociationReason as UnsuccessfulFaceDisassociationReason,
)
from .responses.folder import (
    BrokenPhoto as BrokenPhoto,
    FolderProgress as FolderProgress,
    FolderReport as FolderReport,
    RefusedPhoto as RefusedPhoto,
)
from .responses.grouping import (
    FaceGroup as FaceGroup,
    NearestUser as NearestUser,
    PersonPhoto as PersonPhoto,
)
from .responses.records import to_records as to_records
from .responses.search_faces import (
    ComparedFace as ComparedFace,
    ComparedSourceImageFace as ComparedSourceImageFace,
    CompareFacesMatch as CompareFacesMatch,
    CompareFacesResponse as CompareFacesResponse,
    FaceMatch as FaceMatch,
    SearchedFace as SearchedFace,
    SearchedUser as SearchedUser,
    SearchFacesByImageResponse as SearchFacesByImageResponse,
    SearchFacesResponse as SearchFacesResponse,
    SearchUsersResponse as SearchUsersResponse,
)
from .responses.search_users import (
    MatchedUser as MatchedUser,
    SearchedFaceDetails as SearchedFaceDetails,
    SearchedFaceResponse as SearchedFaceResponse,
    SearchUsersByImageResponse as SearchUsersByImageResponse,
    UnsearchedFace as UnsearchedFace,
    UnsearchedFaceReason as UnsearchedFaceReason,
    UserMatch as UserMatch,
)
from .search.compare import (
    compare_faces as compare_faces,
)
from .search.faces import (
    search_faces as search_faces,
    search_faces_by_image as search_faces_by_image,
    search_users as search_users,
)
from .search.users import (
    search_all_faces as search_all_faces,
    search_users_by_image as search_users_by_image,
)
from .selection.checks import (
    Check as Check,
)
from .selection.comparisons import (
    Comparison as Comparison,
)
from .selection.explanation import (
    Explanation as Explanation,
    FaceExplanation as FaceExplanation,
    explain as explain,
)
from .selection.quality_filter import (
    SHIPPED_BARS as SHIPPED_BARS,
    FaceMeasurements as FaceMeasurements,
    FilterBars as FilterBars,
    QualityBars as QualityBars,
    QualityFilter as QualityFilter,
)
from .storage.catalog import (
    CollectionInfo as CollectionInfo,
    collections as collections,
    delete_collection as delete_collection,
)
from .storage.store import Store as Store

__version__: str
