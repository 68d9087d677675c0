"""Decode pictures under a budget of pixels, memory and time.

The event loop reads what each file announces (`lib.inference.inspect`). It decodes the pictures of
a plain structure that cannot take long, whoever made them: `MINUTE` ones, since handing them over
would take it as long, and `TINY` ones of a request that is alone. Processes decode all others: one
the small pictures of all requests, those that wait together; a few more the large ones, one at a
time. They have a bound on memory, and are killed and replaced when a picture takes too long or its
client has gone.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from api.decoder_process import FAILED, TOO_LONG, Answer, Bytes, Worker
from api.errors import Problem, busy
from api.uploads import Limits, Upload
from lib.inference import (
    FORMATS,
    Predictor,
    Structure,
    UnknownFormat,
    UnreadablePicture,
    inspect,
)

USUAL_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
WAITING_SMALL_PIXELS = 16_777_216  # of all requests; large pictures do not keep small ones out
PIXELS_PER_SECOND = 20_000_000  # decoded by a process, roughly
NICENESS = 19  # of processes for large pictures, so that small ones and the model go first
LOOKED_AT = 65_536  # bytes of a file that the event loop walks through itself
# What decoding takes at the most, as measured; readers of WebP and AVIF keep several copies.
BYTES_PER_PIXEL = {"WEBP": 18, "AVIF": 10}
USUAL_BYTES_PER_PIXEL = 6


@dataclass(frozen=True)
class Bound:
    """What the pictures of one request come to at most, all together."""

    size: int  # bytes
    pixels: int  # as announced
    files: float = math.inf

    def admits(self, uploads: Sequence[Upload], structures: Sequence[Structure]) -> bool:
        return (
            sum(len(upload.data) for upload in uploads) <= self.size
            and sum(structure.pixels for structure in structures) <= self.pixels
            and len(uploads) <= self.files
        )


# Of plain pictures: 0.9 and 2.7 ms of decoding with the worst that were found.
MINUTE = Bound(8_192, 4_096, files=4)
TINY = Bound(32_768, 16_384, files=32)
SMALL = Bound(262_144, 65_536)  # usually a few milliseconds
MADE_PIXELS = 65_536  # that the event loop makes for the model at a time: one picture of 256 x 256


async def announced(upload: Upload, limits: Limits) -> Structure:
    """As `structure_of`, without keeping the event loop for long."""
    if len(upload.data) <= LOOKED_AT:
        return structure_of(upload, limits)
    return await asyncio.to_thread(structure_of, upload, limits)


def structure_of(upload: Upload, limits: Limits) -> Structure:
    """What a file announces.

    Raises
    ------
    Problem   415 if it is in no format that is read, 413 if too large, 422 if damaged
    """
    if not upload.data:
        raise Problem(422, "unreadable", f"{upload.name}: the file is empty")
    try:
        structure = inspect(upload.data)
    except UnknownFormat:
        message = f"{upload.name}: not a picture in a supported format ({', '.join(FORMATS)})"
        raise Problem(415, "unknown_format", message) from None
    except ValueError as error:
        raise unreadable(upload, str(error)) from error
    if structure.pixels > limits.pixels:
        message = f"{upload.name}: more than {limits.pixels:,} pixels"
        raise Problem(413, "too_many_pixels", message)
    return structure


def are_decoded_here(
    uploads: Sequence[Upload], structures: Sequence[Structure], side: int, alone: bool
) -> bool:
    """Whether the event loop decodes them.

    Parameters
    ----------
    side : int     height and width of what comes out
    alone : bool   whether no other request has to wait
    """
    return (
        all(structure.plain for structure in structures)
        and (TINY if alone else MINUTE).admits(uploads, structures)
        and len(uploads) * side**2 <= MADE_PIXELS
    )


def decode_here(uploads: Sequence[Upload], predictor: Predictor) -> Tensor:
    """Pictures uint8 (n, 3, S, S), decoded by the thread that calls.

    Raises
    ------
    Problem   422 for the first picture that is damaged
    """
    images = []
    for upload in uploads:
        try:
            images.append(predictor.prepare(bytes(upload.data)))
        except UnreadablePicture as error:
            raise unreadable(upload, error.reason) from error
    return torch.stack(images)


def unreadable(upload: Upload, reason: str) -> Problem:
    return Problem(422, "unreadable", f"cannot read {upload.name}: {reason}")


def are_small(uploads: Sequence[Upload], structures: Sequence[Structure]) -> bool:
    """Whether decoding them takes a few milliseconds, if nobody made them to take longer."""
    return SMALL.admits(uploads, structures) and all(
        structure.format in USUAL_FORMATS for structure in structures
    )


class Decoder:
    """The processes that decode pictures, and the budget of what waits for them.

    Parameters
    ----------
    side : int      height and width of what comes out
    limits : see `Limits`
    workers : int   number of processes for large pictures
    """

    def __init__(self, side: int, limits: Limits, workers: int) -> None:
        self._side = side
        self._limits = limits
        self._workers = [Worker(side, limits, NICENESS) for _ in range(workers)]
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._small = Batches(Worker(side, limits))
        self._small_room = Room(WAITING_SMALL_PIXELS)
        self._room = Room(limits.waiting_pixels)
        self._memory = MemoryGate(limits.decoding_bytes)

    async def start(self) -> None:
        await asyncio.gather(self._small.start(), *(worker.start() for worker in self._workers))
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def decode(self, uploads: list[Upload], structures: list[Structure]) -> Tensor:
        """Pictures uint8 (n, 3, S, S).

        Raises
        ------
        Problem   413 if the request has too many pixels, 503 if too many wait, 422 for the first
                  picture that is damaged or takes too long
        """
        announced_pixels = sum(structure.pixels for structure in structures)
        if announced_pixels > self._limits.request_pixels:
            message = f"more than {self._limits.request_pixels:,} pixels in one request"
            raise Problem(413, "too_many_pixels", message)
        if are_small(uploads, structures):
            with self._small_room.taken(announced_pixels):
                answers = await self._small.decode([upload.data for upload in uploads])
        else:
            with self._room.taken(announced_pixels):
                pairs = zip(uploads, structures, strict=True)
                answers = [await self._decode_large(upload.data, one) for upload, one in pairs]
        pixels = bytearray()
        for upload, answer in zip(uploads, answers, strict=True):
            if isinstance(answer, str):
                raise unreadable(upload, answer)
            pixels += answer
        squares = torch.frombuffer(pixels, dtype=torch.uint8)
        return squares.reshape(-1, self._side, self._side, 3).permute(0, 3, 1, 2)

    async def _decode_large(self, data: Bytes, structure: Structure) -> Answer:
        per_pixel = BYTES_PER_PIXEL.get(structure.format, USUAL_BYTES_PER_PIXEL)
        async with self._memory.taken(structure.pixels * per_pixel):
            worker = await self._idle.get()
            try:
                (answer,) = await worker.decode([data])
                return answer
            finally:
                self._idle.put_nowait(worker)

    async def close(self) -> None:
        """Kill the processes."""
        await self._small.close()
        await asyncio.gather(*(worker.stop() for worker in self._workers))


@dataclass(frozen=True)
class Job:
    """One request's files, and the future that receives what becomes of them."""

    datas: list[Bytes]
    result: asyncio.Future[list[Answer]]


