"""Serve the finished site over HTTP on this computer."""

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lib.errors import UserError


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of a folder, without a log line per request."""

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves `folder` on the loopback interface only; port 0 is any free port.

    Raises
    ------
    UserError   if the port is in use, or this user may not use it
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        try:
            super().__init__(("127.0.0.1", port), functools.partial(Handler, directory=str(folder)))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"port {port}: {reason}; choose another with --port") from None

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes the connection early is not an error."""
