"""Operations on photos alone: detect, compare."""

from facesearch.analysis.analyzer import detect_faces as detect
from facesearch.aws import to_aws
from facesearch.rekognition.account import Account, Answer, Request
from facesearch.rekognition.error_mapping import invalid_parameters
from facesearch.search.compare import compare_faces as compare

__all__ = ["compare_faces", "detect_faces"]


def detect_faces(account: Account, request: Request) -> Answer:
    """Handle DetectFaces."""
    attributes = request.get("Attributes") or ("DEFAULT",)
    faces = detect(account.picture(request["Image"]), attributes=attributes, analyzer=account.analyzer)
    return {"FaceDetails": [to_aws(face) for face in faces]}


def compare_faces(account: Account, request: Request) -> Answer:
    """Handle CompareFaces."""
    response = compare(
        account.picture(request["SourceImage"]),
        account.picture(request["TargetImage"]),
        similarity_threshold=request["SimilarityThreshold"],
        quality_filter=request["QualityFilter"],
        analyzer=account.analyzer,
    )
    if response.source_image_face is None:
        raise invalid_parameters("There are no faces in the source image. Should be at least 1.")
    if not response.face_matches and not response.unmatched_faces:
        raise invalid_parameters("There are no faces in the target image. Should be at least 1.")
    return to_aws(response)
