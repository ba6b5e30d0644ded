"""Validation of requests: the constraints of botocore's service model, AWS's error messages, and no unexpected exception."""

import io
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
import numpy as np
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, strategies as st

from facesearch.images.reading import MAX_BYTES
from facesearch.rekognition import validation as checking
from facesearch.rekognition.exceptions import (
    ImageTooLargeException,
    InvalidImageFormatException,
    InvalidParameterException,
    InvalidS3ObjectException,
    RekognitionError,
    SerializationException,
    UnknownOperationException,
    ValidationException,
)
from facesearch.rekognition.model import IMAGE, OPERATIONS, Shape
from facesearch.rekognition.validation import check

MODEL = botocore.session.get_session().get_service_model("rekognition")
INPUTS: dict[str, Any] = {name: MODEL.operation_model(name).input_shape for name in OPERATIONS}
FACE = "11111111-2222-3333-4444-555555555555"
TAG = st.characters(categories=["L", "Z", "N"]) | st.sampled_from("_.:/=+-@")

# Constraints of botocore's model, by shape and name, that are not enforced: see facesearch.rekognition.model.
DEVIATIONS = {("PaginationToken", "max")}

Path = tuple[str, ...]

# ---------------------------------------------------------------- the table is botocore's


def compare(ours: Shape, theirs: Any, used: set[tuple[str, str]]) -> None:
    expected = {}
    for name in ("min", "max", "pattern"):
        if (theirs.name, name) in DEVIATIONS:
            used.add((theirs.name, name))
        else:
            expected[name] = theirs.metadata.get(name)
    found = {"min": ours.low, "max": ours.high, "pattern": ours.pattern}
    assert (ours.kind, {name: found[name] for name in expected}) == (theirs.type_name, expected), theirs.name
    assert ours.choices == tuple(theirs.metadata.get("enum", ())), theirs.name
    assert set(ours.members) == set(getattr(theirs, "members", {})), theirs.name
    for name, member in ours.members.items():
        assert member.required == (name in theirs.required_members)
        compare(member.shape, theirs.members[name], used)
    assert (ours.item is None) == (theirs.type_name not in {"list", "map"})
    assert (ours.key is None) == (theirs.type_name != "map")
    if ours.key:
        compare(ours.key, theirs.key, used)
    if ours.item:
        compare(ours.item, theirs.value if ours.key else theirs.member, used)


def test_the_table_is_botocores_but_for_what_it_lists() -> None:
    used: set[tuple[str, str]] = set()
    for name, members in OPERATIONS.items():
        compare(Shape(kind="structure", members=members), INPUTS[name], used)

    assert used == set(DEVIATIONS)


def test_the_defaults_are_what_the_documentation_says() -> None:
    documented = {}
    for name, shape in INPUTS.items():
        for member, each in shape.members.items():
            if found := re.search(r"[Dd]efault value (?:is|of) (?:<code>)?(\w+)", each.documentation):
                documented[name, member] = float(found[1]) if found[1].isdigit() else found[1]
    ours = {(name, key): each.default for name, members in OPERATIONS.items() for key, each in members.items()}
    given = {key: default for key, default in ours.items() if default is not None}

    # for CompareFaces the text of the operation documents it, see the developer guide, "Comparing faces in images"
    assert given.pop(("CompareFaces", "SimilarityThreshold")) == 80
    assert "80%" in MODEL.operation_model("CompareFaces").documentation
    assert given == documented


def test_awss_letters_are_pythons() -> None:
    fits = checking._compiled(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$").fullmatch
    for character in map(chr, range(sys.maxunicode + 1)):
        expected = unicodedata.category(character)[0] in "LZN" or character in "_.:/=+-@"
        assert bool(fits(character)) == expected, hex(ord(character))


# ---------------------------------------------------------------- what is valid passes


def texts(shape: Any) -> st.SearchStrategy[str]:
    low, high = (shape.metadata.get(name) for name in ("min", "max"))
    pattern = shape.metadata.get("pattern", "")
    if "enum" in shape.metadata:
        return st.sampled_from(shape.metadata["enum"])
    if r"\p{L}" in pattern:
        return st.text(TAG, min_size=low, max_size=high).filter(lambda text: not text.startswith("aws:"))
    if pattern and high:
        body = re.sub(r"[+*]$", f"{{{low},{high}}}", pattern.strip("^$"))
        return st.from_regex(body, fullmatch=True)
    if pattern:
        return st.from_regex(pattern, fullmatch=True)
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=low or 0, max_size=min(high or 64, 64))


