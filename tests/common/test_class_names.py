"""Keys on disk outlive the module that a class lies in."""

from pathlib import Path

from facesearch.common.class_names import stable_name
from facesearch.detection.mmod import MmodDetector


class Mine:
    class Inner:
        pass


def test_a_class_of_this_package_is_named_without_its_module() -> None:
    assert stable_name(MmodDetector) == "MmodDetector"


def test_other_classes_are_named_with_their_module() -> None:
    assert stable_name(Mine.Inner) == f"{__name__}.Mine.Inner"
    assert stable_name(Path) == f"{Path.__module__}.Path"


def test_a_package_with_a_similar_name_is_another_one() -> None:
    other = type("Detector", (), {"__module__": "facesearch_more.detection"})

    assert stable_name(other) == "facesearch_more.detection.Detector"
