"""Error responses: one JSON shape on every path.

The text stands under `error`, where the Open Inference Protocol wants it; `code` is for programs
and `request_id` for finding the request in the logs.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException


class ErrorBody(BaseModel):
    """An error response."""

    error: str = Field(description="what is wrong, and the remedy")
    code: str = Field(description="error code for programs, from a fixed list")
    request_id: str = Field(description="as in the header X-Request-ID")


class Problem(Exception):
    """An error response: its status, a code for programs, a sentence for people."""

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


def busy(seconds: int) -> Problem:
    """The queue is full; the client should retry."""
    message = f"too many requests are waiting; try again in {seconds} s"
    return Problem(503, "busy", message, {"Retry-After": str(seconds)})


def install(app: FastAPI) -> None:
    """Answer everything that goes wrong in `app` in the one shape."""

    @app.exception_handler(Problem)
    async def known(request: Request, problem: Problem) -> JSONResponse:
        return problem.response(request.state.request_id)

    @app.exception_handler(HTTPException)
    async def by_status(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        code = phrase.lower().replace(" ", "_")
        message = f"{phrase.lower()}: {request.method} {request.url.path}"
        problem = Problem(error.status_code, code, message, error.headers)
        return problem.response(request.state.request_id)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        message = f"{first['loc'][-1]}: {first['msg']}"
        return Problem(422, "invalid_parameter", message).response(request.state.request_id)


MEANINGS = {
    400: "The multipart form is malformed.",
    401: "The bearer token is missing or wrong.",
    408: "The body did not arrive in time.",
    413: "Too many files, bytes or pixels.",
    415: "Not a form with files, or a file that is not JPEG, PNG, WebP, BMP or GIF.",
    422: "A damaged picture, or a parameter out of range.",
    503: "Too many requests are waiting. Retry-After says when to retry.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How these answers are described in the API's documentation."""
    return {status: {"model": ErrorBody, "description": MEANINGS[status]} for status in statuses}