def values(shape: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each type
    low, high = (shape.metadata.get(name) for name in ("min", "max"))
    few = min(high or 4, 4)
    match shape.type_name:
        case "string":
            return texts(shape)
        case "integer":
            return st.integers(low, high)
        case "float":
            return st.floats(low, high) | st.integers(low, high)
        case "list":
            return st.lists(values(shape.member), min_size=low or 0, max_size=few)
        case "map":
            return st.dictionaries(values(shape.key), values(shape.value), max_size=few)
    if shape.name == "Image":
        blobs = st.fixed_dictionaries({"Bytes": st.binary(min_size=1, max_size=64)})
        return blobs | st.fixed_dictionaries({"S3Object": values(shape.members["S3Object"])})
    required = {"Bucket", "Name"} if shape.name == "S3Object" else set(shape.required_members)
    return st.fixed_dictionaries(
        {name: values(each) for name, each in shape.members.items() if name in required},
        optional={name: values(each) for name, each in shape.members.items() if name not in required},
    )


VALID = {name: values(shape) for name, shape in INPUTS.items()}
operations = st.sampled_from(sorted(OPERATIONS))


@given(operations, st.data())
def test_what_is_valid_comes_back_with_the_defaults(operation: str, data: st.DataObject) -> None:
    given = data.draw(VALID[operation])
    defaults = {name: each.default for name, each in OPERATIONS[operation].items() if each.default is not None}
    taken = check(operation, given)

    assert taken == defaults | given
    assert check(operation, taken) == taken
    assert not ParamValidator().validate(taken, INPUTS[operation]).has_errors()


@given(operations, st.data(), st.dictionaries(st.text().map("X{}".format), st.integers() | st.lists(st.none())))
def test_unknown_members_and_nulls_are_as_if_not_given(
    operation: str, data: st.DataObject, more: dict[str, Any]
) -> None:
    given = data.draw(VALID[operation])
    nulls = dict.fromkeys(set(OPERATIONS[operation]) - set(given))

    assert check(operation, {**more, **given, **nulls}) == check(operation, given)


def test_what_is_given_is_not_changed_and_not_kept() -> None:
    given = {"CollectionId": "staff", "Tags": {"a": "b"}}
    check("CreateCollection", given)["Tags"].clear()
    ids = [FACE]
    check("DeleteFaces", {"CollectionId": "staff", "FaceIds": ids})["FaceIds"].clear()

    assert (given, ids) == ({"CollectionId": "staff", "Tags": {"a": "b"}}, [FACE])


# ---------------------------------------------------------------- one constraint broken at a time


def broken_values(shape: Any) -> Iterator[tuple[Any, str]]:
    """Yield values that violate a constraint of the shape, with AWS's messages."""
    low, high = (None if (shape.name, name) in DEVIATIONS else shape.metadata.get(name) for name in ("min", "max"))
    number = shape.type_name in {"integer", "float"}
    size = "value" if number else "length"
    kinds: dict[str, Callable[[int], Any]] = {
        "integer": int,
        "float": float,
        "blob": bytes,
        "list": lambda count: [sound(shape.member)] * count,
        "map": lambda count: {f"k{index}": "" for index in range(count)},
        "string": lambda count: "a" * count,
    }
    sized = kinds[shape.type_name]
    if high is not None and shape.type_name != "blob":
        yield sized(high + 1), f"Member must have {size} less than or equal to {high}"
    if low or (number and low == 0):
        yield sized(low - 1), f"Member must have {size} greater than or equal to {low}"
    if pattern := shape.metadata.get("pattern"):
        yield "a b~" + "c" * (low or 0), f"Member must satisfy regular expression pattern: {pattern}"
        yield "aaa\n", f"Member must satisfy regular expression pattern: {pattern}"
    if choices := shape.metadata.get("enum"):
        yield "auto", f"Member must satisfy enum value set: [{', '.join(choices)}]"
        yield "", f"Member must satisfy enum value set: [{', '.join(choices)}]"


def sound(shape: Any) -> str:
    """Return a valid item of a list."""
    return {"FaceId": FACE, "TagKey": "key", "Attribute": "ALL"}[shape.name]


def breaks(shape: Any, path: Path) -> Iterator[tuple[Path, Any, str, str]]:
    """Yield the place and value of an invalid member, with the place and text in AWS's message."""
    camel = ".".join(name[0].lower() + name[1:] for name in path)
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in shape.required_members:
                yield (*path, name), None, f"{camel}.{name[0].lower()}{name[1:]}".lstrip("."), "Member must not be null"
            yield from breaks(member, (*path, name))
        return
    for value, words in broken_values(shape):
        yield path, value, camel, words
    if shape.type_name == "list":
        good = sound(shape.member)
        for value, words in broken_values(shape.member):
            yield path, [good, value, good], camel, words
    if shape.type_name == "map":
        for value, words in broken_values(shape.key):
            yield path, {"good": "", value: ""}, camel, words
        for value, words in broken_values(shape.value):
            yield path, {"good": "", "bad": value}, camel, words


BREAKS = {name: list(breaks(shape, ())) for name, shape in INPUTS.items()}


@given(operations, st.data())
def test_each_broken_constraint_is_told_by_its_member(operation: str, data: st.DataObject) -> None:
    valid = data.draw(VALID[operation])
    for (*above, last), value, where, words in BREAKS[operation]:
        request = inner = dict(valid)
        for name in above:
            inner[name] = inner = dict(inner.get(name, {}))
        inner[last] = value
        with pytest.raises(ValidationException) as caught:
            check(operation, request)
        message = caught.value.message
        count = message.count(" failed to satisfy constraint: ")

        assert words in message
        assert set(re.findall(r"at '([^']*)' failed", message)) == {where}
        assert message.startswith(f"{count} validation error{'s' * (count > 1)} detected: Value ")
        assert len(message) < 2_000


def test_every_kind_of_constraint_was_broken() -> None:
    words = {re.sub(r"\d+|(?<=: ).*", "", each[3]) for breaks in BREAKS.values() for each in breaks}

    assert len(words) == 7
    assert all(BREAKS.values())


# ---------------------------------------------------------------- anything at all

NAMES = sorted({name for shape in INPUTS.values() for name in shape.members} | {"Bytes", "S3Object", "Bucket", "Name"})
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20) | st.just(FACE),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)


