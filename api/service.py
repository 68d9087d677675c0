"""The service behind the paths: a request is admitted, read, decoded, predicted.

A picture of a few thousand pixels is decoded where it is, in a fraction of a millisecond; larger
ones go to threads, so that nobody else waits for them.
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
from api.uploads import Limits, Store, Upload, count_pixels, read_files
from lib.errors import UserError
from lib.inference import Predictor

SMALL = 16_384  # pixels that are decoded on the event loop
EXPLANATIONS = 8  # that may wait

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """How the service runs."""

    decoders: int = 2  # threads
    max_batch: int = 32
    max_queue: int = 256
    token: str | None = None
    origins: tuple[str, ...] = ()  # pages of other hosts that may call
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
        self.store = Store(settings.limits)
        self._decoders = ThreadPoolExecutor(settings.decoders, "decode")
        self._explainer = ThreadPoolExecutor(1, "explain")
        self._explanations = 0

    async def start(self) -> None:
        """Do everything once before the first request: libraries load when they are first used."""
        self.batcher.start()
        side = self.predictor.image_size
        await self.batcher.put(torch.zeros(1, 3, side, side, dtype=torch.uint8))
        blank = BytesIO()
        Image.new("RGB", (side, side)).save(blank, "PNG")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(
            self._explainer, self._overlay, Upload(data=bytearray(blank.getvalue())), None
        )
        # What is loaded now stays, and need not be searched for garbage: that took a third of
        # the interpreter's time.
        gc.collect()
        gc.freeze()

    def check_ready(self) -> None:
        """Raises Problem 503 if the model cannot predict."""
        if not self.batcher.healthy:
            raise Problem(503, "not_ready", "the model does not run")

    def check_room(self) -> None:
        """Raises Problem 503 if another picture would have no place, before it is even read."""
        with full_is_busy():
            self.batcher.check_room()

    async def predict(self, request: Request) -> tuple[list[str], Tensor]:
        """Names of the request's pictures, and their probabilities (n, classes)."""
        self.check_room()
        with self.store.hold() as hold:
            with self.stage("reading"):
                uploads = await read_files(request, hold, self.limits)
            with self.stage("decoding"):
                images = await self.decode(uploads)
        return [upload.name for upload in uploads], await self.probabilities(request, images)

    async def decode(self, uploads: list[Upload]) -> Tensor:
        """Pictures uint8 (n, 3, S, S) of files; raises Problem for the first that is none."""
        pixels = sum(count_pixels(upload, self.limits) for upload in uploads)
        if pixels <= SMALL:
            return self._prepare(uploads)
        return await self.aside(lambda: self._prepare(uploads))

    async def aside(self, work: Callable[[], T]) -> T:
        """Do what would keep the event loop busy in one of the decoding threads."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work)

    async def probabilities(self, request: Request, images: Tensor) -> Tensor:
        """What the model says of pictures uint8 (n, 3, S, S); nothing if the client leaves."""
        with full_is_busy():
            answer = self.batcher.put(images)
        left = asyncio.ensure_future(request.receive())  # the body is read: only an end can come
        left.add_done_callback(lambda _: answer.cancel())
        try:
            rows = await answer
        except asyncio.CancelledError:
            if left.done():
                raise ClientDisconnect from None
            raise
        finally:
            left.cancel()
        for confidence in rows.amax(dim=1).tolist():
            self.metrics.confidence(confidence)
        return rows

    async def explain(self, request: Request, target: str | None) -> bytes:
        """A PNG that shows where the model looked in the request's one picture."""
        if target is not None and target not in self.predictor.classes:
            raise Problem(422, "unknown_class", f"no class {target[:80]!r}; GET /model lists them")
        if self._explanations >= EXPLANATIONS:
            raise busy(1)
        self._explanations += 1
        try:
            with self.store.hold() as hold:
                limits = dataclasses.replace(self.limits, files=1)
                uploads = await read_files(request, hold, limits)
                count_pixels(uploads[0], self.limits)
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(
                    self._explainer, self._overlay, uploads[0], target
                )
        finally:
            self._explanations -= 1

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage of a request that passes it."""
        started = time.perf_counter()
        yield
        self.metrics.stage(name, time.perf_counter() - started)

    async def close(self) -> None:
        await self.batcher.close()
        self._decoders.shutdown()
        self._explainer.shutdown()

    def _prepare(self, uploads: list[Upload]) -> Tensor:
        return torch.stack([self._prepared(upload) for upload in uploads])

    def _prepared(self, upload: Upload) -> Tensor:
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
    """An upload as a file whose name stands in messages about it."""

    def __init__(self, upload: Upload) -> None:
        super().__init__(upload.data)
        self.name = upload.name


@contextmanager
def full_is_busy() -> Iterator[None]:
    """Turn a full queue into the answer that says so."""
    try:
        yield
    except QueueFull as error:
        raise busy(error.seconds) from None
