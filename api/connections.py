"""Limits on connections and heads, which uvicorn does not set.

A connection costs memory and a file descriptor from its first byte on, long before the application
sees a request. These limits hold from there on: the number of connections, the size of a head and
the time until it is complete, and the pace at which a response is read.

uvicorn's own options do less: `limit_concurrency` answers 503 only to a complete head,
`timeout_keep_alive` begins after the first response, and `h11_max_incomplete_event_size` does not
concern httptools. Of `HttpToolsProtocol` this module uses the methods that it overrides, and the
attributes in `USED`.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.clients import Shares, client_of
from api.errors import Problem, busy, new_request_id
from api.flow import Flow, Rate
from api.logs import log
from api.pace import Pace
from api.sites import SECURITY_HEADERS

USED = ("client", "cycle", "flow", "loop", "transport")  # and of the cycle:
USED_OF_CYCLE = ("disconnected", "message_event", "response_started")

LINGER = 2.0  # seconds in which a refused client may read why, before the connection is cut
LARGE_MESSAGE = 1_000_000  # bytes from which a message shares `large_bytes_per_second`
MAX_PIPELINED = 16  # requests that one connection may have open; browsers send one at a time


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits on connections; seconds are those of waiting for the client."""

    total: int = 512
    per_client: int = 256
    head_bytes: int = 16_000
    headers: int = 100
    head_seconds: float = 10.0
    idle_seconds: int = 15  # between two requests
    read_stall: float = 20.0  # without enough of a response being read
    large_bytes_per_second: float = 50_000_000.0  # of all messages beyond `LARGE_MESSAGE`


class Connection(HttpToolsProtocol):
    """One connection, within limits."""

    flow: Flow
    limits: ConnectionLimits
    places: Shares
    rate: Rate  # of large messages

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._place: str | None = None  # the client that holds a place
        self._refused = False
        # Requests with a complete head, and without a complete response; the first one runs.
        self._open_requests: deque[RequestResponseCycle] = deque()
        self._in_message = False  # between the first byte of a request and its last
        self._in_head = True
        self._head_completed = False  # by the data that is being parsed
        self._head_bytes = 0  # as parsed
        self._raw_bytes = 0  # as received, since a header is parsed when it is complete
        self._message_bytes = 0  # as received since the message began, or the last of several
        self._problem: Problem | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._unread = 0  # bytes that the client had not read when the timer was set

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(transport)
        client = client_of(self.client[0] if self.client else None)
        if not self.places.take(client):
            self._refuse(busy(1))
            transport.close()  # at once, as a connection that lingers takes a place
            return
        self._place = client
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for cycle in self._open_requests:  # uvicorn tells the last one, not the one that runs
            cycle.disconnected = True
            cycle.message_event.set()
        self._unset("_head_timer")
        self._unset("_read_timer")
        if self._place is not None:
            self.places.give_back(self._place)
            self._place = None

    def data_received(self, data: bytes) -> None:
        self._message_bytes += len(data)
        if self._message_bytes > LARGE_MESSAGE:
            self.flow.rest(self.loop, self.rate.rest(len(data), self.loop.time()))
        if self._refused:
            return  # what was on its way when the client was refused
        if not self._open_requests:
            self._await_head()
        began_in_head, self._head_completed = self._in_head, False
        super().data_received(data)
        if began_in_head and not self._head_completed:
            self._raw_bytes += len(data)
            if self._raw_bytes > self.limits.head_bytes:
                self._refuse(self._too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_message = self._in_head = True
        self._head_bytes = self._message_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + len(": \r\n"))
        super().on_header(name, value)
        if len(self.headers) > self.limits.headers:
            message = f"more than {self.limits.headers} headers"
            self._stop_parsing(Problem(431, "too_many_headers", message))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_completed = True
        self._raw_bytes = 0
        self._unset("_head_timer")
        if len(self._open_requests) >= MAX_PIPELINED:
            self._stop_parsing(Problem(400, "pipelined", "too many requests at once"))
        super().on_headers_complete()
        self._open_requests.append(self.cycle)

    def on_message_complete(self) -> None:
        self._in_message = False
        self._in_head = True
        super().on_message_complete()
        # A timer that runs for the rest of an answered request goes on: uvicorn has none now.

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._open_requests.popleft()
        if self.transport.is_closing():
            self._await_reader()
        elif self._in_message and not self._open_requests:
            self._await_head()  # what is left of the request, which nobody reads

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._await_reader()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this for every error of the parser, ours included."""
        self._refuse(self._problem or Problem(400, "bad_request", "this is not valid HTTP"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._unset("_read_timer")

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._await_reader()

    def interrupt(self) -> None:
        """Cut the connection unless its request can still be refused, as the service ends."""
        if not self._open_requests or self._open_requests[0].response_started:
            self.transport.abort()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.limits.head_bytes:
            self._stop_parsing(self._too_large())

    def _too_large(self) -> Problem:
        message = f"the head of the request is larger than {self.limits.head_bytes:,} bytes"
        return Problem(431, "head_too_large", message)

    def _stop_parsing(self, problem: Problem) -> None:
        self._problem = problem
        raise problem  # the parser turns it into its own error

    def _refuse(self, problem: Problem) -> None:
        """Say why, and take nothing more; silently if responses to earlier requests are due."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._unset("_head_timer")
        log.info("refused", extra={"fields": {"status": problem.status, "code": problem.code}})
        if self._open_requests:
            self.transport.abort()
            return
        self.transport.write(as_http(problem))
        # Closing at once would reset the connection, and the client would not see the response.
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER, self.transport.abort)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._in_message and self._in_head:
            message = f"the head did not arrive within {self.limits.head_seconds:g} s"
            self._refuse(Problem(408, "too_slow", message))
        else:  # nothing was sent, or what is sent belongs to a request that was answered
            self.transport.close()
            self._await_reader()

    def _await_reader(self) -> None:
        if self._read_timer is None:
            self._unread = self.transport.get_write_buffer_size()
            self._read_timer = self.loop.call_later(self.limits.read_stall, self._reader_is_late)

    def _reader_is_late(self) -> None:
        """Cut the connection, unless the client has read enough since the timer was set."""
        self._read_timer = None
        stall = self.limits.read_stall
        read = self._unread - self.transport.get_write_buffer_size()
        if Pace(grace=0, stall=stall + 1).too_slow(read, stall):
            self.transport.abort()
        else:
            self._await_reader()

    def _unset(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


def limited(limits: ConnectionLimits) -> type[Connection]:
    """The protocol with these limits, which all its connections share."""
    shared = {
        "limits": limits,
        "places": Shares(limits.total, limits.per_client),
        "rate": Rate(limits.large_bytes_per_second),
    }
    return type("LimitedConnection", (Connection,), shared)


def as_http(problem: Problem) -> bytes:
    """A refusal as it is sent where no application is involved, in the one shape of errors."""
    request_id = new_request_id()
    response = problem.response(request_id)
    headers = {**SECURITY_HEADERS, **response.headers}
    headers |= {"X-Request-ID": request_id, "Connection": "close"}
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(response.body)
