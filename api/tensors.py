"""Tensors of the Open Inference Protocol, read and written as JSON or as bytes.

The request and response objects follow the protocol's text; bytes follow Triton's binary tensor
data extension, which Triton's clients use by default: the body is the JSON object followed by the
tensors, and a header gives the length of the JSON.

An optional field that is null counts as absent, since clients that fill in every field of their
request object send it so; that holds for each parameter, too. A response repeats the request's `id`
if it has one: a null `id` is none, and in the protocol's response `id` is a string.
"""

import json
import math
import re
import struct
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from pydantic import (
    BaseModel,
    BeforeValidator,
    FailFast,
    Field,
    Strict,
    TypeAdapter,
    ValidationError,
)

from api.errors import Problem

INPUT, DATATYPE = "images", "UINT8"
PROBABILITIES, LABELS = "probabilities", "labels"
JSON_LENGTH = "Inference-Header-Content-Length"
MOST = 16  # inputs, outputs and dimensions that are read; the model has one, two and four
# What values take in the parser and as lists, counted by the signs that introduce or separate them.
BYTES_OF_VALUES = {b",": 48, b"[": 160, b"{": 320, b'"': 80}

Whole = Annotated[int, Strict(), Ge(0), Le(2**63)]
Pixel = Annotated[int, Strict(), Ge(0), Le(255)]
Flat = Annotated[list[Pixel], FailFast()]
Rows = Annotated[list[Flat], FailFast()]
Channels = Annotated[list[Rows], FailFast()]
FLAT = TypeAdapter(Flat)
NESTED = TypeAdapter(Annotated[list[Channels], FailFast()])


def _without_null(value: Any) -> Any:
    """Parameters without those that are null; none at all for null."""
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if item is not None}
    return {} if value is None else value


def _or_empty(value: Any) -> Any:
    """An empty list for null."""
    return [] if value is None else value


Parameters = Annotated[dict[str, bool | int | float | str], BeforeValidator(_without_null)]


class RequestInput(BaseModel):
    name: str
    shape: Annotated[list[Whole], Field(max_length=MOST), FailFast()]
    datatype: str
    parameters: Parameters = Field(default_factory=dict)
    data: list[Any] | None = None


class RequestOutput(BaseModel):
    name: str
    parameters: Parameters = Field(default_factory=dict)


class InferRequest(BaseModel):
    id: str | None = None
    parameters: Parameters = Field(default_factory=dict)
    inputs: Annotated[list[RequestInput], Field(max_length=MOST), FailFast()]
    outputs: Annotated[
        list[RequestOutput], Field(max_length=MOST), FailFast(), BeforeValidator(_or_empty)
    ] = Field(default_factory=list)


