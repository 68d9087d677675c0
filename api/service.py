"""One request from admission to prediction."""

import asyncio
import dataclasses
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TypeVar

import torch
from fastapi import Request
from PIL import Image
from starlette.requests import ClientDisconnect
from starlette.types import Message
from torch import Tensor

from api.batching import Batcher, QueueFull
from api.decoding import Decoder, announced
from api.errors import Problem, busy
from api.metrics import Metrics
from api.uploads import Limits, MemoryBudget, Upload, read_files
from lib.inference import Predictor

MAX_EXPLANATIONS = 8  # running and waiting

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """Settings of the service."""

    decoders: int = 2  # processes for large pictures
    max_batch: int = 32
    max_queue: int = 256
    token: str | None = None
    origins: tuple[str, ...] = ()  # other origins whose pages may call the service (CORS)
    limits: Limits = field(default_factory=Limits)


class Service:
    """A predictor behind a queue."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self.predictor = predictor
        self.limits = settings.limits
        self.metrics = Metrics()
        self.batcher = Batcher(
            predictor.probabilities, self.metrics, settings.max_batch, settings.max_queue
        )
        self.memory = MemoryBudget(settings.limits)
        self._decoder = Decoder(predictor.image_size, settings.limits, settings.decoders)
        self._reader = ThreadPoolExecutor(1, "tensors")
        self._explainer = ThreadPoolExecutor(1, "explain")
        self._explanations = 0

    async def start(self) -> None:
        """Run everything once, because many libraries load only at first use."""
        self.batcher.start()
        side = self.predictor.image_size
        blank = torch.zeros(1, 3, side, side, dtype=torch.uint8)
        await asyncio.gather(
            self.batcher.submit(blank),
            asyncio.get_running_loop().run_in_executor(
                self._explainer, self._overlay, blank[0], None
            ),
            self._decoder.start(),
        )
        # The objects that exist now stay; searching them for garbage took a third of the
        # interpreter's time.
        gc.collect()
        gc.freeze()

    def check_ready(self) -> None:
        """Raises Problem 503 if the model cannot predict."""
        if not self.batcher.healthy:
            raise Problem(503, "not_ready", "the model is not running")

    def check_room(self) -> None:
        """Raises Problem 503 if the queue is full, before the request's body is read."""
        with queue_full_as_problem():
            self.batcher.check_room()

    async def predict(self, request: Request) -> tuple[list[str], Tensor]:
        """Names of the request's pictures, and their probabilities (n, classes)."""
        self.check_room()
        with self.memory.reservation(request) as reservation:
            with self.stage("reading"):
                uploads = await read_files(request, reservation, self.limits)
            async with while_connected(request):
                images = await self._decoded(uploads)
                rows = await self._predicted(images)
        return [upload.name for upload in uploads], rows

    async def _decoded(self, uploads: list[Upload]) -> Tensor:
        """Pictures uint8 (n, 3, S, S); raises Problem for the first damaged or too large one."""
        with self.stage("decoding"):
            structures = [await announced(upload, self.limits) for upload in uploads]
            return await self._decoder.decode(uploads, structures)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Call a function that would block the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, function)

    async def probabilities(self, request: Request, images: Tensor) -> Tensor:
        """Probabilities (n, classes) of pictures uint8 (n, 3, S, S).

        Raises
        ------
        Problem            503 if the queue is full
        ClientDisconnect   if the client closes the connection
        """
        async with while_connected(request):
            return await self._predicted(images)

    async def _predicted(self, images: Tensor) -> Tensor:
        with queue_full_as_problem():
            result = self.batcher.submit(images)
        rows = await result
        for confidence in rows.amax(dim=1).tolist():
            self.metrics.confidence(confidence)
        return rows

    async def explain(self, request: Request, target: str | None) -> bytes:
        """Grad-CAM heatmap over the request's one picture, as a PNG."""
        if target is not None and target not in self.predictor.classes:
            raise Problem(422, "unknown_class", f"no class {target[:80]!r}; GET /model lists them")
        self._check_explainer()
        with self.memory.reservation(request) as reservation:
            limits = dataclasses.replace(self.limits, files=1)
            uploads = await read_files(request, reservation, limits)
            async with while_connected(request):
                images = await self._decoded(uploads)
                return await self._explain(images[0], target)

    def _check_explainer(self) -> None:
        """Raises Problem 503 if as many explanations as may wait are waiting."""
        if self._explanations >= MAX_EXPLANATIONS:
            raise busy(1)

    async def _explain(self, image: Tensor, target: str | None) -> bytes:
        self._check_explainer()  # the place is taken when there is something to explain
        self._explanations += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._explainer, self._overlay, image, target
            )
        finally:
            self._explanations -= 1

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record the duration of a request's stage, unless it fails."""
        started = time.perf_counter()
        yield
        self.metrics.stage(name, time.perf_counter() - started)

    async def close(self) -> None:
        await self.batcher.close()
        await self._decoder.close()
        self._reader.shutdown()
        self._explainer.shutdown()

    def _overlay(self, image: Tensor, target: str | None) -> bytes:
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        png = BytesIO()
        self.predictor.explain(picture, target).save(png, "PNG")
        return png.getvalue()


@contextmanager
def queue_full_as_problem() -> Iterator[None]:
    """Turn a full queue into a 503 response."""
    try:
        yield
    except QueueFull as error:
        raise busy(error.seconds) from None


@asynccontextmanager
async def while_connected(request: Request) -> AsyncIterator[None]:
    """Cancels what it contains when the request's client has gone.

    The request's body has been read, so the next message can only be the disconnection.

    Raises
    ------
    ClientDisconnect   if the client closes the connection
    """
    task = asyncio.current_task()
    assert task is not None
    gone = False

    def cancel(message: asyncio.Future[Message]) -> None:
        nonlocal gone
        if not message.cancelled():
            gone = True
            task.cancel()

    disconnected = asyncio.ensure_future(request.receive())
    disconnected.add_done_callback(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if gone and task.uncancel() == 0:  # and nobody else cancelled it
            raise ClientDisconnect from None
        raise
    finally:
        disconnected.remove_done_callback(cancel)
        disconnected.cancel()
