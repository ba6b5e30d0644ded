"""Analyse each photograph once, for the parts of ``benchmarks/quality.py``."""

import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

import facesearch as fs
from facesearch.common.arrays import FloatArray, PixelArray
from facesearch.common.ordered_map import in_order
from facesearch.domain.attributes import Attribute
from facesearch.domain.face_detail import Pose
from facesearch.embedding.sface import SFaceEmbedder
from facesearch.images.reading import ImageSource, read_image
from facesearch.networks.runtime import usable_cores

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from labelled import Part, part_of  # after the path

__all__ = [
    "ANYTHING",
    "FILTERS",
    "THRESHOLD",
    "OneAnalysisAnalyzer",
    "PhotoMeasurements",
    "is_aside",
    "measure_photos",
    "padded",
    "table_row",
]

Bools = NDArray[np.bool_]

# Bars that every face passes, so that every face's quality is measured.
ANYTHING: Final = fs.QualityBars(
    min_size=0, min_confidence=0, min_brightness=0, min_sharpness=0, max_yaw=180, max_pitch_up=180, max_pitch_down=180
)
FILTERS: Final = (fs.QualityFilter.LOW, fs.QualityFilter.MEDIUM, fs.QualityFilter.HIGH)
THRESHOLD: Final = 80.0  # AWS's default: the similarity at which people are told apart
# What a measure_one depends on; the last has the hashes of the weights.
_ON_THE_WAY: Final = ("analysis", "appearance", "detection", "embedding", "images", "networks")  # folders
_COLUMNS: Final = ("area", "size", "confidence", "brightness", "sharpness", "yaw", "pitch", "roll", "quality")


@attrs.frozen(kw_only=True, eq=False)
class OneAnalysisAnalyzer(fs.FaceAnalyzer):
    """An analyzer that looks at each picture once, and measures the quality of every face, asked for or not.

    What passes a filter is the same: a quality counts only where nothing else is missed.
    """

    _seen: dict[str, tuple[fs.LocatedFace, ...]] = attrs.field(factory=dict, init=False, repr=False)

    def locate(
        self, image: ImageSource, *, attributes: Iterable[str | Attribute] = (Attribute.DEFAULT,)
    ) -> tuple[fs.LocatedFace, ...]:
        """Find and measure every face; see `facesearch.FaceAnalyzer.locate`."""
        picture = read_image(image)
        if picture.digest not in self._seen:
            self._seen[picture.digest] = self.assess(super().locate(picture, attributes=attributes), ANYTHING)
        return self._seen[picture.digest]


@attrs.frozen(kw_only=True, eq=False)
class PhotoMeasurements:
    """Measurements and vectors of N photographs, of the largest face of each.

    Attributes
    ----------
    photos
        The N paths.
    found
        (N,): whether there is a face. Without, the other rows are NaN.
    measured
        (N, 9) float64, see `column`.
    plain, mirror
        (N, 128) float32: the network's vectors of the face and of its mirror image.
    """

    photos: tuple[Path, ...] = attrs.field(repr=False)
    found: Bools
    measured: NDArray[np.float64]
    plain: FloatArray
    mirror: FloatArray

    @property
    def vectors(self) -> FloatArray:
        """(N, 128): what the library embeds."""
        return self.plain

    def column(self, name: str) -> NDArray[np.float64]:
        """Return (N,) of one measurement: area, size, confidence, brightness, sharpness, yaw, pitch, roll or quality."""
        return self.measured[:, _COLUMNS.index(name)]

    def measurements(self, row: int) -> fs.FaceMeasurements:
        """Return the measurements that the filters use."""
        values = dict(zip(_COLUMNS, self.measured[row].tolist(), strict=True))
        pose = Pose(**{name: values.pop(name) for name in ("roll", "yaw", "pitch")})
        return fs.FaceMeasurements(**values, pose=pose)


def measure_photos(photos: Sequence[Path], *, padding: float = 0.0, cache: Path | None = None) -> PhotoMeasurements:
    """Analyse the largest face of each photograph.

    Parameters
    ----------
    photos
        Paths.
    padding
        Share of the longer side to add on each side, the edge's pixels repeated.
    cache
        File that keeps all of it, for as long as the photographs, the weights and the code that looks are the same.
    """
    key = _key(photos, padding)
    if cache is not None and cache.exists():
        with np.load(cache, allow_pickle=False) as file:
            if str(file["key"]) == key:
                names = ("found", "measured", "plain", "mirror")
                return PhotoMeasurements(photos=tuple(photos), **{name: file[name] for name in names})
    analyzer, network = fs.FaceAnalyzer(threads=1), SFaceEmbedder(threads=1)
    nothing = np.full(len(_COLUMNS), np.nan), np.full((2, 128), np.nan, np.float32)

    def measure_one(path: Path) -> tuple[NDArray[np.float64], FloatArray]:
        located = analyzer.locate(padded(read_image(path).pixels, padding))
        if not located:
            return nothing
        (face,) = analyzer.assess(located[:1], ANYTHING)
        m = face.measurements
        values = (
            m.area,
            m.size,
            m.confidence,
            m.brightness,
            m.sharpness,
            m.pose.yaw,
            m.pose.pitch,
            m.pose.roll,
            m.quality,
        )
        return np.array(values, np.float64), network.embed(np.stack([face.probe, face.probe[:, ::-1]]))

    rows = list(in_order(measure_one, photos, usable_cores()))
    measured, vectors = np.stack([row for row, _ in rows]), np.stack([pair for _, pair in rows])
    looks = PhotoMeasurements(
        photos=tuple(photos),
        found=np.isfinite(measured[:, 0]),
        measured=measured,
        plain=vectors[:, 0],
        mirror=vectors[:, 1],
    )
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, key=key, found=looks.found, measured=looks.measured, plain=looks.plain, mirror=looks.mirror)
    return looks


def padded(pixels: PixelArray, padding: float) -> PixelArray:
    """Repeat a photograph's edge around it, by a share of its longer side."""
    pad = round(padding * max(pixels.shape[:2]))
    return np.pad(pixels, ((pad, pad), (pad, pad), (0, 0)), mode="edge")


def is_aside(person: str) -> bool:
    """Return whether this person of lfw_grey was held out of the training of the quality score."""
    return part_of(f"lfw_grey/{person}") is Part.MEASURE


def table_row(label: str, cells: Iterable[str], *, first: int = 34, width: int = 10) -> str:
    """Make a line of a table."""
    return f"  {label:<{first}}" + "".join(f"{cell:>{width}}" for cell in cells)


def _key(photos: Sequence[Path], padding: float) -> str:
    digest = hashlib.sha256(repr(padding).encode())
    package = Path(fs.__file__).parent
    code = [path for folder in _ON_THE_WAY for path in sorted((package / folder).rglob("*.py"))]
    for path in (*code, *photos):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