def taken_or_refused(operation: str, parameters: Any) -> None:
    try:
        taken = check(operation, parameters)
    except RekognitionError as error:
        fault = error
    else:
        assert not ParamValidator().validate(taken, INPUTS[operation]).has_errors()
        return
    assert fault.message.isprintable()  # one line of a log


@given(operations | st.text(), json)
def test_any_json_at_all_is_taken_or_refused_in_awss_way(operation: str, parameters: Any) -> None:
    taken_or_refused(operation, parameters)


@given(operations, st.data(), json)
def test_any_json_in_one_place_is_taken_or_refused_in_awss_way(operation: str, data: st.DataObject, value: Any) -> None:
    request = data.draw(VALID[operation])
    request[data.draw(st.sampled_from(sorted(OPERATIONS[operation])))] = value
    taken_or_refused(operation, request)


# ---------------------------------------------------------------- AWS's words


def said(operation: str, **parameters: Any) -> str:
    with pytest.raises(RekognitionError) as caught:
        check(operation, parameters)
    return f"{caught.value.code}: {caught.value.message}"


def test_empty_bytes_are_told_in_the_words_that_people_report() -> None:
    # aws/aws-sdk-js-v3#2310
    assert said("DetectFaces", Image={"Bytes": b""}) == (
        "ValidationException: 1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at"
        " 'image.bytes' failed to satisfy constraint: Member must have length greater than or equal to 1"
    )


def test_several_errors_come_at_once() -> None:
    assert said("SearchUsersByImage", Image={"S3Object": {"Bucket": "b"}}, MaxUsers=0, UserMatchThreshold=100.5) == (
        "ValidationException: 4 validation errors detected:"
        " Value null at 'collectionId' failed to satisfy constraint: Member must not be null;"
        " Value 'b' at 'image.s3Object.bucket' failed to satisfy constraint: Member must have length greater than or equal to 3;"
        " Value '0' at 'maxUsers' failed to satisfy constraint: Member must have value greater than or equal to 1;"
        " Value '100.5' at 'userMatchThreshold' failed to satisfy constraint: Member must have value less than or equal to 100"
    )


