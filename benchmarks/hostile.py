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
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from benchmarks import _hostile
from benchmarks._clients import Connection, form, post, prepare, wait_for

SIDE = 32  # of the bundle's pictures
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
    parser.add_argument("--attack", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        uvloop.run(attack(options))
        return
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
    await asyncio.sleep(20)
    alone = throughput(crowd)
    started = memory.now()
    print(
        f"alone             {alone:6.0f} requests/s, /healthz p99 {probe.p99():.0f} ms", flush=True
    )

    async with watching(memory):
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
    command = [sys.executable, "-m", "benchmarks.hostile", "--attack", str(port)]
    command += ["--seconds", str(seconds), "--hostile", str(options.hostile)]
    command += ["--seed", str(options.seed), *(["--only", *options.only] if options.only else [])]
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


# ---- the hostile clients


async def attack(options: argparse.Namespace) -> None:
    """Send attacks in random order, each client one after the other; print the statuses."""
    statuses: Counter[int] = Counter()
    names = options.only or [*ATTACKS]
    bodies = {name: ATTACKS[name]() for name in names}
    end = time.monotonic() + options.seconds

    async def client(number: int) -> None:
        order = random.Random(1000 * options.seed + number)
        while (left := end - time.monotonic()) > 0:
            name = order.choice(names)
            wire = Wire(options.attack, f"127.0.1.{number + 1}", statuses, order)
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(min(60, left)):
                    await bodies[name](wire)
            await wire.close()

    await asyncio.gather(*(client(number) for number in range(options.hostile)))
    print(json.dumps(statuses))


class Wire:
    """What a hostile client does over connections of its own."""

    def __init__(
        self, port: int, address: str, statuses: Counter[int], order: random.Random
    ) -> None:
        self._port, self._address, self._statuses = port, address, statuses
        self.order = order
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, local_addr=(self._address, 0)
        )
        self._writers.append(writer)
        return reader, writer

    async def send(self, data: bytes) -> None:
        """Send a request, and leave at once or wait for the response."""
        reader, writer = await self.open()
        writer.write(data)
        await writer.drain()
        if self.order.random() < 0.7:
            await self.response(reader)

    async def response(self, reader: asyncio.StreamReader) -> None:
        """Count the status of a response, whose rest is not read."""
        line = await reader.readline()
        if line:
            self._statuses[int(line.split()[1])] += 1

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)


Attack = Callable[[Wire], Awaitable[None]]


def sending(*requests: bytes) -> Attack:
    async def attack(wire: Wire) -> None:
        await wire.send(wire.order.choice(requests))

    return attack


def predicting(*pictures: bytes) -> Attack:
    return sending(*(post("/predict", *form(picture)) for picture in pictures))


def bombs() -> Attack:
    """Forms of few bytes and many pixels."""
    bomb = _hostile.webp_bomb()
    return sending(*(post("/predict", *form(*[bomb] * number)) for number in (1, 4, 32)))


def large_pictures() -> Attack:
    """Pictures whose pixels take much memory."""
    return predicting(*map(_hostile.large, _hostile.LARGE))


def many_parts() -> Attack:
    """Files of as many parts as ten megabytes hold."""
    return predicting(
        _hostile.jpeg_with(900_000),
        _hostile.jpeg_with(2_000_000, _hostile.JPEG_OTHER, b""),
        _hostile.png_with(800_000),
        _hostile.gif_with(4_000_000),
        _hostile.bmp_of_runs(9_000_000),
        _hostile.tiff_with(60_000),
    )


def scans() -> Attack:
    """Progressive JPEGs of many scans."""
    return predicting(
        _hostile.jpeg_of_scans(2500),
        *(_hostile.jpeg_of_scans(80, (size, size)) for size in (100, 3000)),
    )


def outputs() -> Attack:
    """Requests for one output many times."""
    path = "/v2/models/digits-small_cnn/infer"
    body = _hostile.request_of_outputs(5_000, SIDE)
    return sending(post(path, body, "application/json"))


def objects() -> Attack:
    """Tensors that take far more memory than bytes."""
    path = "/v2/models/digits-small_cnn/infer"
    bodies = [_hostile.request_of_objects(length, SIDE) for length in (100_000, 60_000_000)]
    return sending(*(post(path, body, "application/json") for body in bodies))


def absent_bodies() -> Attack:
    """Bodies that are announced to /explain and do not come."""

    async def attack(wire: Wire) -> None:
        head = post("/explain", b"", form(b"")[1], announced=1_000_000)
        readers = []
        for _ in range(8):
            reader, writer = await wire.open()
            writer.write(head)
            readers.append(reader)
        await asyncio.gather(*map(wire.response, readers))

    return attack


def half_connections() -> Attack:
    """Connections that send nothing, half a head or an endless one, or read nothing."""
    many = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 960_000
    page = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200

    async def attack(wire: Wire) -> None:
        for data in (b"", b"GET / HTTP/1.1\r\nHost:", many, page, b"GET /" + b"a" * 26_000_000):
            for _ in range(4):
                with contextlib.suppress(OSError):
                    _, writer = await wire.open()
                    writer.write(data)
        await asyncio.sleep(wire.order.uniform(0, 20))

    return attack


def stopping_bodies() -> Attack:
    """Bodies that stop shortly before their end."""
    body, content_type = form(*[bytes(9_900_000)] * 6)
    data = post("/predict", body[:-100], content_type, announced=len(body))

    async def attack(wire: Wire) -> None:
        readers = []
        for _ in range(4):
            reader, writer = await wire.open()
            writer.write(data)
            readers.append(reader)
        await asyncio.gather(*map(wire.response, readers))

    return attack


ATTACKS: dict[str, Callable[[], Attack]] = {
    "bombs": bombs,
    "large-pictures": large_pictures,
    "many-parts": many_parts,
    "scans": scans,
    "outputs": outputs,
    "objects": objects,
    "absent-bodies": absent_bodies,
    "half-connections": half_connections,
    "stopping-bodies": stopping_bodies,
}


if __name__ == "__main__":
    main()
