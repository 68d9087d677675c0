"""The finished site over HTTP, for the browsers of this machine."""

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lib.errors import UserError


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for every request."""

    def log_message(self, *arguments: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Serves `folder` on loopback alone; port 0 takes a free one.

    Raises
    ------
    UserError   if the port is taken or not this user's to take
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        try:
            super().__init__(("127.0.0.1", port), functools.partial(Handler, directory=str(folder)))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"port {port}: {reason}; name another with --port") from None

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that leaves before its answer is no error."""
