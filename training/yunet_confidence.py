"""How likely it is that what YuNet detects is a face: a logistic of its score, for `facesearch.detection.yunet`.

Faces: the detections that hold the labelled spot on photos of one person (people/, landmarks106/), at sizes of 12 to 100 pixels, and
those that match a label of groups/. No faces: whatever scores from 0.4 on in pictures without faces (scikit-image's, dogs.jpg
without its book, noise) at three sizes and four rotations, and what overlaps no label in the labelled groups. Every picture has the
weight that its side needs so that both sides weigh alike: half of all candidates are faces. That prior is a convention; in photos of
people more are.

The detector returns what scores enough, so a score is all that a confidence depends on.

The even photos fit, the odd ones test. Printed: slope and even score for `yunet.py`, and on the odd photos how many of the detections
of each band are faces, next to what the logistic predicts.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
from _machine import data_folder
from PIL import Image

from detection import labels, loaded, noise, singles
from facesearch.common.arrays import PixelArray
from facesearch.detection import yunet

NO_FACE = (
    "brick", "cell", "chelsea", "chessboard_GRAY", "clock_motion", "coffee", "coins", "color", "grass", "gravel", "horse",
    "hubble_deep_field", "ihc", "logo", "moon", "motorcycle_left", "motorcycle_right", "page", "retina", "rocket", "text",
)  # fmt: skip
SIZES = (12, 16, 24, 40, 100)  # of the network's box, which has 108 px on photos of people/
BANDS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.91, 1.0)
STEPS = 2000


def main() -> None:
    """Fit and print."""
    print("fits:", end=" ")
    slope, even = fit(*scores(0))
    print(f"slope {slope:.1f}, even at {even:.3f}")
    values, faces, weights = scores(1)
    print(
        f"tests on {faces.sum():.0f} faces and {(1 - faces).sum():.0f} others; band, faces, others, faces predicted (weighted)"
    )
    predicted = 1 / (1 + np.exp(-slope * (values - even)))
    for low, high in pairwise(BANDS):
        here = (values >= low) & (values < high)
        share = np.average(faces[here], weights=weights[here]) if here.any() else float("nan")
        mean = np.average(predicted[here], weights=weights[here]) if here.any() else float("nan")
        count = faces[here].sum()
        print(f"  {low:.2f}-{high:.2f}: {count:.0f}, {here.sum() - count:.0f}; faces {share:.3f}, predicted {mean:.3f}")


def scores(odd: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return scores, whether each is a face, and weights, of every second photo."""
    found = [*positives(odd), *negatives(odd)]
    values, faces = (np.array(each, np.float64) for each in zip(*found, strict=True))
    share = faces.mean()
    return values, faces, np.where(faces > 0, 0.5 / share, 0.5 / (1 - share))


def positives(odd: int) -> list[tuple[float, int]]:
    """Return the scores of labelled faces."""
    result = []
    for name, photos in singles().items():
        if name not in {"people", "landmarks106"}:
            continue
        for number, (photo, spot) in enumerate(photos[odd::2]):
            factor = min(1.0, SIZES[number % len(SIZES)] / 108)
            image = Image.fromarray(photo)
            small = image.resize([max(16, round(side * factor)) for side in image.size], Image.Resampling.LANCZOS)
            x, y = np.multiply(spot or (0, 0), (small.width / image.width, small.height / image.height))
            hits = [
                score for box, score in candidates(np.asarray(small)) if box[0] < x < box[2] and box[1] < y < box[3]
            ]
            result += [(max(hits), 1)] if hits else []
    return result


def negatives(odd: int) -> list[tuple[float, int]]:
    """Return the scores of what is no face."""
    folder = Path(skimage.data.__file__).parent
    files = [next(folder.glob(f"{name}.*")) for name in NO_FACE]
    rng = np.random.default_rng(0)
    pictures = [loaded(file) for file in files] + [noise(rng, step) for step in (1, 4, 16)]
    groups = data_folder("groups")
    dogs = loaded(groups / "dogs.jpg")
    pictures += [dogs[:450], dogs[450:, 150:]]  # without the book
    result = []
    for picture in pictures[odd::2]:
        for turn in range(4):
            for factor in (0.5, 1.0, 2.0):
                image = Image.fromarray(np.rot90(picture, turn))
                sized = image.resize((max(16, round(image.width * factor)), max(16, round(image.height * factor))))
                result += [(score, 0) for _, score in candidates(np.asarray(sized))]
    for file, boxes in list(labels(groups))[odd::2]:
        near = [
            (left - w, top - w, left + 2 * w, top + 2 * w)
            for left, top, w in ((b[0], b[1], b[2] - b[0]) for b in boxes)
        ]
        for box, score in candidates(loaded(groups / file)):
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            if not any(left < x < right and top < y < bottom for left, top, right, bottom in near):
                result.append((score, 0))
    return result


def candidates(pixels: PixelArray) -> list[tuple[list[float], float]]:
    """Return boxes and scores from 0.4 on, before any is looked at again."""
    boxes, _, found = yunet._search(yunet._session(1), np.ascontiguousarray(pixels), 0)  # noqa: SLF001  # scores below the threshold
    return list(zip(boxes.tolist(), found.tolist(), strict=True))


def fit(
    values: npt.NDArray[np.float64], faces: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Fit a logistic by Newton's method: slope, and the score of a toss-up."""
    print(f"{faces.sum():.0f} faces, {(1 - faces).sum():.0f} others", end="; ")
    design = np.stack([values, np.ones_like(values)], axis=1)
    found = np.zeros(2)
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-design @ found))
        gradient = design.T @ (weights * (faces - likely)) - 1e-3 * found
        curvature = (design * (weights * likely * (1 - likely))[:, None]).T @ design + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        found += step
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(-found[1] / found[0])


if __name__ == "__main__":
    main()
