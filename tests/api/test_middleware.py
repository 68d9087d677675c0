"""Request ids, counts and the last answer to a failure, around every request."""

import asyncio

import pytest
import torch
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from api.app import create_app
from api.metrics import Metrics
from api.middleware import RequestRecorder
from lib.inference import Predictor
from tests.api.service import refused


def test_requests_keep_their_own_ids_if_they_are_sane(server):
    get = server.client.get
    assert get("/healthz", headers={"X-Request-ID": "a-1"}).headers["X-Request-ID"] == "a-1"
    for strange in ("", "a b", "x" * 200, "é"):
        answer = get("/healthz", headers={"X-Request-ID": strange.encode()})
        assert len(answer.headers["X-Request-ID"]) == 32


def test_a_broken_model_is_a_500_in_the_same_shape(bundle, pngs, monkeypatch):
    """Asked in this process, since a whole service does not break by itself."""
    predictor = Predictor.load(bundle, "cpu")

    def broken(images):
        if images.max() > 0:  # the service itself asks about a black picture as it starts
            raise RuntimeError("out of memory")
        return torch.full((len(images), 10), 0.1)

    monkeypatch.setattr(predictor, "probabilities", broken)
    with TestClient(create_app(predictor), raise_server_exceptions=False) as client:
        response = client.post("/predict", files={"file": pngs[0]})
        refused(response, 500, "internal")
        assert "out of memory" not in response.text
        assert client.get("/readyz").status_code == 200


def passed(app):
    """The messages that an ASGI application sends through the middleware, and the metrics."""
    sent, metrics = [], Metrics()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    asyncio.run(RequestRecorder(app, metrics)(scope, None, send))
    return sent, metrics.text().decode()


def test_a_client_that_left_is_counted_as_499():
    async def left(scope, receive, send):
        raise ClientDisconnect

    sent, text = passed(left)
    assert sent == []
    assert 'status="499"} 1.0' in text


def test_a_failure_after_the_head_is_not_answered_twice():
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        passed(half)
