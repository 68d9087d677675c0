"""Decode pictures under a budget of pixels, memory and time.

The event loop never opens a picture. It reads what each file announces (`lib.inference.inspect`),
and by that chooses the way: small pictures in the usual formats are decoded in the model's thread
with their batch; all others in a few processes. These take one picture at a time, have a bound on
memory, and are killed and replaced when a picture takes too long or its client has gone.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import torch
from torch import Tensor

from api.errors import Problem, busy
from api.uploads import Limits, Upload
from lib.inference import FORMATS, LENGTH, Structure, UnknownFormat, inspect

ROOT = Path(__file__).parents[1]
SMALL_BYTES, SMALL_PIXELS = 262_144, 65_536  # of a request's pictures together
USUAL_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
LOOKED_AT = 65_536  # bytes of a file that the event loop walks through itself
# What decoding takes at the most, as measured; readers of WebP and AVIF keep several copies.
BYTES_PER_PIXEL = {"WEBP": 18, "AVIF": 10}
USUAL_BYTES_PER_PIXEL = 6
BASE_BYTES = 600_000_000  # addresses that a process has reserved before it decodes
START_SECONDS = 60.0


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
        structure = inspect(bytes(upload.data))
    except UnknownFormat:
        message = f"{upload.name}: not a picture in a supported format ({', '.join(FORMATS)})"
        raise Problem(415, "unknown_format", message) from None
    except ValueError as error:
        raise Problem(422, "unreadable", f"cannot read {upload.name}: {error}") from error
    if structure.pixels > limits.pixels:
        message = f"{upload.name}: more than {limits.pixels:,} pixels"
        raise Problem(413, "too_many_pixels", message)
    return structure


def are_small(uploads: Sequence[Upload], structures: Sequence[Structure]) -> bool:
    """Whether decoding them takes a few milliseconds at the most."""
    return (
        sum(len(upload.data) for upload in uploads) <= SMALL_BYTES
        and sum(structure.pixels for structure in structures) <= SMALL_PIXELS
        and all(structure.format in USUAL_FORMATS for structure in structures)
    )


class Decoder:
    """A few processes that decode pictures, and the budget of what waits for them.

    Parameters
    ----------
    side : int      height and width of what comes out
    limits : see `Limits`
    workers : int   number of processes
    """

    def __init__(self, side: int, limits: Limits, workers: int) -> None:
        self._side = side
        self._limits = limits
        self._workers = [Worker(side, limits) for _ in range(workers)]
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._pixels = 0  # waiting or being decoded
        self._memory = MemoryGate(limits.decoding_bytes)

    async def start(self) -> None:
        await asyncio.gather(*(worker.start() for worker in self._workers))
        for worker in self._workers:
            self._idle.put_nowait(worker)

    async def decode(self, uploads: list[Upload], structures: list[Structure]) -> Tensor:
        """Pictures uint8 (n, 3, S, S).

        Raises
        ------
        Problem   413 if the request has too many pixels, 503 if too many wait, 422 for the first
                  picture that is damaged or takes too long
        """
        pixels = sum(structure.pixels for structure in structures)
        if pixels > self._limits.request_pixels:
            message = f"more than {self._limits.request_pixels:,} pixels in one request"
            raise Problem(413, "too_many_pixels", message)
        with self._room(pixels):
            pairs = zip(uploads, structures, strict=True)
            return torch.stack([await self._decode(*pair) for pair in pairs])

    @contextmanager
    def _room(self, pixels: int) -> Iterator[None]:
        if self._pixels and self._pixels + pixels > self._limits.waiting_pixels:
            raise busy(1 + self._pixels // self._limits.pixels)
        self._pixels += pixels
        try:
            yield
        finally:
            self._pixels -= pixels

    async def _decode(self, upload: Upload, structure: Structure) -> Tensor:
        per_pixel = BYTES_PER_PIXEL.get(structure.format, USUAL_BYTES_PER_PIXEL)
        async with self._memory.taken(structure.pixels * per_pixel):
            worker = await self._idle.get()
            try:
                pixels = await worker.decode(upload)
            finally:
                self._idle.put_nowait(worker)
        square = torch.frombuffer(bytearray(pixels), dtype=torch.uint8)
        return square.reshape(self._side, self._side, 3).permute(2, 0, 1)

    async def close(self) -> None:
        """Kill the processes."""
        await asyncio.gather(*(worker.stop() for worker in self._workers))


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


class Worker:
    """A process of `lib.data.worker`, started again after it was killed."""

    def __init__(self, side: int, limits: Limits) -> None:
        self._seconds = limits.decoding_seconds
        most_bytes = BASE_BYTES + limits.decoding_bytes
        self._arguments = [str(side), str(limits.pixels), str(most_bytes)]
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the process, and wait until it can decode."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lib.data.worker", *self._arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl+C is for the service, which ends its processes itself
        )
        async with asyncio.timeout(START_SECONDS):
            await self._answer()

    async def decode(self, upload: Upload) -> bytes:
        """Pixels uint8 (S, S, 3); raises Problem 422 if the picture is damaged or takes too long.

        When it is cancelled, the process is killed.
        """
        if self._process is None:
            await self.start()
        try:
            async with asyncio.timeout(self._seconds):
                pixels, reason = await self._exchange(bytes(upload.data))
        except TimeoutError:
            await self.stop()
            reason = f"decoding it takes longer than {self._seconds:g} s"
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.stop()
            reason = "its decoder failed"
        except BaseException:  # its client has gone, or the service ends
            await self.stop()
            raise
        if reason:
            raise Problem(422, "unreadable", f"cannot read {upload.name}: {reason}")
        return pixels

    async def _exchange(self, data: bytes) -> tuple[bytes, str]:
        """Pixels and no reason, or no pixels and the reason why."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(LENGTH.pack(len(data)))
        self._process.stdin.write(data)
        await self._process.stdin.drain()
        return await self._answer()

    async def _answer(self) -> tuple[bytes, str]:
        assert self._process is not None
        assert self._process.stdout is not None
        read = self._process.stdout.readexactly
        mark = await read(2)
        (length,) = LENGTH.unpack(await read(LENGTH.size))
        answer = await read(length)
        return (answer, "") if mark == b"ok" else (b"", answer.decode())

    async def stop(self) -> None:
        """Kill the process, if it runs."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
