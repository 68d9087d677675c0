"""A queue that gathers requests into batches for the model.

While the model computes one batch, the pictures that arrive wait; once it is free, they form the
next batch. A single request therefore never waits for others, and under load the batches fill by
themselves. The model runs in a thread of its own, so that the event loop keeps reading requests and
sending responses.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from api.metrics import Metrics

Predict = Callable[[Tensor], Tensor]


class QueueFull(Exception):
    """The queue has no room for these pictures; `seconds` estimates when to retry."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Job:
    """One request's pictures, and the future that receives their probabilities."""

    images: Tensor
    result: asyncio.Future[Tensor]
    arrived: float


class Batcher:
    """A bounded queue of pictures for the model.

    Parameters
    ----------
    predict : callable   uint8 (N, 3, S, S) to float32 (N, classes); called in one thread
    max_batch : int      maximum number of pictures per batch; a request is never split
    max_queue : int      maximum number of waiting pictures
    """

    def __init__(
        self,
        predict: Predict,
        metrics: Metrics,
        max_batch: int = 32,
        max_queue: int = 256,
    ) -> None:
        self._predict = predict
        self._metrics = metrics
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._jobs: deque[Job] = deque()
        self._waiting = 0  # pictures in `_jobs`
        self._seconds_per_picture = 0.01  # a running mean
        self._thread = ThreadPoolExecutor(1, "model")
        self._arrival = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._serve())

    @property
    def healthy(self) -> bool:
        """Whether the task that forms the batches is running."""
        return self._task is not None and not self._task.done()

    def check_room(self, pictures: int = 1) -> None:
        """Raises QueueFull if the queue has no room for that many more pictures."""
        if self._waiting + pictures > self._max_queue:
            raise QueueFull(max(1, math.ceil(self._waiting * self._seconds_per_picture)))

    def submit(self, images: Tensor) -> asyncio.Future[Tensor]:
        """Queue pictures uint8 (n, 3, S, S); the future receives float32 (n, classes).

        The pictures of a cancelled future are not computed.

        Raises
        ------
        QueueFull   if there is no room for them
        """
        self.check_room(len(images))
        result: asyncio.Future[Tensor] = asyncio.get_running_loop().create_future()
        self._jobs.append(Job(images, result, time.perf_counter()))
        self._count(len(images))
        self._arrival.set()
        return result

    async def close(self) -> None:
        """Stop; waiting jobs are cancelled."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for job in self._jobs:
            job.result.cancel()
        self._thread.shutdown()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            jobs = self._next_batch()
            if not jobs:
                self._arrival.clear()
                await self._arrival.wait()
                continue
            started = time.perf_counter()
            try:
                rows = await loop.run_in_executor(self._thread, self._run, jobs)
            except Exception as error:
                for job in jobs:
                    if not job.result.done():
                        job.result.set_exception(error)
                continue
            self._deliver(jobs, rows, started, time.perf_counter() - started)

    def _next_batch(self) -> list[Job]:
        """The oldest jobs that fit into one batch, at least one if any waits."""
        jobs: list[Job] = []
        pictures = 0
        while self._jobs:
            size = len(self._jobs[0].images)
            if jobs and pictures + size > self._max_batch:
                break
            job = self._jobs.popleft()
            self._count(-size)
            if not job.result.done():  # its client is still connected
                jobs.append(job)
                pictures += size
        return jobs

    def _run(self, jobs: list[Job]) -> Tensor:
        return self._predict(torch.cat([job.images for job in jobs]))

    def _deliver(self, jobs: list[Job], rows: Tensor, started: float, seconds: float) -> None:
        self._metrics.batch(len(rows))
        self._seconds_per_picture += 0.1 * (seconds / len(rows) - self._seconds_per_picture)
        first = 0
        for job in jobs:
            last = first + len(job.images)
            self._metrics.stage("waiting", started - job.arrived)
            self._metrics.stage("model", seconds)
            if not job.result.done():
                job.result.set_result(rows[first:last])
            first = last

    def _count(self, change: int) -> None:
        self._waiting += change
        self._metrics.queue.set(self._waiting)
