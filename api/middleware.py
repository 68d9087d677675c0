"""The middleware of every request: an id, a log line, metrics, and always a response."""

import re
import time
import uuid

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Problem
from api.logs import log
from api.metrics import Metrics

SANE_ID = re.compile(rb"[\w.:-]{1,64}")
LEFT = 499  # the client went away; no standard status says that


class RequestRecorder:
    """ASGI middleware around the whole application."""

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

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self.app(scope, receive, note)
        except ClientDisconnect:
            status = LEFT
        except Exception:
            log.exception("failed", extra={"fields": {"request_id": request_id}})
            if status:  # too late for another answer
                raise
            problem = Problem(500, "internal", "this is a defect of the service; its log says more")
            await problem.response(request_id)(scope, receive, note)
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


def _request_id(scope: Scope) -> str:
    """The client's own id if it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and SANE_ID.fullmatch(value):
            return value.decode()
    return uuid.uuid4().hex
