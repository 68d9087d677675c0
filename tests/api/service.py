"""The real service in a process of its own, as tests start it and speak to it."""

import os
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
from PIL import Image

ROOT = Path(__file__).parents[2]
TOKEN = "correct horse battery staple"


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@dataclass
class Server:
    """A running service."""

    process: subprocess.Popen
    client: httpx.Client
    log: Path

    @property
    def port(self) -> int:
        return self.client.base_url.port

    def predict(self, *files: bytes, **options) -> httpx.Response:
        forms = [("file", (f"{number}.png", data)) for number, data in enumerate(files)]
        return self.client.post("/predict", files=forms, **options)

    def memory(self) -> int:
        """Resident bytes of the process."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(bundle: Path, folder: Path, *flags: str):
    """The service in a process of its own, on a free port, until the block ends."""
    log = folder / "log.jsonl"
    command = [sys.executable, "-m", "api", "--bundle", str(bundle), "--port", "0", *flags]
    environment = os.environ | {"DAYBOOK_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            ready, _, _ = select.select([process.stdout], [], [], 120)
            line = process.stdout.readline() if ready else ""
            assert line.startswith("serving"), log.read_text()
            with httpx.Client(base_url=line.split()[-1], timeout=60) as client:
                yield Server(process, client, log)
        finally:
            process.terminate()
            process.wait(60)


def wait_until(condition, seconds: float = 20):
    """Poll until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def refused(response, status, code):
    """The one shape of every refusal."""
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), response.text
    assert set(body) == {"error", "code", "request_id"}
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body["error"]
