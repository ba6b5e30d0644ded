r"""From the distance between two embeddings to a percentage.

One pure, strictly decreasing function, the same for every search: a threshold cuts, it never changes a score. It is the
log-logistic curve

.. math:: s(d) = \frac{100}{1 + (d / d_{50})^k}

fixed by two points until it is calibrated on measured false-match rates: dlib's customary distance of 0.6 is placed at 80,
and 0.77, the median distance between strangers, at 2. The curve is 100 at distance 0 and exactly 50 at
``d50``. A percentage here is *not* the probability that two photos show one person.
"""

import math

from facesearch._fields import check_float

__all__ = ["distance_at", "similarity"]

# dlib's example for its ResNet takes two faces for one person below 0.6
# (http://dlib.net/face_recognition.py.html); AWS's default threshold is 80.
MATCH_DISTANCE, MATCH_SIMILARITY = 0.6, 80.0
# The median distance of two photos of different people in `people/`, ten men of one generation: benchmarks/people.py.
STRANGER_DISTANCE, STRANGER_SIMILARITY = 0.77, 2.0


def _odds(percent: float) -> float:
    return (100 - percent) / percent


_SLOPE = math.log(_odds(STRANGER_SIMILARITY) / _odds(MATCH_SIMILARITY)) / math.log(STRANGER_DISTANCE / MATCH_DISTANCE)
# So far off that the percentage is below 1e-100; from there on the power may overflow.
_FAR = 1e9
_HALF_DISTANCE = MATCH_DISTANCE / _odds(MATCH_SIMILARITY) ** (1 / _SLOPE)


def similarity(distance: float) -> float:
    """Give the similarity of two faces whose embeddings are *distance* apart.

    Parameters
    ----------
    distance
        Euclidean distance of two embeddings of the same face model, >= 0; 0 is the same vector.

    Returns
    -------
    float
        Percent, 0-100; higher is closer. Strictly decreasing, as far as a float can tell.

    Raises
    ------
    InvalidParameterError
        If *distance* is negative or not finite.

    Examples
    --------
    >>> similarity(0.0), round(similarity(0.6), 9)
    (100.0, 80.0)
    """
    ratio = check_float("distance", distance, 0) / _HALF_DISTANCE
    return float(100 / (1 + min(ratio, _FAR) ** _SLOPE))


def distance_at(percent: float) -> float:
    """Give the distance at which the similarity is *percent*: the inverse of `similarity`.

    Parameters
    ----------
    percent
        0-100; 0 is never quite reached and gives infinity.

    Raises
    ------
    InvalidParameterError
        If *percent* is not in [0, 100].

    Examples
    --------
    >>> round(distance_at(80), 9)
    0.6
    """
    checked = check_float("percent", percent, 0, 100)
    return math.inf if checked == 0 else float(_HALF_DISTANCE * _odds(checked) ** (1 / _SLOPE))