def test_of_a_list_and_a_map_only_the_wrong_items_are_shown() -> None:
    assert said("DeleteFaces", CollectionId="staff", FaceIds=[FACE, "ada", "bob"]) == (
        "ValidationException: 1 validation error detected: Value '[ada, bob]' at 'faceIds' failed to satisfy constraint:"
        " Member must satisfy constraint: [Member must satisfy regular expression pattern:"
        " [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}]"
    )
    assert said("CreateCollection", CollectionId="staff", Tags={"team": "a", "aws:x": "b"}) == (
        "ValidationException: 1 validation error detected: Value '{aws:x=b}' at 'tags' failed to satisfy constraint:"
        " Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length"
        r" greater than or equal to 1, Member must satisfy regular expression pattern:"
        r" ^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$]"
    )


def test_values_in_messages_are_short_and_of_one_line() -> None:
    long = said("DescribeCollection", CollectionId="!" * 300)
    assert "Value '" + "!" * 253 + "...'" in long
    assert r"'a\nb\x1b'" in said("DescribeCollection", CollectionId="a\nb\x1b")
    assert len(said("SearchUsers", CollectionId="staff", MaxUsers=10**5000)) < 500
    assert len(said("x" * 1000)) < 1000


def test_an_unknown_operation_names_those_that_are_answered() -> None:
    with pytest.raises(UnknownOperationException, match=r"DetectLabels is not answered here.*SearchUsersByImage"):
        check("DetectLabels", {})


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("CollectionId", 5, "NUMBER_VALUE can not be converted to a String at 'collectionId'"),
        ("CollectionId", True, "TRUE_VALUE can not be converted to a String at 'collectionId'"),
        ("CollectionId", ["staff"], "Start of list found where not expected at 'collectionId'"),
        ("CollectionId", "\ud800", "STRING_VALUE is no Unicode text at 'collectionId'"),
        ("MaxUsers", False, "FALSE_VALUE can not be converted to an Integer at 'maxUsers'"),
        ("MaxUsers", np.True_, "bool can not be converted to an Integer at 'maxUsers'"),
        ("MaxUsers", 1.0, "NUMBER_VALUE can not be converted to an Integer at 'maxUsers'"),
        ("UserMatchThreshold", "80", "STRING_VALUE can not be converted to a Float at 'userMatchThreshold'"),
        ("UserMatchThreshold", True, "TRUE_VALUE can not be converted to a Float at 'userMatchThreshold'"),
        ("UserMatchThreshold", float("nan"), "nan can not be converted to a Float at 'userMatchThreshold'"),
        ("UserMatchThreshold", np.float32("inf"), "inf can not be converted to a Float at 'userMatchThreshold'"),
        ("Image", "photo.jpg", "STRING_VALUE can not be converted to a Structure at 'image'"),
        ("Image", {"Bytes": 5}, "NUMBER_VALUE can not be converted to a Blob at 'image.bytes'"),
        ("Image", {"Bytes": np.zeros(4, np.uint8)}, "ndarray can not be converted to a Blob at 'image.bytes'"),
        ("Image", {"Bytes": io.StringIO("a")}, "image.bytes: expected a binary file object, got one opened as text"),
    ],
)
def test_a_wrong_type_is_told_before_anything_else(member: str, value: Any, message: str) -> None:
    parameters = {"CollectionId": "!", "Image": {"Bytes": b"x"}, "MaxUsers": 0} | {member: value}
    with pytest.raises(SerializationException) as caught:
        check("SearchUsersByImage", parameters)

    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("operation", "parameters", "message"),
    [
        ("DetectFaces", None, "NoneType"),
        ("DetectFaces", [], "Start of list"),
        ("DeleteFaces", {"CollectionId": "staff", "FaceIds": FACE}, "STRING_VALUE can not be converted to a List"),
        ("DeleteFaces", {"CollectionId": "staff", "FaceIds": [None]}, "NULL_VALUE can not be converted to a String"),
        ("CreateCollection", {"CollectionId": "staff", "Tags": []}, "Start of list"),
        ("CreateCollection", {"CollectionId": "staff", "Tags": {"a": None}}, "NULL_VALUE"),
        ("CreateCollection", {"CollectionId": "staff", "Tags": {1: "a"}}, "NUMBER_VALUE"),
    ],
)
def test_so_is_a_wrong_container(operation: str, parameters: Any, message: str) -> None:
    with pytest.raises(SerializationException) as caught:
        check(operation, parameters)

    assert caught.value.message.startswith(message.replace("NoneType", "NULL_VALUE"))


