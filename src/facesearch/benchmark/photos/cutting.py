"""Crop the one face of a photo, also of a photo in which none is detected.

Photos without a detected face are kept and counted, because dropping them would improve every figure: the face is taken to be a
centred square, a share of the photo's shorter side, and is aligned from there as a detected one is.
"""

from collections.abc import Sequence
from enum import Enum

import attrs
import numpy as np
from attrs import field

from facesearch.analysis.analyzer import FaceAnalyzer, analyzer_or_default
from facesearch.analysis.faces import LocatedFace
from facesearch.common.arrays import PixelArray
from facesearch.common.equality import content
from facesearch.common.validation import between, check_is, check_member, plain_float
from facesearch.images.reading import ImageSource, read_image
from facesearch.stages import Detection

__all__ = ["CENTRED_SHARE", "CutFace", "CutOptions", "FaceChoice", "cut_face"]

CENTRED_SHARE = 0.45  # the median of the boxes found in `people/` and `cacd_vs/`, which are framed as LFW is


class FaceChoice(Enum):
    """Choice of the labelled person's face in a photo with several."""

    LARGEST = "largest"
    CENTRE = "centre"


def _choice(value: str | FaceChoice) -> FaceChoice:
    return check_member("choice", value, FaceChoice)


@attrs.frozen(kw_only=True)
class CutOptions:
    """Options for cropping one face of each photo.

    Attributes
    ----------
    padding
        Share of the photo's longer side to add on each side before detecting, the edge's pixels repeated, 0-2. For photos
        filled by the face.
    choice
        ``"largest"``, as a search does, or ``"centre"``: the box with its centre nearest to the photo's, for data sets
        labelled so.
    centred_share
        Side of the square taken for the face where none is found: share of the photo's shorter side, without padding,
        0.05-2.
    """

    padding: float = field(default=0.0, converter=plain_float, validator=between(0, 2))
    choice: FaceChoice = field(default=FaceChoice.LARGEST, converter=_choice)
    centred_share: float = field(default=CENTRED_SHARE, converter=plain_float, validator=between(0.05, 2))

    @property
    def rule(self) -> str:
        """The rule for photos without a detected face, in words."""
        return f"a centred square of {self.centred_share:g} of the photo's shorter side, aligned as a detected face is"


def options_or_default(options: CutOptions | None) -> CutOptions:
    """Return *options*, or the default ones for ``None``; raise `InvalidParameterError` for anything else."""
    return CutOptions() if options is None else check_is("options", options, CutOptions)


@attrs.frozen(kw_only=True)
class CutFace:
    """The face of one photo.

    Attributes
    ----------
    probe
        uint8 RGB: the input of the analyzer's embedder.
    detected
        ``False`` where no face was detected and the rule's square was used.
    """

    probe: PixelArray = field(repr=False, eq=content)
    detected: bool


def cut_face(image: ImageSource, *, analyzer: FaceAnalyzer | None = None, options: CutOptions | None = None) -> CutFace:
    """Crop the one face of a photo: the detected one chosen by *options*, or the rule's square.

    Raises
    ------
    ImageError
        If the picture can't be used.

    Examples
    --------
    >>> cut_face(np.zeros((200, 200), np.uint8)).detected
    False
    """
    analyzer, options = analyzer_or_default(analyzer), options_or_default(options)
    pixels = read_image(image).pixels
    height, width = pixels.shape[:2]
    border = round(options.padding * max(height, width))
    if border:
        pixels = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="edge")
    located = analyzer.locate(pixels)
    if located:
        return CutFace(probe=_chosen(located, options.choice).probe, detected=True)
    half = options.centred_share * min(height, width) / 2
    x, y = pixels.shape[1] / 2, pixels.shape[0] / 2
    square = Detection(left=x - half, top=y - half, right=x + half, bottom=y + half, confidence=0)
    face = analyzer.aligner.align(pixels, square)
    points = analyzer.landmarker.locate(pixels, face)
    return CutFace(probe=analyzer.embedder.cut(pixels, face, points), detected=False)


def _chosen(located: Sequence[LocatedFace], choice: FaceChoice) -> LocatedFace:
    if choice is FaceChoice.LARGEST:
        return located[0]

    def off_centre(face: LocatedFace) -> float:
        box = face.detail.bounding_box
        return (box.left + box.width / 2 - 0.5) ** 2 + (box.top + box.height / 2 - 0.5) ** 2

    return min(located, key=off_centre)
