"""Serve a bundle over HTTP: `python -m api --bundle models/best`."""

import argparse
import os
import signal
import socket
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    given = vars(options).get  # of options without a default
    logs.configure(options.log_level)
    # How many pixels are too many is the service's own limit.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    settings = Settings(
        max_batch=options.max_batch,
        max_queue=options.max_queue,
        token=read_token(given("token_env"), given("token_file")),
        origins=tuple(given("cors") or ()),
        limits=Limits(
            file_bytes=int(options.max_file_mb * 1e6),
            files=options.max_files,
            pixels=int(options.max_megapixels * 1e6),
        ),
    )
    torch.set_num_threads(options.threads)
    with bound(options.host, options.port) as address:
        app = create_app(Predictor.load(options.bundle, given("device")), settings)
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
    parser = argparse.ArgumentParser(
        prog="python -m api",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--bundle", type=Path, default=Path("models/best"), help="folder of the bundle")
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 admits other machines")
    add("--port", type=int, default=8000, help="port to listen on; 0 takes a free one")
    add(
        "--device",
        default=argparse.SUPPRESS,
        help="cpu, cuda or mps (default: the fastest available)",
    )
    add("--threads", type=int, default=max(1, (cores or 2) - 1), help="CPU threads of the model")
    none: dict[str, Any] = {"default": argparse.SUPPRESS}  # so that no default is printed
    add(
        "--token-env",
        metavar="NAME",
        help="environment variable with the bearer token (default: no token)",
        **none,
    )
    add(
        "--token-file",
        type=Path,
        metavar="PATH",
        help="file with the bearer token (default: no token)",
        **none,
    )
    add(
        "--cors",
        action="append",
        metavar="ORIGIN",
        help="web origin that may call the service; repeatable (default: none)",
        **none,
    )
    add(
        "--max-batch",
        type=int,
        default=settings.max_batch,
        help="maximum number of pictures per batch",
    )
    add(
        "--max-queue",
        type=int,
        default=settings.max_queue,
        help="maximum number of waiting pictures",
    )
    add(
        "--max-files", type=int, default=limits.files, help="maximum number of pictures per request"
    )
    add(
        "--max-file-mb",
        type=float,
        default=limits.file_bytes / 1e6,
        help="maximum size of a file in MB",
    )
    add(
        "--max-megapixels",
        type=float,
        default=limits.pixels / 1e6,
        help="maximum size of a picture in megapixels",
    )
    add(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="least severe level that is logged",
    )
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
