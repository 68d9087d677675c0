"""Hold the service to its limits while hostile clients send it what costs the most.

    python -m benchmarks.hostile                # about seven minutes
    python -m benchmarks.hostile --seconds 60

Honest clients ask about small pictures, first alone and then beside hostile ones, which send bombs,
files of many parts, tensors of many objects, heads and bodies that never end, in random order. Each
hostile client has an address of its own (127.0.1.N). Then the hostile ones pause, to see what
memory stays, and come back, and the service is told to end while everybody asks.

Memory is the proportional set size of the service and its processes: shared pages count once.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from benchmarks._attacks import ATTACKS
from benchmarks._clients import Connection, prepare, wait_for
from benchmarks._http import form, post

GRACE = 20.0  # seconds that the service announces for its end
TARGETS = """
targets: honest throughput at least 0.7 of what it is alone; p99 of /healthz under 100 ms; memory
under 1,500 MB, and within 100 MB of the start when it is over; no 5xx but 503; the end in time,
with every accepted request answered
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--honest", type=int, default=16, help="clients (default: 16)")
    parser.add_argument("--hostile", type=int, default=8, help="clients (default: 8)")
    parser.add_argument("--seconds", type=float, default=300, help="under attack (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="of the order of attacks (default: 0)")
    parser.add_argument("--only", nargs="+", choices=ATTACKS, help="attacks (default: all)")
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        bundle, pictures = prepare("small_cnn", Path(scratch))
        requests = [post("/predict", *form(path.read_bytes())) for path in pictures.iterdir()]
        log = Path(scratch) / "log"
        with serving(bundle, log) as (port, process):
            wait_for(port, next(pictures.iterdir()).read_bytes())
            uvloop.run(soak(options, port, process, requests))
        errors = [line for line in log.read_text().splitlines() if '"error"' in line]
        print(f"errors in the log {len(errors)}", *errors[:3], sep="\n")


@contextmanager
def serving(bundle: Path, log: Path):
    """The service as anybody starts it: its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "api", "--bundle", str(bundle), "--port", str(port)]
    command += ["--grace", str(GRACE)]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):
        try:
            yield port, process
        finally:
            process.kill()


async def soak(
    options: argparse.Namespace, port: int, process: subprocess.Popen, requests: list[bytes]
) -> None:
    """Run the phases and print what was seen."""
    crowd = [Honest(port, requests, number) for number in range(options.honest)]
    for client in crowd:
        await client.connect()
    probe, memory = Probe(port), Memory(process.pid)
    async with watching(memory):  # in both phases, since it takes time itself
        await asyncio.sleep(20)
        alone = throughput(crowd)
        started = memory.now()
        print(
            f"alone             {alone:6.0f} requests/s, /healthz p99 {probe.p99():.0f} ms",
            flush=True,
        )
        reports = [await attacked(options, port, options.seconds)]
    under = throughput(crowd)
    statuses = Counter(status for client in crowd for status in client.statuses())
    print(f"under attack      {under:6.0f} requests/s, /healthz p99 {probe.p99():.0f} ms")
    print(f"ratio             {under / alone:6.2f}")
    print(f"honest statuses   {dict(statuses)}, {sum(client.cut for client in crowd)} cut off")
    print(f"memory            {started:6.0f} MB at first, {memory.highest:.0f} MB at most")
    await asyncio.sleep(20)
    print(f"                  {memory.now():6.0f} MB when it is over", flush=True)

    again = asyncio.ensure_future(attacked(options, port, 20))
    await asyncio.sleep(12)
    process.send_signal(signal.SIGTERM)
    told = time.perf_counter()
    for client in crowd:
        client.stop()
    with contextlib.suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(process.wait, 2 * GRACE)
    took = time.perf_counter() - told
    lost = sum(client.waits_since(told - 0.05) for client in crowd)
    print(f"the end           {took:6.1f} s of {GRACE:.0f} s, exit status {process.poll()}")
    print(f"                  {lost:6d} accepted honest requests without a response")
    probe.stop()
    reports.append(await again)
    print("hostile statuses ", dict(sum(map(Counter, reports), Counter())))
    print(TARGETS)


async def attacked(options: argparse.Namespace, port: int, seconds: float) -> dict[str, int]:
    """Let the hostile clients, in a process of their own, do their work; the statuses they saw."""
    command = [sys.executable, "-m", "benchmarks._attacks", "--port", str(port)]
    command += ["--seconds", str(seconds), "--clients", str(options.hostile)]
    command += ["--seed", str(options.seed), *(options.only or [])]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return json.loads(output.splitlines()[-1])


def throughput(crowd: list["Honest"]) -> float:
    """Honest requests answered with 200 a second since the last call, which starts anew."""
    return sum(client.rate() for client in crowd)


class Honest(Connection):
    """A client that asks again as soon as it is answered, and connects again when it is cut off."""

    def __init__(self, port: int, requests: list[bytes], number: int) -> None:
        super().__init__([], lambda _: self.ask())
        self._port, self._requests, self._number = port, requests, number
        self._stopped = self._waiting = False
        self._since = time.perf_counter()
        self._counted = 0
        self.cut = 0

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self.ask()

    def ask(self) -> None:
        self._waiting = False
        if self._stopped:
            self.transport.close()
            return
        if self.answers and self.answers[-1][0] == 503:  # as Retry-After asks, only sooner
            asyncio.get_running_loop().call_later(0.1, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if not self._stopped and not self.transport.is_closing():
            self._number += 1
            self._waiting = True
            self.send(self._requests[self._number % len(self._requests)])

    def connection_lost(self, error: Exception | None) -> None:
        if not self._stopped:
            self.cut += 1
            self._again = asyncio.ensure_future(self.connect())

    def stop(self) -> None:
        """Ask nothing more; a request that was sent is waited for."""
        self._stopped = True

    def waits_since(self, moment: float) -> bool:
        """Whether a request that was sent before that moment had no response."""
        return self._waiting and self.started < moment

    def rate(self) -> float:
        new = self.answers[self._counted :]
        seconds = time.perf_counter() - self._since
        self._since, self._counted = time.perf_counter(), len(self.answers)
        return sum(status == 200 for status, _, _ in new) / seconds

    def statuses(self) -> list[int]:
        return [status for status, _, _ in self.answers]


class Probe:
    """Asks for /healthz twenty times a second over its own connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._milliseconds: list[float] = []
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                while True:
                    started = time.perf_counter()
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length:")[2].split()[0])
                    await reader.readexactly(length)
                    self._milliseconds.append(1000 * (time.perf_counter() - started))
                    await asyncio.sleep(0.05)
            self._milliseconds.append(1000.0)  # cut off or refused, which should not happen
            await asyncio.sleep(0.05)

    def p99(self) -> float:
        """Since the last call."""
        found, self._milliseconds = sorted(self._milliseconds), []
        return statistics.quantiles(found, n=100)[98]

    def stop(self) -> None:
        self._task.cancel()


class Memory:
    """Megabytes of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.highest = 0.0

    def now(self) -> float:
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        return sum(map(self._of, [str(self._pid), *children]))

    def _of(self, pid: str) -> float:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            return 0.0
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000

    async def watch(self) -> None:
        while True:
            self.highest = max(self.highest, await asyncio.to_thread(self.now))
            await asyncio.sleep(0.3)


@asynccontextmanager
async def watching(memory: Memory) -> AsyncIterator[None]:
    task = asyncio.ensure_future(memory.watch())
    yield
    task.cancel()


if __name__ == "__main__":
    main()
