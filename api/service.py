"""One request from admission to prediction.

A picture of a few thousand pixels is decoded on the event loop in a fraction of a millisecond;
larger ones are decoded in threads, so that other requests do not wait for them.
"""

import asyncio
import dataclasses
import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TypeVar

import torch
from fastapi import Request
from PIL import Image
from starlette.requests import ClientDisconnect
from torch import Tensor

from api.batching import Batcher, QueueFull
from api.errors import Problem, busy
from api.metrics import Metrics
from api.uploads import Limits, MemoryBudget, Upload, count_pixels, read_files
from lib.errors import UserError
from lib.inference import Predictor

INLINE_PIXELS = 16_384  # at most so many are decoded on the event loop
MAX_EXPLANATIONS = 8  # running and waiting

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """Settings of the service."""

    decoders: int = 2  # threads
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
        self._decoders = ThreadPoolExecutor(settings.decoders, "decode")
        self._explainer = ThreadPoolExecutor(1, "explain")
        self._explanations = 0

    async def start(self) -> None:
        """Run everything once, because many libraries load only at first use."""
        self.batcher.start()
        side = self.predictor.image_size
        await self.batcher.submit(torch.zeros(1, 3, side, side, dtype=torch.uint8))
        blank = BytesIO()
        Image.new("RGB", (side, side)).save(blank, "PNG")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(
            self._explainer, self._overlay, Upload(data=bytearray(blank.getvalue())), None
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
            with self.stage("decoding"):
                images = await self.decode(uploads)
        return [upload.name for upload in uploads], await self.probabilities(request, images)

    async def decode(self, uploads: list[Upload]) -> Tensor:
        """Pictures uint8 (n, 3, S, S) of files; raises Problem for the first unreadable one."""
        pixels = sum(count_pixels(upload, self.limits) for upload in uploads)
        if pixels <= INLINE_PIXELS:
            return self._decode_all(uploads)
        return await self.in_thread(lambda: self._decode_all(uploads))

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Call a function that would block the event loop in one of the decoding threads."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, function)

    async def probabilities(self, request: Request, images: Tensor) -> Tensor:
        """Probabilities (n, classes) of pictures uint8 (n, 3, S, S).

        Raises
        ------
        Problem            503 if the queue is full
        ClientDisconnect   if the client closes the connection
        """
        with queue_full_as_problem():
            result = self.batcher.submit(images)
        # The body has been read, so the next message can only be the disconnection.
        disconnected = asyncio.ensure_future(request.receive())
        disconnected.add_done_callback(lambda _: result.cancel())
        try:
            rows = await result
        except asyncio.CancelledError:
            if disconnected.done():
                raise ClientDisconnect from None
            raise
        finally:
            disconnected.cancel()
        for confidence in rows.amax(dim=1).tolist():
            self.metrics.confidence(confidence)
        return rows

    async def explain(self, request: Request, target: str | None) -> bytes:
        """Grad-CAM heatmap over the request's one picture, as a PNG."""
        if target is not None and target not in self.predictor.classes:
            raise Problem(422, "unknown_class", f"no class {target[:80]!r}; GET /model lists them")
        if self._explanations >= MAX_EXPLANATIONS:
            raise busy(1)
        self._explanations += 1
        try:
            with self.memory.reservation(request) as reservation:
                limits = dataclasses.replace(self.limits, files=1)
                uploads = await read_files(request, reservation, limits)
                count_pixels(uploads[0], self.limits)
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(
                    self._explainer, self._overlay, uploads[0], target
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
        self._decoders.shutdown()
        self._explainer.shutdown()

    def _decode_all(self, uploads: list[Upload]) -> Tensor:
        return torch.stack([self._decode_one(upload) for upload in uploads])

    def _decode_one(self, upload: Upload) -> Tensor:
        try:
            return self.predictor.prepare(NamedFile(upload))
        except UserError as error:
            raise Problem(422, "unreadable", str(error)) from error

    def _overlay(self, upload: Upload, target: str | None) -> bytes:
        try:
            overlay = self.predictor.explain(NamedFile(upload), target)
        except UserError as error:
            raise Problem(422, "unreadable", str(error)) from error
        png = BytesIO()
        overlay.save(png, "PNG")
        return png.getvalue()


class NamedFile(BytesIO):
    """An upload as a file; messages about it mention its name."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(upload.data)
        self.name = upload.name


@contextmanager
def queue_full_as_problem() -> Iterator[None]:
    """Turn a full queue into a 503 response."""
    try:
        yield
    except QueueFull as error:
        raise busy(error.seconds) from None
