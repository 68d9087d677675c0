"""A process that decodes pictures, seen from the event loop of the service."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL
from contextlib import suppress
from pathlib import Path
from typing import cast

from api.uploads import Limits
from lib.inference import worker

ROOT = Path(__file__).parents[1]
BASE_BYTES = 600_000_000  # addresses that a process has reserved before it decodes
START_SECONDS = 60.0

Bytes = bytes | bytearray
Answer = worker.Answer
TOO_LONG = "decoding it takes too long"
FAILED = "its decoder failed"


class Worker:
    """A process of `lib.data.worker`, started again after it was killed.

    Parameters
    ----------
    side : int       height and width of what comes out
    niceness : int   by how much it leaves the cores to others
    """

    def __init__(self, side: int, limits: Limits, niceness: int = 0) -> None:
        self._seconds = limits.decoding_seconds
        most_bytes = BASE_BYTES + limits.decoding_bytes
        self._arguments = [str(side), str(limits.pixels), str(most_bytes)]
        self._niceness = niceness
        self._process: Process | None = None

    async def start(self) -> None:
        """Start the process, and wait until it can decode.

        Raises
        ------
        OSError   if it cannot be started
        """
        _, self._process = await asyncio.get_running_loop().subprocess_exec(
            Process,
            *(sys.executable, "-m", "lib.data.worker", *self._arguments),
            stderr=DEVNULL,
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl+C is for the service, which ends its processes itself
        )
        if sys.platform == "linux":  # when it is woken, it does not take the core of who woke it
            os.sched_setscheduler(self._process.pid, os.SCHED_BATCH, os.sched_param(0))
        if self._niceness and hasattr(os, "setpriority"):  # before it has loaded its libraries
            os.setpriority(os.PRIO_PROCESS, self._process.pid, self._niceness)
        async with asyncio.timeout(START_SECONDS):
            await self._process.message

    async def decode(self, datas: list[Bytes]) -> list[Answer]:
        """What becomes of each file. When it is cancelled, the process is killed."""
        try:
            if self._process is None:
                await self.start()
            assert self._process is not None
            async with asyncio.timeout(self._seconds):
                message = await self._process.ask(worker.message(datas))
            return list(worker.answers(message))
        except TimeoutError:
            await self.stop()
            return [TOO_LONG] * len(datas)
        except OSError:  # it has ended, or could not be started
            await self.stop()
            return [FAILED] * len(datas)
        except BaseException:  # its client has gone, or the service ends
            await self.stop()
            raise

    async def stop(self) -> None:
        """Kill the process, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            await process.kill()


class Process(asyncio.SubprocessProtocol):
    """Messages to and from a process, which answers each before it gets the next."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._ended = asyncio.Event()
        self.message: asyncio.Future[bytes] = self._loop.create_future()  # ConnectionError if none

    def connection_made(self, transport: asyncio.SubprocessTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.pid = transport.get_pid()
        self._requests = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))

    def ask(self, message: bytes) -> asyncio.Future[bytes]:
        """Send a message; the future receives the answer."""
        self.message = self._loop.create_future()
        if self._ended.is_set():
            self.message.set_exception(ConnectionError())
        else:
            self._requests.write(message)
        return self.message

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._received += data
        size = worker.LENGTH.size
        if len(self._received) >= size:
            (length,) = worker.LENGTH.unpack_from(self._received)
            if len(self._received) >= size + length and not self.message.done():
                self.message.set_result(bytes(self._received[size:]))
                self._received.clear()

    def process_exited(self) -> None:
        self._ended.set()
        if not self.message.done():
            self.message.set_exception(ConnectionError())
            self.message.exception()  # seen, even if nobody waits for it any more

    async def kill(self) -> None:
        with suppress(ProcessLookupError):  # it has ended
            self._transport.kill()
        await self._ended.wait()
        self._transport.close()
