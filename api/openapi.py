"""The parts of the OpenAPI description that FastAPI cannot derive from the handlers."""

from typing import Any

from lib.inference import FORMATS

DESCRIPTION = """
Predicts the classes of pictures, with calibrated confidence: of 1,000 predictions with a confidence
of 80 %, about 800 are correct.

    curl -F file=@picture.png http://127.0.0.1:8000/predict

Every path with GET also answers HEAD. Request bodies must not be compressed. Every response has the
header `X-Request-ID`; if the request sends one, it is returned.
"""

PNG: dict[str, Any] = {
    "description": "The grey picture under its Grad-CAM heatmap.",
    "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
}
TEXT: dict[str, Any] = {
    "description": "The Prometheus text format.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}
SUBTYPES = {"PPM": "x-portable-anymap"}  # the others are called as their formats are
CONTENT_TYPES = ", ".join(f"image/{SUBTYPES.get(name, name.lower())}" for name in FORMATS)


def picture_form(many: bool) -> dict[str, Any]:
    """A multipart form with pictures, for a route's `openapi_extra`."""
    picture = {"type": "string", "format": "binary"}
    field = {"type": "array", "items": picture, "minItems": 1} if many else picture
    form = {
        "schema": {
            "type": "object",
            "properties": {"file": field},
            "required": ["file"],
            "additionalProperties": False,
        },
        "encoding": {"file": {"contentType": CONTENT_TYPES}},
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}}


MAX_EXAMPLE_SIDE = 64  # pixels; the example of a larger tensor would only slow the page


def tensor_body(side: int) -> dict[str, Any]:
    """An inference request for pictures of side x side pixels, for a route's `openapi_extra`."""
    parameters = {  # null is absent; see `api.tensors`
        "type": ["object", "null"],
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
    }
    pixels = 3 * side * side
    tensor = {
        "type": "object",
        "properties": {
            "name": {"const": "images"},
            "shape": {
                "type": "array",
                "description": f"[N, 3, {side}, {side}]",
                "prefixItems": [
                    {"type": "integer", "minimum": 1},
                    *map(_constant, (3, side, side)),
                ],
                "minItems": 4,
                "maxItems": 4,
            },
            "datatype": {"const": "UINT8"},
            "parameters": parameters,
            "data": {
                "type": "array",
                "description": "flat, or nested like the shape; omitted if the parameter "
                "binary_data_size announces bytes after the JSON object",
            },
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    output = {
        "type": "object",
        "properties": {
            "name": {"enum": ["probabilities", "labels"]},
            "parameters": parameters,
        },
        "required": ["name"],
    }
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": parameters,
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
            "outputs": {"type": ["array", "null"], "items": output},
        },
        "required": ["inputs"],
    }
    if side <= MAX_EXAMPLE_SIDE:
        grey = {
            "name": "images",
            "shape": [1, 3, side, side],
            "datatype": "UINT8",
            "data": [128] * pixels,
        }
        schema["examples"] = [{"id": "42", "inputs": [grey]}]
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def _constant(value: int) -> dict[str, int]:
    return {"const": value}
