"""Translate the heads' outputs into AWS's attributes, or into the reason why an attribute can't be assessed."""

import math
from collections.abc import Mapping
from typing import Any, Final

import attrs

from facesearch.domain.attributes import SINGLE, Attribute, Unassessed
from facesearch.domain.face_detail import (
    AgeRange,
    Beard,
    Emotion,
    EmotionType,
    Eyeglasses,
    EyesOpen,
    FaceOccluded,
    Gender,
    GenderType,
    MouthOpen,
    Mustache,
    Pose,
    Smile,
    Sunglasses,
)

__all__ = [
    "Answers",
    "unassessed",
    "worded",
]

EVEN: Final = 0.5  # from this probability on, the answer is yes


@attrs.frozen(kw_only=True)
class Answers:
    """Calibrated predictions of the heads for one face.

    Attributes
    ----------
    chance
        By name, the probability of yes, 0-1: smile, mouth_open, eyeglasses, sunglasses, beard, mustache, male, masked, occluded.
    emotions
        The probability of each expression that the heads predict, 0-1; they need not sum to 1.
    age
        Years, and half the width of the range around it.
    """

    chance: Mapping[str, float]
    emotions: Mapping[EmotionType, float]
    age: tuple[float, float]


# Chips smaller than this, in pixels of the picture, have too little detail, and heads turned further hide half of the face:
# benchmarks/attributes.py measures the error there.
SMALLEST_CHIP: Final = 30.0


FURTHEST_YAW: Final = 65.0


_MOUTH: Final = frozenset(
    {Attribute.SMILE, Attribute.MOUTH_OPEN, Attribute.BEARD, Attribute.MUSTACHE, Attribute.EMOTIONS}
)


_EYES: Final = frozenset({Attribute.EYES_OPEN, Attribute.EYE_DIRECTION})


def unassessed(
    asked: frozenset[Attribute], answers: Answers, *, chip_side: float, pose: Pose
) -> Mapping[Attribute, Unassessed]:
    """Return the attributes that can't be assessed on a face, with the reason.

    Parameters
    ----------
    asked
        Attributes requested.
    answers
        Predictions of the heads.
    chip_side
        Pixels of the picture that a side of the face's chip covers.
    pose
        Pose of the head.
    """
    single = asked & SINGLE
    if chip_side < SMALLEST_CHIP:
        return dict.fromkeys(single, Unassessed.FACE_TOO_SMALL)
    if abs(pose.yaw) > FURTHEST_YAW:
        return dict.fromkeys(single, Unassessed.FACE_TURNED_AWAY)
    found: dict[Attribute, Unassessed] = {}
    if _yes(answers.chance["masked"]):
        found |= dict.fromkeys(single & _MOUTH, Unassessed.MOUTH_COVERED)
    if _yes(answers.chance["sunglasses"]):
        found |= dict.fromkeys(single & _EYES, Unassessed.EYES_COVERED)
    return found


def worded(answers: Answers, eyes_open: float) -> dict[Attribute, tuple[str, Any]]:
    """Convert predictions to AWS's attributes.

    Parameters
    ----------
    answers
        Predictions of the heads.
    eyes_open
        The probability that the eyes are open, 0-1.

    Returns
    -------
    dict
        By attribute, the name of `FaceDetail`'s field and its value. `Attribute.EYE_DIRECTION` is not among them.
    """
    chance = answers.chance
    yes_or_no = {
        Attribute.SMILE: ("smile", Smile, chance["smile"]),
        Attribute.EYEGLASSES: ("eyeglasses", Eyeglasses, max(chance["eyeglasses"], chance["sunglasses"])),
        Attribute.SUNGLASSES: ("sunglasses", Sunglasses, chance["sunglasses"]),
        Attribute.BEARD: ("beard", Beard, chance["beard"]),
        Attribute.MUSTACHE: ("mustache", Mustache, chance["mustache"]),
        Attribute.EYES_OPEN: ("eyes_open", EyesOpen, eyes_open),
        Attribute.MOUTH_OPEN: ("mouth_open", MouthOpen, chance["mouth_open"]),
        Attribute.FACE_OCCLUDED: ("face_occluded", FaceOccluded, max(chance["occluded"], chance["masked"])),
    }
    words: dict[Attribute, tuple[str, Any]] = {
        attribute: (name, kind(value=_yes(p), confidence=_confidence(p)))
        for attribute, (name, kind, p) in yes_or_no.items()
    }
    male = chance["male"]
    gender = GenderType.MALE if _yes(male) else GenderType.FEMALE
    words[Attribute.GENDER] = ("gender", Gender(value=gender, confidence=_confidence(male)))
    words[Attribute.AGE_RANGE] = ("age_range", _age_range(*answers.age))
    words[Attribute.EMOTIONS] = ("emotions", _emotions(answers.emotions))
    return words


def _yes(chance: float) -> bool:
    return chance >= EVEN


def _confidence(chance: float) -> float:
    return 100 * max(chance, 1 - chance)


def _age_range(middle: float, half: float) -> AgeRange:
    low = max(math.floor(middle - half + 0.5), 0)
    return AgeRange(low=low, high=max(math.floor(middle + half + 0.5), low))


def _emotions(chance: Mapping[EmotionType, float]) -> tuple[Emotion, ...]:
    # AWS lists eight. There are no labelled photographs for CONFUSED: it is listed with confidence 0.
    listed = {kind: 100 * chance.get(kind, 0.0) for kind in EmotionType if kind is not EmotionType.UNKNOWN}
    return tuple(Emotion(type=kind, confidence=listed[kind]) for kind in sorted(listed, key=lambda kind: -listed[kind]))
