"""Request ids, counts and the last answer to a failure, around every request."""

import asyncio
import json
import socket

import httpx
import pytest
import torch
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from api.app import create_app
from api.metrics import Metrics
from api.middleware import HeadAsGet, RequestRecorder, Unanswered
from lib.inference import Predictor
from tests.api.service import refused


def test_requests_keep_their_own_ids_if_they_are_sane(server):
    get = server.client.get
    assert get("/healthz", headers={"X-Request-ID": "a-1"}).headers["X-Request-ID"] == "a-1"
    for strange in ("", "a b", "x" * 200, "é"):
        answer = get("/healthz", headers={"X-Request-ID": strange.encode()})
        assert len(answer.headers["X-Request-ID"]) == 32


GET_PATHS = [
    *("/", "/docs", "/openapi.json", "/static-offline-docs/swagger-ui.css"),
    *("/healthz", "/readyz", "/model", "/metrics"),
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/digits/ready", "/v2/models/digits"),
]


def test_every_path_with_get_is_in_the_list_above(server):
    described = server.client.get("/openapi.json").json()["paths"]
    with_get = {path for path, methods in described.items() if "get" in methods}
    assert {path.replace("{model}", "digits") for path in with_get} <= {*GET_PATHS}
    assert not any("head" in methods for methods in described.values())


@pytest.mark.parametrize("path", [*GET_PATHS, "/predict", "/nowhere"])
def test_head_is_answered_as_get_without_its_body(server, path):
    found, expected = server.client.head(path), server.client.get(path)
    own = {"date", "x-request-id"}  # of each response
    if path == "/metrics":
        own.add("content-length")  # that of the counts at the time
    assert found.status_code == expected.status_code
    assert found.headers.keys() == expected.headers.keys()
    assert int(found.headers["Content-Length"]) > 0
    assert {key: value for key, value in found.headers.items() if key not in own} == {
        key: value for key, value in expected.headers.items() if key not in own
    }


def test_head_has_no_body_on_the_wire(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(
            b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        received = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"\r\n\r\n")
    assert received.count(b"\r\n\r\n") == 1


def test_head_passes_on_every_part_of_a_body_empty():
    async def two_parts(scope, receive, send):
        assert scope["method"] == "GET"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    sent, text = passed(HeadAsGet(two_parts), "HEAD")
    assert [message.get("body") for message in sent] == [None, b"", b""]
    assert sent[1]["more_body"]
    assert 'method="HEAD"' in text


def test_head_is_counted_as_head_under_the_path_of_its_route(server):
    line = 'daybook_requests_total{method="HEAD",path="/v2/health/live",status="200"}'
    server.client.head("/v2/health/live")
    assert line in server.client.get("/metrics").text


def test_head_needs_the_token_where_get_does(guarded):
    with httpx.Client(base_url=f"http://127.0.0.1:{guarded.port}") as stranger:
        answer = stranger.head("/model")
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert stranger.head("/healthz").status_code == 200
    assert guarded.client.head("/model").status_code == 200
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "HEAD"}
    assert guarded.client.options("/model", headers=ask).status_code == 200


def test_a_refused_method_is_told_of_get_and_head(server):
    assert server.client.delete("/healthz").headers["Allow"] == "GET, HEAD"


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


def passed(app, method="POST", seconds=60.0, cancelled=False):
    """The messages that an ASGI application sends through the middleware, and the metrics."""
    sent, metrics = [], Metrics()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/predict", "headers": []}

    async def ask():
        recorder = RequestRecorder(Unanswered(app, seconds), metrics)
        task = asyncio.create_task(recorder(scope, None, send))
        await asyncio.sleep(0)
        if cancelled:
            await asyncio.sleep(0.01)
            task.cancel()
        await task

    asyncio.run(ask())
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


async def waiting(scope, receive, send):
    await asyncio.sleep(60)


async def half_sent(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await waiting(scope, receive, send)


def test_a_request_that_takes_too_long_is_answered_503():
    sent, text = passed(waiting, seconds=0.01)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert json.loads(sent[1]["body"])["code"] == "timeout"
    assert 'status="503"} 1.0' in text


def test_a_response_that_has_begun_may_take_its_time():
    async def slow(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"late"})

    sent, text = passed(slow, seconds=0.01)
    assert sent[-1]["body"] == b"late"
    assert 'status="200"} 1.0' in text


def test_a_time_out_of_the_application_is_its_own_failure():
    async def out_of_time(scope, receive, send):
        raise TimeoutError

    sent, text = passed(out_of_time)
    assert json.loads(sent[1]["body"])["code"] == "internal"
    assert 'status="500"} 1.0' in text


def test_a_request_that_is_cancelled_is_answered_503_without_a_traceback(caplog):
    sent, text = passed(waiting, cancelled=True)
    assert json.loads(sent[1]["body"])["code"] == "stopping"
    assert 'status="503"} 1.0' in text
    assert not [record for record in caplog.records if record.exc_info]


def test_a_response_that_is_cancelled_is_counted_as_499(caplog):
    sent, text = passed(half_sent, cancelled=True)
    assert len(sent) == 1
    assert 'status="499"} 1.0' in text
    assert not [record for record in caplog.records if record.exc_info]
