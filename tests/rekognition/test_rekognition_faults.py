"""AWS's errors have the attributes of botocore's, and can be copied and pickled."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, strategies as st

from facesearch.errors import FacesearchError
from facesearch.rekognition.exceptions import FAULTS, RekognitionError
from facesearch.rekognition.model import OPERATIONS

MODEL = botocore.session.get_session().get_service_model("rekognition")
COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]  # noqa: S301 - ours

faults = st.sampled_from(sorted(FAULTS)).map(FAULTS.__getitem__)


@given(faults, st.text(), st.sampled_from(sorted(OPERATIONS)))
def test_it_reads_as_botocores_own_error(fault: type[RekognitionError], message: str, operation: str) -> None:
    error = fault(message)
    error.operation_name = operation
    theirs = ClientError(error.response, operation)

    assert str(error) == str(theirs)
    assert error.operation_name == theirs.operation_name
    assert error.response == theirs.response
    assert error.response["Error"] == {"Code": fault.__name__, "Message": message}
    assert isinstance(error, FacesearchError)


@given(faults, st.none() | st.text(), st.sampled_from(COPIES))
def test_a_copy_says_the_same(fault: type[RekognitionError], message: str | None, copied: Callable[[Any], Any]) -> None:
    error = fault(message)
    error.operation_name = "ListUsers"
    other = copied(error)

    assert type(other) is fault
    assert (str(other), other.message, other.response) == (str(error), error.message, error.response)


def test_every_error_of_the_operations_has_its_class() -> None:
    model = {error.name for name in OPERATIONS for error in MODEL.operation_model(name).error_shapes}
    front_end = {
        *("IncompleteSignatureException", "InvalidSignatureException", "MissingAuthenticationTokenException"),
        *("RequestEntityTooLargeException", "SerializationException", "UnknownOperationException"),
        *("UnrecognizedClientException", "ValidationException"),
    }

    assert set(FAULTS) == model | front_end
    assert all(fault.code == name == fault.__name__ for name, fault in FAULTS.items())


def test_the_service_is_to_blame_for_two_of_them() -> None:
    statuses = {name: fault.http_status for name, fault in FAULTS.items()}
    blamed = {name for name, status in statuses.items() if status == 500}

    assert blamed == {"InternalServerError", "ThrottlingException"}
    assert set(statuses.values()) == {400, 413, 500}
    assert statuses["RequestEntityTooLargeException"] == 413


@pytest.mark.parametrize("fault", FAULTS.values())
def test_without_a_message_it_uses_awss_words(fault: type[RekognitionError]) -> None:
    assert fault().message == fault.usual_message != ""
    assert fault("").message == ""


def test_each_answer_has_an_id_of_its_own() -> None:
    first, second = (FAULTS["InternalServerError"]() for _ in range(2))
    ids = [error.response["ResponseMetadata"]["RequestId"] for error in (first, first, second)]

    assert ids[0] == ids[1] != ids[2]


def test_neither_boto3_nor_botocore_is_imported() -> None:
    modules = ", ".join(
        f"facesearch.rekognition.{name}" for name in ("exceptions", "model", "validation", "s3_objects")
    )
    code = f"import sys, {modules}; print([name for name in sys.modules if name.startswith('boto')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - ours

    assert done.stdout == "[]\n"