def test_numpys_numbers_and_kinds_of_str_become_plain() -> None:
    class Id(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "another"

    taken = check(
        "SearchUsers", {"CollectionId": Id("staff"), "MaxUsers": np.int64(5), "UserMatchThreshold": np.float32(0.5)}
    )

    assert taken == {"CollectionId": "staff", "MaxUsers": 5, "UserMatchThreshold": 0.5}
    assert [type(value) for value in taken.values()] == [str, int, float]


# ---------------------------------------------------------------- pictures


def begun(data: bytes) -> Any:
    """Return a file that was partly read."""
    file = io.BytesIO(b"before" + data)
    file.seek(len(b"before"))
    return file


class Trickle(io.RawIOBase):
    """A file that returns fewer bytes than requested, as sockets do."""

    def __init__(self, data: bytes) -> None:
        self.inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self.inner.read(min(len(buffer), 1_000_003))
        buffer[: len(part)] = part
        return len(part)


FORMS: list[Callable[[bytes], Any]] = [
    *(bytes, bytearray, memoryview, io.BytesIO, begun, Trickle),
    lambda data: memoryview(data[::-1])[::-1],  # not contiguous
]


@pytest.mark.parametrize("form", FORMS)
def test_bytes_come_in_many_forms(form: Callable[[bytes], Any]) -> None:
    most = bytes(range(256)) * (MAX_BYTES // 256)
    source = form(most)
    taken = check("DetectFaces", {"Image": {"Bytes": source}})["Image"]["Bytes"]

    assert type(taken) is bytes
    assert taken == most
    with pytest.raises(ImageTooLargeException, match="Image size is too large"):
        check("DetectFaces", {"Image": {"Bytes": form(most + b"x")}})
    with pytest.raises(ValidationException, match=r"lim=0 cap=0]' at 'image.bytes'"):
        check("DetectFaces", {"Image": {"Bytes": form(b"")}})
    assert not getattr(source, "closed", False)


def test_text_for_bytes_is_refused_with_a_hint() -> None:
    with pytest.raises(InvalidImageFormatException, match=r"^.*Invalid image encoding.*base64"):
        check("DetectFaces", {"Image": {"Bytes": "/9j/4AAQSkZJRg=="}})


def test_a_file_that_fails_is_an_invalid_parameter() -> None:
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(InvalidParameterException, match=r"image\.bytes: reading from the file failed: ValueError"):
        check("DetectFaces", {"Image": {"Bytes": file}})


@pytest.mark.parametrize(("image", "got"), [({}, "none"), ({"Bytes": None}, "none"), ({"X": 1}, "none")])
def test_a_picture_is_needed(image: Any, got: str) -> None:
    for operation, name in (("DetectFaces", "Image"), ("CompareFaces", "TargetImage")):
        parameters = {each: {"Bytes": b"x"} for each in OPERATIONS[operation] if each.endswith("Image")} | {name: image}
        with pytest.raises(InvalidParameterException, match=f"{name[0].lower()}{name[1:]}: .* got {got}"):
            check(operation, parameters)


def test_but_only_one() -> None:
    both = {"Bytes": b"x", "S3Object": {"Bucket": "photos", "Name": "ada.jpg"}}
    with pytest.raises(InvalidParameterException, match="got both"):
        check("DetectFaces", {"Image": both})
    assert set(both) == set(IMAGE.members)


@pytest.mark.parametrize("lacking", ["Bucket", "Name"])
def test_an_s3_object_has_both_its_names(lacking: str) -> None:
    where = {"Bucket": "photos", "Name": "ada.jpg"}
    del where[lacking]
    with pytest.raises(InvalidS3ObjectException, match=r"image\.s3Object"):
        check("DetectFaces", {"Image": {"S3Object": where}})


def test_constraints_come_before_what_the_model_can_not_say() -> None:
    with pytest.raises(ValidationException, match="collectionId"):
        check("SearchFacesByImage", {"CollectionId": "!", "Image": {"Bytes": bytes(MAX_BYTES + 1)}})
    with pytest.raises(ValidationException, match="maxFaces"):
        check("SearchFacesByImage", {"CollectionId": "staff", "Image": {}, "MaxFaces": 0})


def test_a_token_that_is_not_given_stays_away() -> None:
    assert "ClientRequestToken" not in check("CreateUser", {"CollectionId": "staff", "UserId": "ada"})
