"""Tensors of the Open Inference Protocol, read and written without a service."""

import json
import subprocess
import sys

import numpy as np
import pytest

from api import tensors
from api.errors import Problem
from tests.api.service import ROOT

SIDE = 4
IMAGES = np.arange(2 * 3 * SIDE * SIDE, dtype=np.uint8).reshape(2, 3, SIDE, SIDE)


def body(**changes):
    tensor = {
        "name": "images",
        "shape": list(IMAGES.shape),
        "datatype": "UINT8",
        "data": IMAGES.ravel().tolist(),
    }
    return {"inputs": [tensor | changes]}


def read(value, header=None):
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return tensors.read(*tensors.split(content, header), SIDE)


@pytest.mark.parametrize("data", [IMAGES.ravel().tolist(), IMAGES.tolist()], ids=["flat", "nested"])
def test_json_data_is_read_in_the_tensors_order(data):
    _, pictures = read(body(data=data))
    assert pictures.dtype == np.uint8
    assert np.array_equal(pictures, IMAGES)


def test_bytes_follow_the_json_object():
    head = body(parameters={"binary_data_size": IMAGES.size})
    del head["inputs"][0]["data"]
    text = json.dumps(head).encode()
    _, pictures = read(text + IMAGES.tobytes(), str(len(text)))
    assert np.array_equal(pictures, IMAGES)


BYTES = IMAGES.tobytes()


def as_bytes(size, sent=BYTES, **changes):
    """A request whose tensor is said to have so many bytes, and the length of its JSON object."""
    head = body(data=None, parameters={"binary_data_size": size}, **changes)
    text = json.dumps(head).encode()
    return text + sent, str(len(text))


