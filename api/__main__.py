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

SHUTDOWN_SECONDS = 30  # for accepted requests after SIGTERM


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    logs.configure(options.log_level)
    # The service has its own limit on pixels.
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
    with bind(options.host, options.port) as address:
        predictor = Predictor.load(options.bundle, options.device, options.bundle_sha256)
        app = create_app(predictor, settings)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        # uvicorn raises the signal that stopped it once more; a regular stop is not a failure.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        Server(config).run([address])


class Server(uvicorn.Server):
    """A server that prints its address when it is ready."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for address in sockets or []:
            host, port = address.getsockname()[:2]
            print(f"serving on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)


def parser() -> argparse.ArgumentParser:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits, settings = Limits(), Settings()
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)

    def add(name: str, default: Any, text: str, **options: Any) -> None:
        if "default:" not in text:
            value = f"{default:g}" if isinstance(default, float) else default
            text = f"{text} (default: {value})"
        if default is not None:
            options.setdefault("type", type(default))
        if isinstance(default, int | float):
            options.setdefault("metavar", "N")
        parser.add_argument(name, default=default, help=text, **options)

    add("--bundle", Path("models/best"), "folder of the bundle", metavar="FOLDER")
    pinned = "SHA-256 that its bundle.json must have (default: any)"
    add("--bundle-sha256", None, pinned, metavar="DIGEST")
    add("--host", "127.0.0.1", "address to listen on; 0.0.0.0 for all interfaces")
    add("--port", 8000, "TCP port; 0 for any free port")
    add("--device", None, "cpu, cuda or mps (default: the fastest available)")
    add("--threads", max(1, (cores or 2) - 1), "number of CPU threads of the model")
    no_token = "(default: no token is required)"
    add(
        "--token-env",
        None,
        f"environment variable with the bearer token {no_token}",
        metavar="NAME",
    )
    add("--token-file", None, f"file with the bearer token {no_token}", type=Path, metavar="PATH")
    origins = "origin whose pages may call the service; repeatable (default: none)"
    add("--cors", [], origins, type=str, action="append", metavar="ORIGIN")
    add("--max-batch", settings.max_batch, "maximum number of pictures per batch")
    add("--max-queue", settings.max_queue, "maximum number of waiting pictures")
    add("--max-files", limits.files, "maximum number of files per request")
    add("--max-file-mb", limits.file_bytes / 1e6, "maximum size of a file in MB")
    add("--max-megapixels", limits.pixels / 1e6, "maximum size of a picture in megapixels")
    levels = ("debug", "info", "warning", "error")
    add("--log-level", "info", "lowest level that is logged", choices=levels)
    return parser


def read_token(variable: str | None, file: Path | None) -> str | None:
    """The bearer token, or None if neither source is given.

    Raises
    ------
    UserError   if there is no token in the source
    """
    if variable is None and file is None:
        return None
    if variable is not None:
        token, source = os.environ.get(variable, ""), f"the environment variable {variable}"
    else:
        assert file is not None
        source = str(file)
        try:
            token = file.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{file}: cannot read the token: {error.strerror}") from error
    if not token.strip():
        raise UserError(f"{source} contains no token; add one, or omit the option")
    return token.strip()


def bind(host: str, port: int) -> socket.socket:
    """A socket with that address; it accepts no connection before the service is ready.

    Raises
    ------
    UserError   if the port is in use, or this user may not use it
    """
    address = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address.bind((host, port))
    except (OSError, OverflowError) as error:
        address.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{host}:{port}: {reason}; choose another with --host and --port") from None
    return address


if __name__ == "__main__":
    command(main)
