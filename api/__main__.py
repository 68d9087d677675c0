"""Serve a bundle over HTTP: `python -m api --bundle models/best`."""

import argparse
import os
import signal
import socket
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
import uvicorn
from PIL import Image

from api import logs
from api.app import create_app
from api.service import Settings
from api.uploads import Limits
from lib.errors import UserError, command
from lib.inference import Predictor

GRACE = 30  # seconds that accepted requests get after SIGTERM


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    logs.configure(options.log_level)
    # How many pixels are too many is the service's own limit.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    settings = Settings(
        max_batch=options.max_batch,
        max_queue=options.max_queue,
        token=read_token(options.token_env, options.token_file),
        origins=tuple(options.cors),
        limits=Limits(
            file_bytes=int(options.max_file_mb * 1e6),
            files=options.max_files,
            pixels=int(options.max_megapixels * 1e6),
        ),
    )
    torch.set_num_threads(options.threads)
    with bound(options.host, options.port) as address:
        app = create_app(Predictor.load(options.bundle, options.device), settings)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=GRACE
        )
        # uvicorn raises the signal that ended it once more; to have been ended is no failure.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        Server(config).run([address])


class Server(uvicorn.Server):
    """Says where it serves, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for address in sockets or []:
            host, port = address.getsockname()[:2]
            print(f"serving on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def parser() -> argparse.ArgumentParser:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits, settings = Limits(), Settings()
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    add = parser.add_argument
    add("--bundle", type=Path, default=Path("models/best"))
    add("--host", default="127.0.0.1", help="0.0.0.0 for other machines too")
    add("--port", type=int, default=8000, help="0 takes a free one")
    add("--device", help="cpu, cuda, mps; the best one when left out")
    add("--threads", type=int, default=max(1, (cores or 2) - 1), help="of the model")
    add("--token-env", metavar="NAME", help="environment variable that holds the bearer token")
    add("--token-file", type=Path, metavar="PATH", help="file that holds the bearer token")
    add("--cors", action="append", default=[], metavar="ORIGIN", help="may be given repeatedly")
    add("--max-batch", type=int, default=settings.max_batch, help="pictures at once")
    add("--max-queue", type=int, default=settings.max_queue, help="pictures that may wait")
    add("--max-files", type=int, default=limits.files, help="in one request")
    add("--max-file-mb", type=float, default=limits.file_bytes / 1e6)
    add("--max-megapixels", type=float, default=limits.pixels / 1e6, help="of one picture")
    add("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    return parser


def read_token(variable: str | None, file: Path | None) -> str | None:
    """The bearer token, if one is asked for.

    Raises
    ------
    UserError   if it is not where it should be
    """
    if variable is None and file is None:
        return None
    if variable is not None:
        token, place = os.environ.get(variable, ""), f"the environment variable {variable}"
    else:
        assert file is not None
        place = str(file)
        try:
            token = file.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{file}: cannot read the token: {error.strerror}") from error
    if not token.strip():
        raise UserError(f"{place} holds no token; put one there, or serve without")
    return token.strip()


def bound(host: str, port: int) -> socket.socket:
    """A socket with that address, on which nobody is heard before the service is ready.

    Raises
    ------
    UserError   if the port is taken, or not this user's to take
    """
    address = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address.bind((host, port))
    except (OSError, OverflowError) as error:
        address.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{host}:{port}: {reason}; name another with --host and --port") from None
    return address


if __name__ == "__main__":
    command(main)
