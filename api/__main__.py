"""Serve a bundle over HTTP: `python -m api --bundle models/demo`."""

import argparse
import math
import os
import signal
import socket
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from api import cores, logs
from api.app import REQUEST_SECONDS, create_app
from api.connections import ConnectionLimits
from api.server import Server, allow_open_files, return_large_buffers, share_the_interpreter
from api.service import Settings
from api.uploads import Limits
from lib.errors import UserError, command
from lib.inference import Predictor

MAX_TOKEN = 4_096  # characters; longer headers are refused by proxies
LOOPBACK = ("localhost",)  # addresses need no names


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    check(options)
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
            request_bytes=int(options.max_body_mb * 1e6),
            total_bytes=int(options.max_bodies_mb * 1e6),
            pixels=int(options.max_megapixels * 1e6),
            request_pixels=int(options.max_request_megapixels * 1e6),
            waiting_pixels=int(options.max_waiting_megapixels * 1e6),
            decoding_bytes=int(options.decoding_mb * 1e6),
            decoding_seconds=options.decoding_seconds,
            seconds=options.body_seconds,
        ),
        decoders=options.decoders,
    )
    connections = ConnectionLimits(
        total=options.max_connections,
        per_client=options.max_connections_per_client,
        head_bytes=int(options.max_head_kb * 1e3),
        headers=options.max_headers,
        head_seconds=options.head_seconds,
        idle_seconds=options.idle_seconds,
        read_stall=options.read_seconds,
        large_bytes_per_second=1e6 * options.large_body_rate,
    )
    allow_open_files(connections.total)
    return_large_buffers()
    share_the_interpreter()
    torch.set_num_threads(options.threads)
    hosts = (*LOOPBACK, options.host, *options.allow_host)
    with bind(options.host, options.port) as address:
        predictor = Predictor.load(options.bundle, options.device, options.bundle_sha256)
        app = create_app(predictor, settings, hosts, options.request_seconds)
        # uvicorn raises the signal that stopped it once more; a regular stop is not a failure.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        Server(app, connections, options.grace).run([address])


def parser() -> argparse.ArgumentParser:
    limits, settings, connections = Limits(), Settings(), ConnectionLimits()
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

    only_one = "folder of the bundle (default: the only one in models/)"
    add("--bundle", None, only_one, metavar="FOLDER")
    pinned = "SHA-256 that its bundle.json must have (default: any)"
    add("--bundle-sha256", None, pinned, metavar="DIGEST")
    add("--host", "127.0.0.1", "address to listen on; 0.0.0.0 for all interfaces")
    add("--port", 8000, "TCP port; 0 for any free port")
    add("--device", None, "cpu, cuda or mps (default: the fastest available)")
    threads = max(1, int(cores.usable()) - 1)
    add("--threads", threads, "number of CPU threads of the model; one core is left to requests")
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
    names = "name in the header Host that is answered besides localhost, --host and IP addresses; "
    names += "repeatable; '*' for any (default: none)"
    add("--allow-host", [], names, type=str, action="append", metavar="NAME")
    add("--max-batch", settings.max_batch, "maximum number of pictures per batch")
    add("--max-queue", settings.max_queue, "maximum number of waiting pictures")
    add("--max-files", limits.files, "maximum number of files per request")
    add("--max-file-mb", limits.file_bytes / 1e6, "maximum size of a file in MB")
    add("--max-body-mb", limits.request_bytes / 1e6, "maximum size of a request's body in MB")
    bodies = "maximum size of all bodies over 1 MB at a time in MB, half of it for one client"
    add("--max-bodies-mb", limits.total_bytes / 1e6, bodies)
    rate = "MB per second at which all requests over 1 MB together are read"
    add("--large-body-rate", connections.large_bytes_per_second / 1e6, rate)
    add("--body-seconds", limits.seconds, "seconds until a body has arrived")
    add("--max-megapixels", limits.pixels / 1e6, "maximum size of a picture in megapixels")
    together = "maximum size of a request's pictures together in megapixels"
    add("--max-request-megapixels", limits.request_pixels / 1e6, together)
    waiting = "maximum size of all pictures that wait for their decoding in megapixels"
    add("--max-waiting-megapixels", limits.waiting_pixels / 1e6, waiting)
    add("--decoders", settings.decoders, "number of processes that decode large pictures")
    add("--decoding-mb", limits.decoding_bytes / 1e6, "memory for all decoding at a time in MB")
    given_up = "seconds of decoding after which a picture is given up"
    add("--decoding-seconds", limits.decoding_seconds, given_up)
    add("--max-connections", connections.total, "maximum number of connections")
    per_client = "maximum number of connections per client address"
    add("--max-connections-per-client", connections.per_client, per_client)
    add("--max-head-kb", connections.head_bytes / 1e3, "maximum size of a request's head in kB")
    add("--max-headers", connections.headers, "maximum number of headers of a request")
    add("--head-seconds", connections.head_seconds, "seconds until a request's head is complete")
    add("--idle-seconds", connections.idle_seconds, "seconds between two requests of a connection")
    reading = "seconds until a client that reads less than 2 kB/s of its response is cut off"
    add("--read-seconds", connections.read_stall, reading)
    add("--request-seconds", REQUEST_SECONDS, "seconds until a response begins")
    add("--grace", 20.0, "seconds from SIGTERM until the process has ended")
    levels = ("debug", "info", "warning", "error")
    add("--log-level", "info", "lowest level that is logged", choices=levels)
    return parser


def check(options: argparse.Namespace) -> None:
    """Raises UserError for values that no service can work with."""
    for name, value in vars(options).items():
        if name != "port" and isinstance(value, int | float) and not 0 < value < math.inf:
            raise UserError(f"--{name.replace('_', '-')} {value:g} is not a number above 0")
    if options.max_bodies_mb / 2 < options.max_body_mb:
        raise UserError(
            f"--max-bodies-mb {options.max_bodies_mb:g} is less than twice --max-body-mb "
            f"{options.max_body_mb:g}: a client that sends such a body would always be refused; "
            "raise one or lower the other"
        )
    if options.max_queue < options.max_files:
        raise UserError(
            f"--max-queue {options.max_queue} is less than --max-files {options.max_files}: a "
            "request with so many pictures would always be refused; raise one or lower the other"
        )


def read_token(variable: str | None, file: Path | None) -> str | None:
    """The bearer token, or None if neither source is given.

    Raises
    ------
    UserError   if the source cannot be read, or what it holds cannot be a token
    """
    if variable is None and file is None:
        return None
    if variable is not None:
        content, source = (
            os.environb.get(os.fsencode(variable), b""),
            f"the environment variable {variable}",
        )
    else:
        assert file is not None
        source = str(file)
        try:
            with file.open("rb") as opened:
                content = opened.read(MAX_TOKEN + 1)
        except OSError as error:
            raise UserError(f"{file}: cannot read the token: {error.strerror}") from error
    token = content.decode("utf-8-sig", "replace").strip()
    if not token:
        raise UserError(f"{source} contains no token; add one, or omit the option")
    if not (token.isascii() and token.isprintable() and len(content) <= MAX_TOKEN):
        raise UserError(
            f"{source} contains no token: one line of ASCII characters, at most {MAX_TOKEN:,}"
        )
    return token


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
