"""Predict how well a face matches: one number, from the feature maps of the embedding network.

A logistic regression on the means of the network's maps. Its weights come with the package and were fitted by
``training/face_quality.py`` on degraded photographs; docs/quality.md compares it with other scores.
"""

from functools import partial
from io import BytesIO
from typing import Final

import numpy as np

from facesearch.common.arrays import FloatArray
from facesearch.common.once import Once
from facesearch.embedding.mapped import FeatureMaps
from facesearch.networks.weights import FACE_QUALITY, WeightFile, read_weights

__all__ = ["MatchQuality", "features"]


def features(maps: FeatureMaps) -> FloatArray:
    """Return the features of the score.

    Parameters
    ----------
    maps
        Feature maps of N faces.

    Returns
    -------
    ndarray of shape (N, 1792) for SFace, (N, 384) for dlib's network
        float32: the mean of each channel, and of all views; of dlib's maps, those of the coarse one and of the middle one.
    """
    names = ("maps",) if "maps" in maps.arrays else ("coarse", "middle")
    means = np.concatenate([maps.arrays[name].mean(axis=(2, 3)) for name in names], axis=1)
    mean: FloatArray = means.reshape(maps.views, -1, means.shape[1]).mean(axis=0)
    return mean


class MatchQuality:
    """Predicts how well faces match.

    Parameters
    ----------
    file
        The weights, fitted on the maps of one network.
    """

    def __init__(self, file: WeightFile = FACE_QUALITY) -> None:
        self._file = file
        self._loaded: Once[tuple[FloatArray, float]] = Once()

    def score(self, maps: FeatureMaps) -> tuple[float, ...]:
        """Score N faces.

        Parameters
        ----------
        maps
            From `facesearch.embedding.mapped.MappedEmbedder.embed_with_maps`.

        Returns
        -------
        tuple of N float
            Percent, 0-100: the probability that the face reaches a similarity of 80 to another, ordinary photo of the same person.
            A score does not depend on the other faces, and equals that of the mirror image where there are two views.
        """
        weights, bias = self._loaded(partial(_load, self._file))
        logits = features(maps).astype(np.float64) @ weights + bias
        return tuple((100 / (1 + np.exp(-np.clip(logits, _LEAST, -_LEAST)))).tolist())


def _load(file: WeightFile) -> tuple[FloatArray, float]:
    with np.load(BytesIO(read_weights(file)), allow_pickle=False) as arrays:
        return arrays["weights"], float(arrays["bias"])


_LEAST: Final = -50.0  # beyond, percent is 0 or 100 to the last digit
