"""Measure the benefit of the quality filters, and differences between groups: ``python benchmarks/quality.py [PART]``.

Protocol
--------
discard
    Error-versus-discard of photographs as they are: official pairs of ``lfw_grey/`` (padded by a quarter) and ``cacd_vs/``, at
    a similarity of 80 of the shipped calibration. Pairs with a photo without a face are left out, counted. The score was fitted
    on seven tenths of the people of ``lfw_grey/`` and its bars on eight: the rest is reported for itself. ``--plots FOLDER`` draws it.
groups
    ``utkface/``, ages from 12, four labels of race by gender, at most 150 of each: rejected as they are, and with the same
    blur, relative to the face, or the same loss of light, through the whole path from detection on. UTKFace's labels are its
    makers' guesses. How brightness and sharpness are measured was chosen on photographs of this folder.
folders
    ``people/``, ``groups/`` and ``photos/``: faces rejected by each filter, and why.
enrolment
    People of ``lfw_grey/`` with six photographs or more: the first three are enrolled, one of them made bad; the others are
    searched for as they are, among everybody else with one photo. Enrolment's own doubts are off, then on. A photo of somebody
    else is no matter of quality: ``benchmarks/auditing.py``.

``--cache FOLDER`` keeps measurements and vectors, which are biometric data, outside the repository.
"""

import argparse
from collections import Counter
from pathlib import Path

from _machine import data_folder, print_machine
from quality_discard import print_discard
from quality_enrolment import print_enrolment
from quality_groups import print_groups
from quality_looks import ANYTHING, FILTERS, table_row

import facesearch as fs
from facesearch.common.ordered_map import in_order
from facesearch.networks.runtime import usable_cores
from facesearch.selection.checks import quality_reasons, threshold_texts

PARTS = ("discard", "groups", "folders", "enrolment", "all")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, default="all")
    parser.add_argument("--limit", type=int, help="so many pairs, photographs or people of each kind: to try it out")
    parser.add_argument("--cache", type=Path, help="folder that keeps what was measured: biometric data")
    parser.add_argument("--plots", type=Path, help="folder to draw the curves of discard in")
    arguments = parser.parse_args()
    data_folder("lfw_grey")
    print_machine()
    print_bars()
    asked = PARTS[:-1] if arguments.part == "all" else (arguments.part,)
    if "discard" in asked:
        print_discard(arguments.limit, arguments.cache, arguments.plots)
    if "groups" in asked:
        print_groups(arguments.limit)
    if "folders" in asked:
        print_folders(arguments.limit)
    if "enrolment" in asked:
        print_enrolment(arguments.limit, arguments.cache)


def print_bars() -> None:
    """Print what the filters ask for: no figure below means anything without."""
    for quality in FILTERS:
        bars = fs.SHIPPED_BARS.of(quality)
        if bars is not None:
            print(f"filter {quality.value}: {', '.join(threshold_texts(bars))}")
    print(f"AUTO is {fs.SHIPPED_BARS.auto.value}\n")


def print_folders(limit: int | None) -> None:
    """Print what each filter rejects of photographs as people take them."""
    print("FOLDERS: faces rejected of photographs as they are; a face may have several reasons")
    print("largest of photo: photos whose largest face is rejected; none left in: photos whose faces all are")
    heads = [reason.value.lower().removeprefix("low_").removesuffix("_bounding_box") for reason in fs.QualityReason]
    analyzer = fs.FaceAnalyzer(threads=1)

    def measured(path: Path) -> list[fs.FaceMeasurements]:
        return [face.measurements for face in analyzer.assess(analyzer.locate(path), ANYTHING)]

    for folder in ("people", "groups", "photos"):
        photos = sorted(data_folder(folder).rglob("*.jpg"))[:limit]
        faces = list(in_order(measured, photos, usable_cores()))
        every = [face for each in faces for face in each]
        print(f"\n{folder}: {len(photos)} photos, {sum(map(bool, faces))} with a face, {len(every)} faces")
        print(table_row("", ["rejected", *heads, "largest of photo", "none left in"], first=10, width=17))
        for quality in FILTERS:
            bars = fs.SHIPPED_BARS.of(quality)
            reasons = [[quality_reasons(face, bars) for face in each] for each in faces]
            counts = Counter(reason for each in reasons for found in each for reason in found)
            rejected = sum(bool(found) for each in reasons for found in each)
            share = f"{rejected} ({rejected / max(1, len(every)):.1%})"
            largest = sum(bool(each[0]) for each in reasons if each)
            none = sum(all(each) for each in reasons if each)
            cells = [share, *(str(counts[reason]) for reason in fs.QualityReason), str(largest), str(none)]
            print(table_row(quality.value, cells, first=10, width=17))
            named = [path.name for path, each in zip(photos, reasons, strict=True) if each and each[0]]
            if quality is fs.SHIPPED_BARS.auto and folder != "groups" and named:
                print(f"    largest face rejected in: {', '.join(named)}")
    print()


if __name__ == "__main__":
    main()
