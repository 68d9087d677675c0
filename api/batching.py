"""Requests gathered into batches for the model.

While the model works, what arrives gathers; once it is free, all of that goes to it together. So a
lone request waits for nothing, and many at once fill the batches by themselves. The model runs in
a thread of its own, and the event loop goes on reading and answering meanwhile.
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

Run = Callable[[Tensor], Tensor]


class QueueFull(Exception):
    """No room for these pictures; `seconds` says when there may be some."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Job:
    """One request's pictures, and where their probabilities are awaited."""

    images: Tensor
    answer: asyncio.Future[Tensor]
    arrived: float


class Batcher:
    """A bounded queue of pictures before the model.

    Parameters
    ----------
    run : callable     uint8 (N, 3, S, S) to float32 (N, classes); called in one thread
    max_batch : int    pictures that the model sees at once; a request is never split
    max_queue : int    pictures that may wait
    max_wait : float   seconds that a batch waits for requests that are being read or decoded
    """

    def __init__(
        self,
        run: Run,
        metrics: Metrics,
        max_batch: int = 32,
        max_queue: int = 256,
        max_wait: float = 0.002,
    ) -> None:
        self._run = run
        self._metrics = metrics
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._max_wait = max_wait
        self._jobs: deque[Job] = deque()
        self._waiting = 0  # pictures in `_jobs`
        self._pace = 0.01  # seconds a picture, a running mean
        self._thread = ThreadPoolExecutor(1, "model")
        self._arrival = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._serve())

    @property
    def healthy(self) -> bool:
        """Whether batches are being made."""
        return self._task is not None and not self._task.done()

    def check_room(self, pictures: int = 1) -> None:
        """Raises QueueFull if so many more would not fit."""
        if self._waiting + pictures > self._max_queue:
            raise QueueFull(max(1, math.ceil(self._waiting * self._pace)))

    def put(self, images: Tensor) -> asyncio.Future[Tensor]:
        """Queue pictures uint8 (n, 3, S, S); the result float32 (n, classes) arrives in the future.

        A cancelled future's pictures are left out.

        Raises
        ------
        QueueFull   if there is no room for them
        """
        self.check_room(len(images))
        answer: asyncio.Future[Tensor] = asyncio.get_running_loop().create_future()
        self._jobs.append(Job(images, answer, time.perf_counter()))
        self._count(len(images))
        self._arrival.set()
        return answer

    async def close(self) -> None:
        """Stop; whatever still waits is cancelled."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for job in self._jobs:
            job.answer.cancel()
        self._thread.shutdown()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            jobs = self._take()
            if not jobs:
                self._arrival.clear()
                await self._arrival.wait()
                continue
            started = time.perf_counter()
            try:
                rows = await loop.run_in_executor(self._thread, self._predict, jobs)
            except Exception as error:
                for job in jobs:
                    if not job.answer.done():
                        job.answer.set_exception(error)
                continue
            self._deliver(jobs, rows, started, time.perf_counter() - started)

    def _take(self) -> list[Job]:
        """The oldest jobs that fit into one batch, at least one if any waits."""
        jobs: list[Job] = []
        pictures = 0
        while self._jobs:
            size = len(self._jobs[0].images)
            if jobs and pictures + size > self._max_batch:
                break
            job = self._jobs.popleft()
            self._count(-size)
            if not job.answer.done():  # its client is still there
                jobs.append(job)
                pictures += size
        return jobs

    def _predict(self, jobs: list[Job]) -> Tensor:
        return self._run(torch.cat([job.images for job in jobs]))

    def _deliver(self, jobs: list[Job], rows: Tensor, started: float, seconds: float) -> None:
        self._metrics.batch(len(rows))
        self._pace += 0.1 * (seconds / len(rows) - self._pace)
        first = 0
        for job in jobs:
            last = first + len(job.images)
            self._metrics.stage("waiting", started - job.arrived)
            self._metrics.stage("model", seconds)
            if not job.answer.done():
                job.answer.set_result(rows[first:last])
            first = last

    def _count(self, change: int) -> None:
        self._waiting += change
        self._metrics.queue.set(self._waiting)
