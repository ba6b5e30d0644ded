"""The face chip: a face cut out upright, always of the same size and place, as the embedding network expects it."""

from facesearch._dlib import predict_shape
from facesearch.stages import CHIP_PADDING, CHIP_SIZE, Detection, PixelArray
from facesearch.weights import LANDMARKS_5

__all__ = ["DlibAligner"]


class DlibAligner:
    """dlib's own way: a similarity transform from the corners of the eyes and the nose, then a bilinear cut.

    References
    ----------
    ``dlib.get_face_chip``, http://dlib.net/face_alignment.py.html.
    """

    def chip(self, pixels: PixelArray, detection: Detection) -> PixelArray:
        """Cut out one face; see `facesearch.stages.Aligner.chip`."""
        import dlib

        shape = predict_shape(LANDMARKS_5, pixels, detection)
        chip: PixelArray = dlib.get_face_chip(pixels, shape, size=CHIP_SIZE, padding=CHIP_PADDING)
        return chip
