"""Error responses, in one JSON shape on every path.

The message is under `error`, where the Open Inference Protocol expects it; `code` is for programs,
and `request_id` identifies the request in the logs.
"""

import random
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException


class ErrorBody(BaseModel):
    """Why the request failed."""

    error: str = Field(description="what is wrong and how to correct it")
    code: str = Field(description="the error as a code from a fixed list, for programs")
    request_id: str = Field(description="the same id as in the header X-Request-ID")


class Problem(Exception):
    """A request that fails: its status, a code for programs, a message for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers

    def response(self, request_id: str) -> JSONResponse:
        body = {"error": self.message, "code": self.code, "request_id": request_id}
        return JSONResponse(body, self.status, self.headers)


def new_request_id() -> str:
    """An id for requests that come without one; it identifies, and keeps no secret."""
    return f"{random.getrandbits(128):032x}"


def busy(seconds: int) -> Problem:
    """The service has no capacity for the request; the client should retry later."""
    message = f"too many requests are waiting; try again in {seconds} s"
    return Problem(503, "busy", message, {"Retry-After": str(seconds)})


def install(app: FastAPI) -> None:
    """Send every error of `app` in the one shape."""

    @app.exception_handler(Problem)
    async def problem_response(request: Request, problem: Problem) -> JSONResponse:
        return problem.response(request.state.request_id)

    @app.exception_handler(HTTPException)
    async def status_response(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_")
        message = f"{phrase.lower()}: {request.method} {request.url.path}"
        headers = dict(error.headers or {})
        if headers.get("Allow") == "GET":
            headers["Allow"] = "GET, HEAD"  # see `api.middleware.HeadAsGet`
        problem = Problem(error.status_code, code, message, headers)
        return problem.response(request.state.request_id)

    @app.exception_handler(RequestValidationError)
    async def validation_response(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        message = f"{first['loc'][-1]}: {first['msg']}"
        return Problem(422, "invalid_parameter", message).response(request.state.request_id)


DESCRIPTIONS = {
    400: "The multipart form or the tensor is malformed.",
    401: "Missing or wrong bearer token.",
    404: "No model has this name.",
    408: "The request body did not arrive in time.",
    413: "Too many files, bytes or pixels.",
    415: "A compressed body, a body that is not the multipart form that the path requires, or a "
    "file in no format that is read.",
    422: "A damaged or missing picture, an unknown form field, or a parameter out of range.",
    503: "The queue is full (Retry-After says when to retry), or the model is not ready.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These error responses as FastAPI describes them in the API's documentation."""
    return {
        status: {"model": ErrorBody, "description": DESCRIPTIONS[status]} for status in statuses
    }
