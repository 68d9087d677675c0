"""Request id, log line and metrics of every request; a response when the application has none.

HEAD is answered here for every path that has GET.
"""

import asyncio
import re
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Problem, new_request_id
from api.interruption import Deadline
from api.logs import log
from api.metrics import Metrics

VALID_ID = re.compile(rb"[\w.:-]{1,64}")
CLIENT_CLOSED_REQUEST = 499  # nginx's status; the standard has none for it


class RequestRecorder:
    """ASGI middleware for the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = CLIENT_CLOSED_REQUEST
        except asyncio.CancelledError:
            # The service ends while the response is being sent. The server would log a traceback.
            status = CLIENT_CLOSED_REQUEST
        finally:
            self._record(scope, request_id, status, time.perf_counter() - started)

    def _record(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        path = getattr(scope.get("route"), "path", "other")
        self.metrics.request(scope["method"], path, status, seconds)
        fields = {
            "request_id": request_id,
            "method": scope["method"],
            "path": path,
            "status": status,
            "milliseconds": round(1000 * seconds, 2),
        }
        log.info("request", extra={"fields": fields})


class Unanswered:
    """ASGI middleware that answers when the application fails, takes too long or is stopped.

    Parameters
    ----------
    seconds : float   time until a response begins; from then on, the client's pace counts
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False
        request_id = scope["state"]["request_id"]

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            deadline.lift()
            await send(message)

        try:
            with Deadline(self.seconds) as deadline:
                await self.app(scope, receive, send_and_note)
            return
        except ClientDisconnect:
            raise
        except asyncio.CancelledError:
            problem = Problem(503, "stopping", "the service stops; send the request again")
            if begun:
                raise
        except Exception as error:
            if deadline.happened and isinstance(error, TimeoutError):
                message = f"the request was not answered within {self.seconds:g} s"
                problem = Problem(503, "timeout", message)
            else:
                log.exception("failed", extra={"fields": {"request_id": request_id}})
                problem = Problem(500, "internal", "internal error of the service; see its log")
            if begun:  # a second response cannot be sent
                raise
        await problem.response(request_id)(scope, receive, send)


class HeadAsGet:
    """ASGI middleware that answers HEAD with the status and headers of GET, and no body.

    Routes declare GET alone, so that the OpenAPI description has no second operation for HEAD
    (RFC 9110, 9.3.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        as_get = {**scope, "method": "GET"}
        try:
            await self.app(as_get, receive, send_without_body)
        finally:
            # The router notes its route in the scope that it gets; the recorder reads it in this.
            scope.update(as_get, method="HEAD")


def _request_id(scope: Scope) -> str:
    """The client's own id if it is valid, otherwise a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and VALID_ID.fullmatch(value):
            return value.decode()
    return new_request_id()
