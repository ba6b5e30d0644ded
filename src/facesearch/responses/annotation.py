"""Draw the faces of a response on its photo: `facesearch.annotate`."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from PIL import Image

from facesearch.display.annotator import draw_faces
from facesearch.display.face_marks import FaceClass, SeenFace
from facesearch.domain.face_detail import FaceDetail
from facesearch.errors import InvalidParameterError
from facesearch.images.reading import ImageSource, read_image
from facesearch.responses.collection import IndexFacesResponse
from facesearch.responses.search_users import SearchUsersByImageResponse, refused_face, seen_faces

__all__ = ["FacesOfPhoto", "annotate", "faces_of_photo"]

FacesOfPhoto: TypeAlias = (
    SearchUsersByImageResponse | IndexFacesResponse | Sequence[SearchUsersByImageResponse] | Sequence[FaceDetail]
)
"""Every response about the faces of one photo."""


def annotate(photo: ImageSource, response: FacesOfPhoto) -> Image.Image:
    """Draw every face of a response on a copy of its photo: frames, names, reasons and landmarks.

    Parameters
    ----------
    photo
        The photo; path, bytes, binary file, PIL image, or uint8 array.
    response
        What `search_users_by_image`, `search_all_faces` (all its responses), `index_faces` or `detect_faces` returned for
        the photo.

    Returns
    -------
    PIL.Image.Image
        RGB, upright and as large as the photo. Nothing is written; ``image.save("annotated.jpg")`` does so. A notebook
        shows the image.

    Raises
    ------
    ImageError
        If the photo can't be used.
    InvalidParameterError
        If *response* is no such response.

    Notes
    -----
    The image equals the one that ``facesearch search --save`` and ``facesearch detect --save`` write. Up to six faces are
    labelled in words. Among more faces those that were found have names, and the others have numbers: the searched faces
    first, then the others in the order of the response. `facesearch.plotting.plot_faces` draws the same into a figure of
    matplotlib, with a legend.

    Examples
    --------
    >>> import facesearch as fs
    >>> from skimage.data import astronaut
    >>> image = fs.annotate(astronaut(), fs.detect_faces(astronaut()))
    >>> image.mode, image.size
    ('RGB', (512, 512))
    """
    faces = faces_of_photo("response", response)
    return draw_faces(read_image(photo).pixels, faces)


def faces_of_photo(argument: str, response: Any) -> tuple[SeenFace, ...]:
    """Return the faces of a response, see `annotate`, in the order of their numbers; the error names the argument."""
    if isinstance(response, SearchUsersByImageResponse):
        return seen_faces(response)
    if isinstance(response, IndexFacesResponse):
        indexed = (
            SeenFace(detail=record.face_detail, kind=FaceClass.INDEXED, name=record.face.user_id)
            for record in response.face_records
        )
        return (*indexed, *(refused_face(face.face_detail, face.reasons) for face in response.unindexed_faces))
    if isinstance(response, Sequence) and not isinstance(response, str | bytes):
        responses = [each for each in response if isinstance(each, SearchUsersByImageResponse)]
        details = [each for each in response if isinstance(each, FaceDetail)]
        if len(responses) == len(response):
            return seen_faces(*responses)
        if len(details) == len(response):
            return tuple(SeenFace(detail=detail, kind=FaceClass.DETECTED) for detail in details)
    raise InvalidParameterError.of(
        argument,
        response,
        "what search_users_by_image, search_all_faces, index_faces or detect_faces answered",
    )
