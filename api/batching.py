"""A queue that gathers requests into batches for the model.

While the model computes one batch, the pictures that arrive wait; once it is free, they form the
next batch. A single request therefore never waits for others, and under load the batches fill by
themselves. The model runs in a thread of its own, so that the event loop keeps reading requests and
sending responses. That thread takes its batches itself, so that a batch costs two wakings, there
and back. While it rests, it may decode as well: a lone request then needs no third one.
"""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread

import torch
from torch import Tensor

from api.errors import busy
from api.metrics import Metrics

Predict = Callable[[Tensor], Tensor]
Prepare = Callable[[], Tensor]
Outcome = Tensor | Exception


@dataclass(frozen=True)
class Job:
    """One request's pictures, and the future that receives their probabilities."""

    pictures: int
    prepare: Prepare  # their pixels, uint8 (n, 3, S, S)
    decodes: bool  # whether that takes any time
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
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()  # None wakes the thread at the end
        self._left_over: Job | None = None  # taken from the queue, and too large for the last batch
        self._waiting = 0  # pictures of both
        self._counting = Lock()
        self._rests = False  # whether the thread waits for jobs
        self._ended = False
        self._seconds_per_picture = 0.01  # a running mean
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

    def check_room(self, pictures: int = 1) -> None:
        """Raises Problem 503 if the queue has no room for that many more pictures."""
        if self._waiting + pictures > self._max_queue:
            raise busy(max(1, math.ceil(self._waiting * self._seconds_per_picture)))

    def submit(self, images: Tensor) -> asyncio.Future[Tensor]:
        """Queue pictures uint8 (n, 3, S, S); the future receives float32 (n, classes).

        The pictures of a cancelled future are not computed.

        Raises
        ------
        Problem   503 if there is no room for them
        """
        return self._submit(len(images), lambda: images, decodes=False)

    def submit_files(self, pictures: int, decode: Prepare) -> asyncio.Future[Tensor]:
        """As `submit`, of pictures that the model's thread decodes first.

        What `decode` raises, the future receives; the others of the batch are computed.
        """
        return self._submit(pictures, decode, decodes=True)

    def _submit(self, pictures: int, prepare: Prepare, *, decodes: bool) -> asyncio.Future[Tensor]:
        self.check_room(pictures)
        result: asyncio.Future[Tensor] = self._loop.create_future()
        self._count(pictures)
        self._jobs.put(Job(pictures, prepare, decodes, result, time.perf_counter()))
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
            taken = time.perf_counter()
            prepared = [_attempt(job.prepare) for job in jobs]
            started = time.perf_counter()
            outcomes = self._predicted(prepared)
            ended = time.perf_counter()
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(
                    self._deliver, jobs, outcomes, taken, started - taken, ended - started
                )

    def _next_batch(self) -> list[Job]:
        """The oldest jobs that fit into one batch, as soon as there is one; none at the end."""
        jobs: list[Job] = []
        pictures = 0
        while not self._ended and (job := self._next_job(wait=not jobs)):
            if jobs and pictures + job.pictures > self._max_batch:
                self._left_over = job
                break
            self._count(-job.pictures)
            if not job.result.done():  # its client is still connected
                jobs.append(job)
                pictures += job.pictures
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

    def _predicted(self, prepared: list[Outcome]) -> list[Outcome]:
        """The probabilities of each job's pictures, or why there are none."""
        images = [pixels for pixels in prepared if isinstance(pixels, Tensor)]
        if not images:
            return prepared
        batch = torch.cat(images) if len(images) > 1 else images[0]
        rows = _attempt(lambda: self._predict(batch))
        if isinstance(rows, Exception):
            return [rows if isinstance(pixels, Tensor) else pixels for pixels in prepared]
        own = iter(rows.split([len(pixels) for pixels in images]))
        return [next(own) if isinstance(pixels, Tensor) else pixels for pixels in prepared]

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting += change
            self._metrics.queue.set(self._waiting)

    # ---- back on the event loop

    def _deliver(
        self,
        jobs: list[Job],
        outcomes: list[Outcome],
        taken: float,
        decoding: float,
        computing: float,
    ) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            self._metrics.stage("waiting", taken - job.arrived)
            if job.decodes:
                self._metrics.stage("decoding", decoding)
            if isinstance(outcome, Tensor):
                self._metrics.stage("model", computing)
            if job.result.done():  # its client has gone meanwhile
                continue
            if isinstance(outcome, Exception):
                job.result.set_exception(outcome)
            else:
                job.result.set_result(outcome)
        pictures = sum(job.pictures for job in jobs)
        self._metrics.batch(pictures)
        seconds = (decoding + computing) / pictures
        self._seconds_per_picture += 0.1 * (seconds - self._seconds_per_picture)


def _attempt(function: Callable[[], Tensor]) -> Outcome:
    try:
        return function()
    except Exception as error:
        return error
