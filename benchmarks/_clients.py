"""What benchmarks of the service share: a bundle, pictures to ask about, and clients that ask."""

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks._http import form, post
from lib.data.dataset import load
from lib.inference.export import export
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore


def prepare(model: str, scratch: Path) -> tuple[Path, Path]:
    """A bundle of a hardly trained network, and a folder of pictures to ask about."""
    digits = load("digits", 32)
    recipe = Recipe(model=model, epochs=1, augmentation="none", lr=0.02)
    if model == "resnet18":
        recipe = recipe.replace(strategy="head")
    run = fit(recipe, digits, RunStore(scratch / "runs"), "cpu")
    pictures = scratch / "pictures"
    pictures.mkdir(exist_ok=True)
    for number, pixels in enumerate(digits.test.images[:32].permute(0, 2, 3, 1).numpy()):
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    return export(run, digits, scratch / model).path, pictures


def wait_for(port: int, picture: bytes, seconds: float = 180) -> None:
    """Until the server has answered once."""
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
                connection.sendall(post("/predict", *form(picture)))
                if connection.recv(12) == b"HTTP/1.1 200":
                    return
        except OSError:
            pass
        if time.monotonic() > end:
            raise RuntimeError(f"nothing answers on port {port}")
        time.sleep(0.2)


class Crowd:
    """Connections to one server, and all that came back over them."""

    def __init__(self, port: int, requests: list[bytes], end: float) -> None:
        self.port, self.requests, self.end = port, requests, end
        self.answers: list[tuple[int, float, float]] = []  # status, seconds, when
        self.idle: list[Connection] = []
        self.number = 0

    async def connect(self, done: Callable[["Connection"], None]) -> "Connection":
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(
            lambda: Connection(self.answers, done), "127.0.0.1", self.port
        )
        return made

    def send(self, connection: "Connection") -> None:
        self.number += 1
        connection.send(self.requests[self.number % len(self.requests)])

    async def in_turn(self, clients: int) -> None:
        """Every client asks again as soon as it is answered."""

        def again(connection: "Connection") -> None:
            if time.perf_counter() < self.end:
                self.send(connection)

        for connection in [await self.connect(again) for _ in range(clients)]:
            self.send(connection)
        await asyncio.sleep(self.end - time.perf_counter() + 0.5)

    async def at_rate(self, rate: float) -> None:
        """So many requests a second, whatever the answers."""
        start = time.perf_counter()
        sent = 0
        while (now := time.perf_counter()) < self.end:
            while sent < (now - start) * rate:
                sent += 1
                if not self.idle:
                    self.idle.append(await self.connect(self.idle.append))
                self.send(self.idle.pop())
            await asyncio.sleep(0.001)
        await asyncio.sleep(2)


class Connection(asyncio.Protocol):
    """One keep-alive connection: sends a request, waits for the whole answer."""

    def __init__(self, answers: list, done: Callable[["Connection"], None]) -> None:
        self.answers, self.done = answers, done

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: bytes) -> None:
        self.buffer, self.length = b"", 0
        self.started = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.length:
            head, whole, _ = self.buffer.partition(b"\r\n\r\n")
            if not whole:
                return
            body = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            self.length = len(head) + 4 + body
        if len(self.buffer) >= self.length:
            now = time.perf_counter()
            self.answers.append((int(self.buffer[9:12]), now - self.started, now))
            self.done(self)
