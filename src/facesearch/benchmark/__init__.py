"""Measure accuracy and cost on your photographs: verification, identification, calibration, groups, speed.

The command line is ``python -m facesearch.benchmark``; the functions here do the same from Python. Those that take distances or
vectors are pure: they need no photograph and no weights. Progress bars need tqdm and plots matplotlib
(``facesearch[benchmark]``); everything else needs neither.
"""

from facesearch.benchmark.machine import Machine, describe_machine
from facesearch.benchmark.metrics.discard import ErrorVersusDiscard, error_versus_discard, partial_area
from facesearch.benchmark.metrics.groups import GroupRates, group_rates
from facesearch.benchmark.metrics.rates import Rate
from facesearch.benchmark.metrics.reliability import StatedRate, reliability
from facesearch.benchmark.metrics.roc import Roc, area_under_curve, equal_error_rate, roc, threshold_for
from facesearch.benchmark.photos.cutting import CutFace, CutOptions, FaceChoice, cut_face
from facesearch.benchmark.photos.degrading import blurred, compressed, covered, darkened, shrunk
from facesearch.benchmark.photos.embedded import EmbeddedPhotos, embed_photos
from facesearch.benchmark.photos.pairs import Pairs, read_pairs
from facesearch.benchmark.photos.people import Split, read_people, split_people
from facesearch.benchmark.plots import plot_det, plot_discard, plot_reliability, plot_roc, plot_scores
from facesearch.benchmark.protocols.calibration import calibrate, calibrate_folder
from facesearch.benchmark.protocols.identification import (
    Identification,
    IdentificationPoint,
    Scoring,
    identify,
    tally,
)
from facesearch.benchmark.protocols.verification import Fold, OperatingPoint, Verification, pair_distances, verify
from facesearch.benchmark.speed import Speed, StageTime, measure_speed

__all__ = [
    "CutFace",
    "CutOptions",
    "EmbeddedPhotos",
    "ErrorVersusDiscard",
    "FaceChoice",
    "Fold",
    "GroupRates",
    "Identification",
    "IdentificationPoint",
    "Machine",
    "OperatingPoint",
    "Pairs",
    "Rate",
    "Roc",
    "Scoring",
    "Speed",
    "Split",
    "StageTime",
    "StatedRate",
    "Verification",
    "area_under_curve",
    "blurred",
    "calibrate",
    "calibrate_folder",
    "compressed",
    "covered",
    "cut_face",
    "darkened",
    "describe_machine",
    "embed_photos",
    "equal_error_rate",
    "error_versus_discard",
    "group_rates",
    "identify",
    "measure_speed",
    "pair_distances",
    "partial_area",
    "plot_det",
    "plot_discard",
    "plot_reliability",
    "plot_roc",
    "plot_scores",
    "read_pairs",
    "read_people",
    "reliability",
    "roc",
    "shrunk",
    "split_people",
    "tally",
    "threshold_for",
    "verify",
]
