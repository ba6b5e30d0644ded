"""Groups and crowds (data/groups): one face is searched, the rest have reasons, and nothing is lost.

Protocol
--------
Every photo is searched in an empty collection with quality filters NONE, LOW, MEDIUM and HIGH. For each, the faces in the
answer (searched and unsearched) must be those that `FaceAnalyzer.locate` finds, each exactly once; else the script fails.

Where `dlib_training.xml` and `dlib_testing.xml` give face boxes, the detector alone is measured against them. The boxes are
dlib's squares, so they are compared with the detector's own, not with FaceDetail's portrait boxes. Surest first, a detection
takes the free labelled box that it overlaps most, if IoU >= 0.5; a looser rule asks only that its centre lies within the
labelled box. Recall is boxes taken / boxes; a detection that takes none is a false alarm, unless it is a face that the
labels leave out, so each is named. The labels' sides are the steps of dlib's own image pyramid (37, 44, 53, 63, 76, 91, 109
px): they come from such a detector, so what it finds here says little of the faces that it misses elsewhere.
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import attrs
from _machine import data_folder, print_machine

import facesearch as fs

FILTERS = (fs.QualityFilter.NONE, fs.QualityFilter.LOW, fs.QualityFilter.MEDIUM, fs.QualityFilter.HIGH)
REASONS = tuple(fs.UnsearchedFaceReason)
MIN_IOU = 0.5


@attrs.frozen
class Box:
    """Edges in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other: "Box") -> bool:
        """Return whether the centre of *other* lies within."""
        x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def iou(self, other: "Box") -> float:
        """Return intersection over union."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        common = max(width, 0) * max(height, 0)
        return common / (self.area + other.area - common)

    @property
    def area(self) -> float:
        """In pixels squared."""
        return (self.right - self.left) * (self.bottom - self.top)


RULES: dict[str, Callable[[Box, Box], bool]] = {
    f"IoU >= {MIN_IOU}": lambda label, found: label.iou(found) >= MIN_IOU,
    "centre in box": Box.holds,
}


def main() -> None:
    """Measure and print."""
    print_machine()
    folder = data_folder("groups")
    analyzer = fs.FaceAnalyzer()
    print_reasons(analyzer, sorted(folder.glob("*.jpg")))
    for name in ("dlib_training.xml", "dlib_testing.xml"):
        print_recall(analyzer, folder / name)


def print_reasons(analyzer: fs.FaceAnalyzer, photos: list[Path]) -> None:
    """Print each photo's faces under NONE, and the sums under every filter."""
    nobody = fs.Collection("nobody", analyzer=analyzer)
    searched: Counter[fs.QualityFilter] = Counter()
    reasons: dict[fs.QualityFilter, Counter[fs.UnsearchedFaceReason]] = {each: Counter() for each in FILTERS}
    faces = 0
    print(f"{'photo, filter NONE':<28}{'faces':>6}{'searched':>9}{'unsearched':>11}  reasons")
    for photo in photos:
        located = analyzer.locate(photo)
        faces += len(located)
        for quality in FILTERS:
            response = fs.search_users_by_image(nobody, photo, quality_filter=quality)
            check_nothing_lost(photo, located, response)
            searched[quality] += response.searched_face is not None
            here = Counter(reason for face in response.unsearched_faces for reason in face.reasons)
            reasons[quality] += here
            if quality is fs.QualityFilter.NONE:
                why = ", ".join(f"{reason.value} {count}" for reason, count in here.items()) or "-"
                one, rest = int(response.searched_face is not None), len(response.unsearched_faces)
                print(f"{photo.name:<28}{len(located):6}{one:9}{rest:11}  {why}")
    print(f"\n{len(photos)} photos, {faces} faces; nothing lost under any filter. A face may have several reasons.")
    print(f"{'filter':<8}{'searched':>9}{'unsearched':>11}" + "".join(f"{shortened(reason):>12}" for reason in REASONS))
    for quality in FILTERS:
        counts = "".join(f"{reasons[quality][reason]:12}" for reason in REASONS)
        print(f"{quality.value:<8}{searched[quality]:9}{faces - searched[quality]:11}{counts}")


def check_nothing_lost(
    photo: Path, located: tuple[fs.LocatedFace, ...], response: fs.SearchUsersByImageResponse
) -> None:
    """End the script if the answer's faces are not the detected ones, or one of them has no reason."""
    answered = Counter(face.face_details for face in response.unsearched_faces)
    if response.searched_face:
        answered[response.searched_face.face_detail] += 1
    if answered != Counter(face.detail for face in located):
        raise SystemExit(f"{photo}: {len(located)} faces located, but not the {answered.total()} answered")
    if not all(face.reasons for face in response.unsearched_faces):
        raise SystemExit(f"{photo}: an unsearched face has no reason")


def shortened(reason: fs.UnsearchedFaceReason) -> str:
    """Make a name fit its column."""
    return reason.value.lower().removeprefix("face_").removesuffix("_bounding_box")[:11]


def print_recall(analyzer: fs.FaceAnalyzer, file: Path) -> None:
    """Print recall and false alarms of the detector on the labelled photos."""
    print(f"\n{file.name}: the detector alone")
    boxes: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    for image in ET.parse(file).iter("image"):  # noqa: S314  # a file of our own data set, not a stranger's
        photo = file.parent / image.attrib["file"]
        labels = [labelled(box) for box in image.iter("box")]
        detections = sorted(analyzer.detector.detect(fs.read_image(photo).pixels), key=lambda face: -face.confidence)
        found = {Box(face.left, face.top, face.right, face.bottom): face.confidence for face in detections}
        for rule, fits in RULES.items():
            free, false = list(labels), []
            for box in found:
                match = max((label for label in free if fits(label, box)), key=box.iou, default=None)
                if match is None:
                    false.append(box)
                else:
                    free.remove(match)
            boxes[rule] += len(labels)
            taken[rule] += len(labels) - len(free)
            alarms[rule] += len(false)
            print_faults(photo.name, rule, missed=free, false={box: found[box] for box in false})
    for rule in RULES:
        print(
            f"{rule:<14} recall {taken[rule]}/{boxes[rule]} ({taken[rule] / boxes[rule]:.1%}), false alarms {alarms[rule]}"
        )


def labelled(box: ET.Element) -> Box:
    """Read a box of dlib's XML."""
    left, top, width, height = (float(box.attrib[name]) for name in ("left", "top", "width", "height"))
    return Box(left, top, left + width, top + height)


def print_faults(photo: str, rule: str, *, missed: list[Box], false: dict[Box, float]) -> None:
    """Name what was missed and what was found beyond the labels."""
    for box in missed:
        print(f"  {photo}, {rule}: missed {box.right - box.left:.0f} px at ({box.left:.0f}, {box.top:.0f})")
    for box, confidence in false.items():
        where = f"{box.right - box.left:.0f} px at ({box.left:.0f}, {box.top:.0f})"
        print(f"  {photo}, {rule}: beyond the labels {where}, confidence {confidence:.1f}")


if __name__ == "__main__":
    main()