class Batches:
    """Small pictures, which one process decodes together with all others that wait.

    If it fails at a batch, each request's pictures are tried once more without the others.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._waiting: list[Job] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._worker.start()

    def decode(self, datas: list[Bytes]) -> asyncio.Future[list[Answer]]:
        """What becomes of each file; those of a cancelled future are not decoded."""
        loop = asyncio.get_running_loop()
        job = Job(datas, loop.create_future())
        self._waiting.append(job)
        if self._task is None:
            self._task = loop.create_task(self._decode_waiting())
        return job.result

    async def _decode_waiting(self) -> None:
        jobs: list[Job] = []
        try:
            while self._waiting:
                jobs = [job for job in self._waiting if not job.result.done()]
                self._waiting.clear()
                answers = iter(await self._worker.decode([d for job in jobs for d in job.datas]))
                for job in jobs:
                    own = [next(answers) for _ in job.datas]
                    if {FAILED, TOO_LONG} & set(own) and len(jobs) > 1:
                        own = await self._worker.decode(job.datas)
                    if not job.result.done():
                        job.result.set_result(own)
        finally:
            self._task = None
            for job in (*jobs, *self._waiting):  # none is left but when this was cancelled
                job.result.cancel()

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._worker.stop()


class Room:
    """Place for so many pixels that wait for their decoding, and always for one request."""

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self.taken_pixels = 0

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Raises Problem 503 if there is no room."""
        if self.taken_pixels and self.taken_pixels + pixels > self._pixels:
            raise busy(1 + self.taken_pixels // PIXELS_PER_SECOND)
        self.taken_pixels += pixels
        try:
            yield
        finally:
            self.taken_pixels -= pixels


class MemoryGate:
    """Lets in as much decoding as memory is set aside for, and always one picture."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(
                lambda: not self._taken or self._taken + size <= self._total
            )
            self._taken += size
        try:
            yield
        finally:
            self._taken -= size
            async with self._changed:
                self._changed.notify_all()
