"""The Open Inference Protocol (V2) over REST, for KServe, Triton's clients and others.

One model with one input, `images`, UINT8 [N, 3, S, S], pictures of the network's input size; and
two outputs, `probabilities`, FP32 [N, classes], calibrated, and `labels`, BYTES [N].
"""

from functools import partial
from typing import Annotated, Any

import torch
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel

from api import openapi, tensors
from api.errors import Problem, documented
from api.service import Service
from api.uploads import Limits, Reservation, check_encoding, receive

# Bytes of JSON that the event loop reads itself: 0.6 and 2.8 ms of the worst that was found.
READ_HERE, READ_HERE_ALONE = 4_096, 16_384


class ServerMetadata(BaseModel):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    name: str
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Live(BaseModel):
    live: bool


class Ready(Live):
    ready: bool


class ModelReady(BaseModel):
    name: str
    ready: bool


def known_model(name: str, told: bool) -> Any:
    """A dependency that admits this name in the path, and no other.

    As a part of the routes' own paths, the description would tell the name without the token.
    """
    known = {"enum": [name]} if told else None

    async def check(
        model: Annotated[str, InPath(description="name of the model", json_schema_extra=known)],
    ) -> None:
        if model != name:
            raise HTTPException(404)

    return Depends(check)


def health_routes(service: Service, told: bool) -> APIRouter:
    """Metadata and health checks of the server, which need no token.

    Parameters
    ----------
    told : bool   whether their description names the model
    """
    router = APIRouter(prefix="/v2", tags=["open inference protocol"])
    name = service.predictor.bundle.name

    @router.get("")
    async def server_metadata() -> ServerMetadata:
        """Name, version and protocol extensions of the server."""
        return ServerMetadata(name="vision-daybook", version="1", extensions=["binary_tensor_data"])

    @router.get("/health/live")
    async def server_liveness() -> Live:
        """Liveness check."""
        return Live(live=True)

    @router.get("/health/ready", responses=documented(503))
    async def server_readiness() -> Ready:
        """Readiness check."""
        service.check_ready()
        return Ready(live=True, ready=True)

    @router.get(
        "/models/{model}/ready",
        dependencies=[known_model(name, told)],
        responses=documented(404, 503),
    )
    async def model_readiness() -> ModelReady:
        """Readiness check of this model."""
        service.check_ready()
        return ModelReady(name=name, ready=True)

    return router


def model_routes(service: Service, told: bool) -> APIRouter:
    """The routes of the model; `told` says whether their description names it."""
    predictor = service.predictor
    name = predictor.bundle.name
    router = APIRouter(
        prefix="/v2/models/{model}",
        tags=["open inference protocol"],
        dependencies=[known_model(name, told)],
        responses=documented(404),
    )
    side, classes = predictor.image_size, predictor.classes
    # A pixel needs at most five characters ("255, "); the rest is for names and shapes.
    max_bytes = service.limits.files * 3 * side * side * 5 + 65_536

    @router.get("")
    async def model_metadata() -> ModelMetadata:
        """Inputs and outputs of the model; -1 stands for any number of pictures."""
        return ModelMetadata(
            name=name,
            platform="onnx_onnxv1" if predictor.device.type == "cpu" else "pytorch_safetensors",
            inputs=[tensor_metadata(tensors.INPUT, tensors.DATATYPE, -1, 3, side, side)],
            outputs=[
                tensor_metadata(tensors.PROBABILITIES, "FP32", -1, len(classes)),
                tensor_metadata(tensors.LABELS, "BYTES", -1),
            ],
        )

    @router.post(
        "/infer",
        response_model=tensors.InferResponse,
        responses=documented(400, 408, 413, 415, 503),
        openapi_extra=openapi.tensor_body(side),
    )
    async def infer(request: Request) -> Response:
        """Calibrated probabilities and labels for pictures in a tensor."""
        service.check_room()
        check_encoding(request)
        body = bytearray()
        with service.attending():
            with service.memory.reservation(request) as reservation:
                with service.metrics.timed("reading"):
                    await receive(request, reservation, service.limits, max_bytes, body.extend)
                with service.metrics.timed("decoding"):
                    header = request.headers.get(tensors.JSON_LENGTH)
                    text, binary = tensors.split(bytes(body), header)
                    reserve(reservation, tensors.parsed_bytes(text), service.limits)
                    read = partial(tensors.read, text, binary, side)
                    here = READ_HERE_ALONE if await service.is_alone() else READ_HERE
                    inference_request, pictures = (
                        read() if len(text) <= here else await service.in_thread(read)
                    )
            if len(pictures) > service.limits.files:
                message = f"more than {service.limits.files} pictures in one request"
                raise Problem(413, "too_many_files", message)
            rows, predictions = await service.predict_images(request, torch.tensor(pictures))
        with service.metrics.timed("writing"):
            labels = [prediction.label for prediction in predictions]
            content, headers = tensors.write(name, inference_request, rows.numpy(), labels)
            return Response(content, headers=headers)

    return router


def reserve(reservation: Reservation, size: int, limits: Limits) -> None:
    """Reserve memory for the values of a JSON tensor.

    Raises
    ------
    Problem   413 if they take more than one client may ever have, 503 if there is no room now
    """
    if reservation.size + size > limits.client_bytes:
        message = "the JSON has too many values; send the tensor as bytes (binary_data_size)"
        raise Problem(413, "too_large", message)
    reservation.add(size)


def tensor_metadata(name: str, datatype: str, *shape: int) -> TensorMetadata:
    return TensorMetadata(name=name, datatype=datatype, shape=list(shape))
