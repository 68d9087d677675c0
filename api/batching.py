"""A queue that gathers requests into batches for the model.

While the model computes one batch, the pictures that arrive wait; once it is free, they form the
next batch. A single request therefore never waits for others, and under load the batches fill by
themselves. The model runs in a thread of its own, so that the event loop keeps reading requests and
sending responses. That thread takes its batches itself, so that a batch costs two wakings, there
and back. A request that is alone can do without them, if the model is quick: see `compute`.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread

import torch
from torch import Tensor

from api.errors import busy
from api.metrics import Metrics

BRIEF_SECONDS = 0.01  # for which the event loop may compute itself

Predict = Callable[[Tensor], Tensor]
Outcome = Tensor | Exception


@dataclass(frozen=True)
class Job:
    """One request's pictures, and the future that receives their probabilities."""

    images: Tensor  # uint8 (n, 3, S, S)
    result: asyncio.Future[Tensor]
    arrived: float


class Batcher:
    """A bounded queue of pictures for the model.

    Parameters
    ----------
    predict : callable   uint8 (N, 3, S, S) to float32 (N, classes); called in one thread at a time
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
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # None wakes the thread at the end
        self._left_over: Job | None = None  # taken from the queue, and too large for the last batch
        self._waiting = 0  # pictures of both
        self._counting = Lock()
        self._rests = False  # whether the thread waits for jobs
        self._ended = False
        self._seconds_per_picture = 0.01  # a running mean
        self._seconds_alone = math.inf  # of the last picture that was a batch of its own
        # A service whose start fails ends without `close`, and must not wait for the thread.
        self._thread = Thread(target=self._serve, name="model", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether the thread that computes is running."""
        return self._thread.is_alive()

    @property
    def idle(self) -> bool:
        """Whether a job that is submitted now is taken at once."""
        return self._rests and not self._waiting

    def is_brief(self, pictures: int) -> bool:
        """Whether the model is idle, and so many pictures keep it for a moment only."""
        return self.idle and pictures * self._seconds_alone <= BRIEF_SECONDS

    def check_room(self, pictures: int = 1) -> None:
        """Raises Problem 503 if the queue has no room for that many more pictures."""
        if self._waiting + pictures > self._max_queue:
            raise busy(max(1, math.ceil(self._waiting * self._seconds_per_picture)))

    def compute(self, images: Tensor) -> Tensor:
        """float32 (n, classes) of pictures uint8 (n, 3, S, S), by the event loop, which waits.

        Only for what is brief, and for a request that is alone: others would wait, too.
        """
        started = time.perf_counter()
        rows = self._predict(images)
        seconds = time.perf_counter() - started
        self._metrics.stage("waiting", 0.0)
        self._metrics.stage("model", seconds)
        self._record(len(images), seconds)
        return rows

    def submit(self, images: Tensor) -> asyncio.Future[Tensor]:
        """Queue pictures uint8 (n, 3, S, S); the future receives float32 (n, classes).

        The pictures of a cancelled future are not computed.

        Raises
        ------
        Problem   503 if there is no room for them
        """
        self.check_room(len(images))
        result: asyncio.Future[Tensor] = self._loop.create_future()
        self._count(len(images))
        self._jobs.put(Job(images, result, time.perf_counter()))
        return result

    async def close(self) -> None:
        """Stop after the batch that is being computed; waiting jobs are cancelled."""
        self._ended = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        while job := self._next_job(wait=False):
            job.result.cancel()

    # ---- what the thread does

    def _serve(self) -> None:
        while jobs := self._next_batch():
            started = time.perf_counter()
            outcome = self._predicted([job.images for job in jobs])
            ended = time.perf_counter()
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._deliver, jobs, outcome, started, ended)

    def _next_batch(self) -> list[Job]:
        """The oldest jobs that fit into one batch, as soon as there is one; none at the end."""
        jobs: list[Job] = []
        pictures = 0
        while not self._ended and (job := self._next_job(wait=not jobs)):
            if jobs and pictures + len(job.images) > self._max_batch:
                self._left_over = job
                break
            self._count(-len(job.images))
            if not job.result.done():  # its client is still connected
                jobs.append(job)
                pictures += len(job.images)
        return jobs

    def _next_job(self, *, wait: bool) -> Job | None:
        if self._left_over:
            job, self._left_over = self._left_over, None
            return job
        self._rests = wait
        try:
            return self._jobs.get(block=wait)
        except Empty:
            return None
        finally:
            self._rests = False

    def _predicted(self, images: list[Tensor]) -> Outcome:
        """The probabilities of all pictures, or why there are none."""
        try:
            return self._predict(torch.cat(images) if len(images) > 1 else images[0])
        except Exception as error:
            return error

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting += change
            self._metrics.queue.set(self._waiting)

    # ---- back on the event loop

    def _deliver(self, jobs: list[Job], outcome: Outcome, started: float, ended: float) -> None:
        sizes = [len(job.images) for job in jobs]
        self._record(sum(sizes), ended - started)
        for job, own in zip(jobs, _split(outcome, sizes), strict=True):
            self._metrics.stage("waiting", started - job.arrived)
            if isinstance(own, Tensor):
                self._metrics.stage("model", ended - started)
            if job.result.done():  # its client has gone meanwhile
                continue
            if isinstance(own, Exception):
                job.result.set_exception(own)
            else:
                job.result.set_result(own)

    def _record(self, pictures: int, seconds: float) -> None:
        """Note how long a batch took."""
        self._metrics.batch(pictures)
        self._seconds_per_picture += 0.1 * (seconds / pictures - self._seconds_per_picture)
        if pictures == 1:
            self._seconds_alone = seconds


def _split(outcome: Outcome, sizes: list[int]) -> Sequence[Outcome]:
    """Each job's rows, or what failed for all of them."""
    if isinstance(outcome, Exception):
        return [outcome] * len(sizes)
    return outcome.split(sizes)
