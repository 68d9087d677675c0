"""uvicorn's server with the limits of this service, and an end within a given time."""

import asyncio
import ctypes
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from api.connections import Connection, ConnectionLimits, limited
from api.logs import log
from lib.errors import UserError

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of mallopt
LARGE_BUFFER = 262_144  # bytes
HEAPS = 2  # for all threads, which otherwise have one each
SWITCH_SECONDS = 0.0005
OTHER_FILES = 128  # descriptors for everything but connections


class Server(uvicorn.Server):
    """A server that prints its address when it is ready, and ends within `grace` seconds.

    Connections that wait for a request are closed at once. Accepted requests are answered as long
    as four fifths of the grace last; then the rest is refused with 503 or cut off. A thread that
    still computes at the end of the grace does not keep the process.
    """

    def __init__(self, app: FastAPI, limits: ConnectionLimits, grace: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=limited(limits),
                log_config=None,
                access_log=False,
                ws="none",
                timeout_keep_alive=limits.idle_seconds,
                proxy_headers=False,  # a client could choose its address
            )
        )
        self.grace = grace

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for address in sockets or []:
            host, port = address.getsockname()[:2]
            print(f"serving on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        last_resort = threading.Timer(0.95 * self.grace, leave)
        last_resort.daemon = True  # and never cancelled: threads are waited for at the very end
        last_resort.start()
        interruption = asyncio.create_task(self._interrupt())
        await super().shutdown(sockets)
        interruption.cancel()

    async def _interrupt(self) -> None:
        """End what is left when the time for accepted requests is over."""
        await asyncio.sleep(0.8 * self.grace)
        self._each(Connection.interrupt)
        await asyncio.sleep(0.02 * self.grace)  # applications notice that their client is gone
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(0.05 * self.grace)  # the others refuse their requests
        self._each(lambda connection: connection.transport.abort())

    def _each(self, function: Callable[[Connection], object]) -> None:
        for connection in list(self.server_state.connections):
            assert isinstance(connection, Connection)
            function(connection)


def leave() -> None:
    log.error("stopped", extra={"fields": {"reason": "the time after SIGTERM is over"}})
    os._exit(1)


def return_large_buffers() -> None:
    """Let the C library give the memory of large buffers back as soon as they are freed.

    glibc raises its threshold with every large buffer that is freed, and from then on keeps such
    buffers in heaps that seldom shrink. https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER)
        mallopt(M_ARENA_MAX, HEAPS)


def share_the_interpreter() -> None:
    """Let the model's thread and the event loop take turns sooner than Python's 5 ms.

    A thread that has computed outside the interpreter, as every operation of the model does, waits
    so long to come back in.
    """
    sys.setswitchinterval(SWITCH_SECONDS)


def allow_open_files(connections: int) -> None:
    """Let this process have so many connections open.

    Raises
    ------
    UserError   if the system does not allow it
    """
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    needed = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UserError(
            f"--max-connections {connections} needs {needed} open files, and the system allows "
            f"{hard} (ulimit -n); choose fewer"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
