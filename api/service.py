"""One request from admission to prediction."""

import asyncio
import dataclasses
import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TypeVar

import torch
from fastapi import Request
from PIL import Image
from torch import Tensor

from api.batching import Batcher
from api.decoding import Decoder, announced, are_decoded_here, decode_here
from api.errors import Problem, busy
from api.interruption import WhileConnected
from api.metrics import Metrics
from api.uploads import Limits, MemoryBudget, Upload, read_files
from lib.inference import Prediction, Predictor, Structure

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
        self._attended = 0  # requests for predictions that are being answered

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
        self.batcher.check_room()

    @contextmanager
    def attending(self) -> Iterator[None]:
        """The time from a request's first byte until its prediction."""
        self._attended += 1
        try:
            yield
        finally:
            self._attended -= 1

    async def is_alone(self) -> bool:
        """Whether the request that is attended has the service to itself."""
        await asyncio.sleep(0)  # those that have come meanwhile are attended first
        return self._alone

    @property
    def _alone(self) -> bool:
        return self._attended == 1 and self.batcher.idle

    async def predict(self, request: Request) -> tuple[list[str], list[Prediction]]:
        """Names of the request's pictures, and a prediction for each."""
        self.check_room()
        with self.attending(), self.memory.reservation(request) as reservation:
            with self.metrics.timed("reading"):
                uploads = await read_files(request, reservation, self.limits)
            structures = [await announced(upload, self.limits) for upload in uploads]
            side, alone = self.predictor.image_size, await self.is_alone()
            if are_decoded_here(uploads, structures, side, alone):
                with self.metrics.timed("decoding"):
                    images = decode_here(uploads, self.predictor)
            else:
                with WhileConnected(request):
                    images = await self._decoded(uploads, structures)
            _, predictions = await self.predict_images(request, images)
        return [upload.name for upload in uploads], predictions

    async def _decoded(self, uploads: list[Upload], structures: list[Structure]) -> Tensor:
        """Pictures uint8 (n, 3, S, S); raises Problem for the first damaged or too large one."""
        with self.metrics.timed("decoding"):
            return await self._decoder.decode(uploads, structures)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """What a function returns that would keep the event loop for long."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, function)

    async def predict_images(
        self, request: Request, images: Tensor
    ) -> tuple[Tensor, list[Prediction]]:
        """Probabilities (n, classes) of pictures uint8 (n, 3, S, S), and a prediction for each.

        Raises
        ------
        Problem            503 if the queue is full
        ClientDisconnect   if the client closes the connection
        """
        if self._alone and self.batcher.is_brief(len(images)):
            rows = self.batcher.compute(images)
        else:
            with WhileConnected(request):
                rows = await self.batcher.submit(images)
        predictions = self.predictor.labelled(rows)
        for prediction in predictions:
            self.metrics.confidence(prediction.confidence)
        return rows, predictions

    async def explain(self, request: Request, target: str | None) -> bytes:
        """Grad-CAM heatmap over the request's one picture, as a PNG."""
        if target is not None and target not in self.predictor.classes:
            raise Problem(422, "unknown_class", f"no class {target[:80]!r}; GET /model lists them")
        self._check_explainer()
        with self.memory.reservation(request) as reservation:
            limits = dataclasses.replace(self.limits, files=1)
            uploads = await read_files(request, reservation, limits)
            with WhileConnected(request):
                structures = [await announced(upload, self.limits) for upload in uploads]
                images = await self._decoded(uploads, structures)
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