@pytest.mark.parametrize(
    ("request_and_length", "message"),
    [
        (as_bytes(96, BYTES[1:]), "size is '96', but 95 bytes of data follow"),
        (as_bytes(96, BYTES + b"1"), "size is '96', but 97 bytes of data follow"),
        (as_bytes(96, b""), "size is '96', but 0 bytes of data follow"),
        (as_bytes(-96), "size is '-96', but 96 bytes of data follow"),
        (as_bytes(10**30), "but 96 bytes of data follow"),
        (as_bytes(96.0), "size is '96.0', but 96 bytes of data follow"),
        (as_bytes("96"), "size is '96', but 96 bytes of data follow"),
        (as_bytes(True, b"1"), "size is 'True', but 1 bytes of data follow"),
        (as_bytes([96]), "binary_data_size"),
        (as_bytes(96, shape=[3, 3, 4, 4]), r"96 bytes of data do not fill the shape [3, 3, 4, 4]"),
        (as_bytes(96, datatype="FP32"), "datatype 'FP32' should be UINT8"),
        (as_bytes(None), "either data or the parameter binary_data_size is required"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(request_and_length, message):
    with pytest.raises(Problem) as refused:
        read(*request_and_length)
    assert refused.value.status == 400
    assert message in refused.value.message
    assert "\n" not in refused.value.message


def test_bytes_are_not_read_beside_json_data():
    text = json.dumps(body()).encode()
    with pytest.raises(Problem, match="both JSON data and bytes; send only one"):
        read(text + b"1", str(len(text)))


@pytest.mark.parametrize("length", [0, 1, -1])
def test_a_length_inside_of_the_json_object_is_refused(length):
    content, json_length = as_bytes(96)
    with pytest.raises(Problem, match="Invalid JSON") as refused:
        read(content, str(length if length >= 0 else int(json_length) - 1))
    assert refused.value.status == 400


@pytest.mark.parametrize("value", ["yes", 1, 0.0, "true"])
@pytest.mark.parametrize("of", ["request", "output"])
def test_whether_an_output_comes_as_bytes_is_true_or_false(of, value):
    if of == "output":
        changes = {"outputs": [{"name": "labels", "parameters": {"binary_data": value}}]}
    else:
        changes = {"parameters": {"binary_data_output": value}}
    with pytest.raises(Problem, match=r"parameter binary_data\w*: .* should be true or false"):
        read(body() | changes)


def test_outputs_come_as_bytes_one_by_one():
    outputs = [{"name": "labels", "parameters": {"binary_data": True}}, {"name": "probabilities"}]
    request, _ = read(body() | {"outputs": outputs})
    content, headers = tensors.write("m", request, np.float32([[1, 0]] * 2), ["a", "bc"])
    length = int(headers[tensors.JSON_LENGTH])
    labels, probabilities = json.loads(content[:length])["outputs"]
    assert labels["parameters"] == {"binary_data_size": 11}
    assert "data" not in labels
    assert probabilities["data"] == [1, 0, 1, 0]
    assert content[length:] == b"\1\0\0\0a\2\0\0\0bc"
    assert headers["Content-Type"] == "application/octet-stream"


WRONG = {
    "no JSON": (b"{", "EOF"),
    "no inputs": ({}, "inputs: Field required"),
    "two inputs": ({"inputs": 2 * body()["inputs"]}, "2 inputs"),
    "other input": (body(name="pixels"), "unknown input 'pixels'"),
    "other type": (body(datatype="FP32"), "datatype 'FP32' should be UINT8"),
    "other size": (body(shape=[2, 3, 5, 4]), "should be [N, 3, 4, 4]"),
    "no pictures": (body(shape=[0, 3, 4, 4], data=[]), "should be [N, 3, 4, 4]"),
    "too few numbers": (body(data=[1, 2, 3]), "does not fill the shape"),
    "ragged": (body(data=[[[[1, 2], [3]]]]), "does not fill the shape"),
    "numbers too large": (body(data=[256] * IMAGES.size), "less than or equal to 255"),
    "fractions": (body(data=[0.5] * IMAGES.size), "valid integer"),
    "words": (body(data=["1"] * IMAGES.size), "valid integer"),
    "no data": (body(data=None), "either data or the parameter binary_data_size is required"),
    "twice": (
        body(parameters={"binary_data_size": 96}),
        "either data or the parameter binary_data_size is required",
    ),
    "bytes missing": (body(data=None, parameters={"binary_data_size": 9}), "0 bytes of data"),
    "huge shape": (body(shape=[10**30, 3, 4, 4]), "less than or equal"),
    "unknown output": (body() | {"outputs": [{"name": "logits"}]}, "unknown output 'logits'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_request_that_does_not_fit_is_refused(name):
    value, message = WRONG[name]
    with pytest.raises(Problem) as refused:
        read(value)
    assert refused.value.status == 400
    assert message in refused.value.message


NULLS = {
    "id": body() | {"id": None},
    "parameters": body() | {"parameters": None},
    "outputs": body() | {"outputs": None},
    "an input's parameters": body(parameters=None),
    "an output's parameters": body() | {"outputs": [{"name": "labels", "parameters": None}]},
    "one parameter": body(parameters={"binary_data_size": None})
    | {"parameters": {"binary_data_output": None}},
    "all": body(parameters=None) | {"id": None, "parameters": None, "outputs": None},
}


@pytest.mark.parametrize("name", NULLS)
def test_null_is_as_good_as_absent(name):
    request, pictures = read(NULLS[name])
    assert np.array_equal(pictures, IMAGES)
    content, headers = tensors.write("m", request, np.float32([[1, 0]] * 2), ["a", "a"])
    assert headers == {"Content-Type": "application/json"}
    assert json.loads(content).keys() == {"model_name", "outputs"}


def test_a_null_parameter_of_an_output_leaves_it_to_that_of_the_request():
    output = {"name": "labels", "parameters": {"binary_data": None}}
    value = body() | {"outputs": [output], "parameters": {"binary_data_output": True}}
    _, headers = tensors.write("m", read(value)[0], np.float32([[1, 0]] * 2), ["a", "a"])
    assert tensors.JSON_LENGTH in headers


def test_null_data_leaves_the_pictures_to_the_bytes():
    text = json.dumps(body(data=None, parameters={"binary_data_size": IMAGES.size})).encode()
    assert np.array_equal(read(text + IMAGES.tobytes(), str(len(text)))[1], IMAGES)


@pytest.mark.parametrize("field", ["name", "shape", "datatype"])
def test_a_required_field_is_not_null(field):
    with pytest.raises(Problem, match=f"inputs.0.{field}"):
        read(body(**{field: None}))


@pytest.mark.parametrize("sent", ["", "42"])
def test_an_id_is_repeated(sent):
    request, _ = read(body() | {"id": sent})
    content, _ = tensors.write("m", request, np.float32([[1, 0]] * 2), ["a", "a"])
    assert json.loads(content)["id"] == sent


def test_a_response_as_json_and_as_bytes_holds_the_same_numbers():
    rows, labels = np.float32([[0.25, 0.75], [1, 0]]), ["b", "a"]
    request, _ = read(body())
    content, headers = tensors.write("m", request, rows, labels)
    assert headers == {"Content-Type": "application/json"}
    probabilities, named = json.loads(content)["outputs"]
    assert probabilities["data"] == rows.ravel().tolist()
    assert named["data"] == labels

    request, _ = read(body() | {"parameters": {"binary_data_output": True}})
    content, headers = tensors.write("m", request, rows, labels)
    binary = content[int(headers[tensors.JSON_LENGTH]) :]
    assert binary == rows.tobytes() + b"\x01\0\0\0b" + b"\x01\0\0\0a"


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 5000, "-1", "1e3", "٣", "", "1_0", "100000"])
def test_a_length_that_is_none_is_refused(length):
    with pytest.raises(Problem, match="should be the length of the JSON object"):
        tensors.split(b"{}", length)


def test_an_output_is_given_once():
    outputs = [{"name": "labels"}, {"name": "probabilities"}, {"name": "labels"}]
    with pytest.raises(Problem, match="output 'labels' is requested more than once") as refused:
        read(body() | {"outputs": outputs})
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "value", ["0", "255", "{}", "[]", '""', '{"a":1}', "[[],[]]", "1.5", "null"]
)
def test_parsing_takes_no_more_memory_than_foreseen(value):
    """Measured in a process of its own, where nothing else is allocated meanwhile."""
    code = f"""
import json, resource, sys
from api import tensors
text = b'{{"inputs":[{{"name":"images","shape":[1,3,4,4],"datatype":"UINT8","data":[' + b','.join(
    [{value!r}.encode()] * 400_000) + b']}}]}}'
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
try:
    tensors.read(text, b"", 4)
except tensors.Problem:
    pass
print(peak() - before, tensors.parsed_bytes(text))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    used, foreseen = map(int, done.stdout.split())
    assert used < 1.2 * foreseen
