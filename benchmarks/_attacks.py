"""Hostile clients, in a process of their own that `benchmarks.hostile` starts."""

import argparse
import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks import _hostile
from benchmarks._http import form, post

SIDE = 32  # of the pictures of the bundle that `benchmarks._clients.prepare` makes
INFER = "/v2/models/digits-small_cnn/infer"  # and its name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True, help="of the order of attacks")
    parser.add_argument("names", nargs="*", help="default: all attacks")
    options = parser.parse_args()
    uvloop.run(attack(options))


async def attack(options: argparse.Namespace) -> None:
    """Send attacks in random order, each client one after the other; print the statuses."""
    statuses: Counter[int] = Counter()
    names = options.names or [*ATTACKS]
    bodies = {name: ATTACKS[name]() for name in names}
    end = time.monotonic() + options.seconds

    async def client(number: int) -> None:
        order = random.Random(1000 * options.seed + number)
        while (left := end - time.monotonic()) > 0:
            name = order.choice(names)
            wire = Wire(options.port, f"127.0.1.{number + 1}", statuses, order)
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(min(60, left)):
                    await bodies[name](wire)
            await wire.close()

    await asyncio.gather(*(client(number) for number in range(options.clients)))
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

    async def wait(self, data: bytes, connections: int) -> None:
        """Send the same over several connections, and wait for every response."""
        readers = []
        for _ in range(connections):
            reader, writer = await self.open()
            writer.write(data)
            readers.append(reader)
        await asyncio.gather(*map(self.response, readers))

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


def tiny_pictures() -> Attack:
    """The pictures that take the event loop longest: narrow, of as many scans as are plain."""
    return predicting(*(_hostile.jpeg_of_scans(2, (1, height)) for height in (4_096, 16_384)))


def outputs() -> Attack:
    """Requests for one output many times."""
    body = _hostile.request_of_outputs(5_000, SIDE)
    return sending(post(INFER, body, "application/json"))


def objects() -> Attack:
    """Tensors that take far more memory than bytes."""
    bodies = [_hostile.request_of_objects(length, SIDE) for length in (100_000, 60_000_000)]
    return sending(*(post(INFER, body, "application/json") for body in bodies))


def absent_bodies() -> Attack:
    """Bodies that are announced to /explain and do not come."""
    head = post("/explain", b"", form(b"")[1], announced=1_000_000)
    return lambda wire: wire.wait(head, 8)


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
    return lambda wire: wire.wait(data, 4)


ATTACKS: dict[str, Callable[[], Attack]] = {
    "bombs": bombs,
    "large-pictures": large_pictures,
    "many-parts": many_parts,
    "scans": scans,
    "tiny-pictures": tiny_pictures,
    "outputs": outputs,
    "objects": objects,
    "absent-bodies": absent_bodies,
    "half-connections": half_connections,
    "stopping-bodies": stopping_bodies,
}


if __name__ == "__main__":
    main()