class ResponseOutput(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[float] | list[str]


class InferResponse(BaseModel):
    """Response to an inference request; `id` only if the request has one."""

    model_name: str
    id: str | None = None
    outputs: list[ResponseOutput]


def split(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    """The JSON object of a request's body, and the bytes of its tensors.

    Parameters
    ----------
    json_length : str   value of the header Inference-Header-Content-Length, if present

    Raises
    ------
    Problem   400 if that is no length of the body's beginning
    """
    if json_length is None:
        return body, b""
    if not re.fullmatch(r"[0-9]{1,12}", json_length) or int(json_length) > len(body):
        raise invalid(f"{JSON_LENGTH}: should be the length of the JSON object in bytes")
    return body[: int(json_length)], body[int(json_length) :]


def parsed_bytes(text: bytes) -> int:
    """An upper limit of the memory that the values of a JSON text take once it is parsed."""
    return sum(text.count(mark) * size for mark, size in BYTES_OF_VALUES.items())


def read(text: bytes, binary: bytes, side: int) -> tuple[InferRequest, np.ndarray]:
    """A request and its pictures uint8 (N, 3, side, side).

    Parameters
    ----------
    text, binary : bytes   what `split` gives
    side : int             height and width of the model's input in pixels

    Raises
    ------
    Problem   400 if the request does not match the protocol or the model's metadata
    """
    try:
        request = InferRequest.model_validate_json(text)
    except ValidationError as error:
        raise invalid(_first_error(error, "the body")) from None
    names = [output.name for output in request.outputs]
    for name in names:
        if name not in (PROBABILITIES, LABELS):
            outputs = f"{PROBABILITIES} and {LABELS}"
            raise invalid(f"unknown output {name[:40]!r}; the outputs are {outputs}")
        if names.count(name) > 1:
            raise invalid(f"output {name!r} is requested more than once")
    _check_flag(request.parameters, "binary_data_output")
    for output in request.outputs:
        _check_flag(output.parameters, "binary_data")
    if len(request.inputs) != 1:
        raise invalid(f"{len(request.inputs)} inputs; the model has one, {INPUT!r}")
    return request, _pixels(request.inputs[0], binary, side)


def _pixels(tensor: RequestInput, binary: bytes, side: int) -> np.ndarray:
    if tensor.name != INPUT:
        raise invalid(f"unknown input {tensor.name[:40]!r}; the input is {INPUT!r}")
    if tensor.datatype != DATATYPE:
        raise invalid(f"{INPUT}: datatype {tensor.datatype[:40]!r} should be {DATATYPE}")
    if len(tensor.shape) != 4 or tensor.shape[0] < 1 or tensor.shape[1:] != [3, side, side]:
        raise invalid(f"{INPUT}: shape {tensor.shape[:8]} should be [N, 3, {side}, {side}]")
    shape = tuple(tensor.shape)
    size = tensor.parameters.get("binary_data_size")
    if (size is None) == (tensor.data is None):
        raise invalid(f"{INPUT}: either data or the parameter binary_data_size is required")
    if tensor.data is None:
        if type(size) is not int or size != len(binary):
            raise invalid(
                f"{INPUT}: binary_data_size is {str(size)[:40]!r}, "
                f"but {len(binary)} bytes of data follow the JSON object"
            )
        if size != math.prod(shape):
            raise invalid(f"{INPUT}: {size} bytes of data do not fill the shape {list(shape)}")
        return np.frombuffer(binary, np.uint8).reshape(shape)
    if binary:
        raise invalid(f"{INPUT}: both JSON data and bytes; send only one")
    nested = bool(tensor.data) and isinstance(tensor.data[0], list)
    try:
        values = np.array((NESTED if nested else FLAT).validate_python(tensor.data), np.uint8)
        if nested and values.shape != shape:
            raise ValueError
        return values.reshape(shape)
    except ValidationError as error:
        raise invalid(_first_error(error, "data")) from None
    except ValueError:  # ragged, or of another size
        raise invalid(f"{INPUT}: data does not fill the shape {list(shape)}") from None


def _check_flag(parameters: dict[str, Any], name: str) -> None:
    if type(parameters.get(name, False)) is not bool:
        raise invalid(f"parameter {name}: {str(parameters[name])[:40]!r} should be true or false")


def _first_error(error: ValidationError, whole: str) -> str:
    """The first error and its location."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or whole}: {first['msg']}"


def invalid(message: str) -> Problem:
    return Problem(400, "invalid_tensor", message)


def write(
    model: str, request: InferRequest, rows: np.ndarray, labels: list[str]
) -> tuple[bytes, dict[str, str]]:
    """A response's body and headers.

    Parameters
    ----------
    rows : float32 (N, classes)   probabilities
    labels : N names              most probable classes
    """
    tensors: dict[str, tuple[str, list[int], Any]] = {
        PROBABILITIES: ("FP32", list(rows.shape), rows.ravel()),
        LABELS: ("BYTES", [len(labels)], labels),
    }
    requested = request.outputs or [RequestOutput(name=name) for name in tensors]
    all_binary = request.parameters.get("binary_data_output", False)
    outputs, binary = [], bytearray()
    for output in requested:
        datatype, shape, values = tensors[output.name]
        entry: dict[str, Any] = {"name": output.name, "shape": shape, "datatype": datatype}
        if output.parameters.get("binary_data", all_binary):
            raw = _bytes(values)
            entry["parameters"] = {"binary_data_size": len(raw)}
            binary += raw
        else:
            entry["data"] = list(values) if datatype == "BYTES" else values.tolist()
        outputs.append(entry)
    response: dict[str, Any] = {"model_name": model, "outputs": outputs}
    if request.id is not None:
        response["id"] = request.id
    text = json.dumps(response).encode()
    if not binary:
        return text, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(text))}
    return text + binary, headers


def _bytes(values: Any) -> bytes:
    if isinstance(values, np.ndarray):
        return values.astype("<f4").tobytes()
    encoded = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
