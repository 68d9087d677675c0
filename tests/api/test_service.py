"""From request to prediction: orientation, clients that leave, explanations that must wait."""

import asyncio
import socket
import threading

import httpx
import pytest
from PIL import Image
from starlette.requests import Request

from api.errors import Problem
from api.service import MAX_EXPLANATIONS, Service, Settings
from lib.inference import Predictor
from tests.api.service import encoded


def test_the_cameras_orientation_is_honoured(server, digits):
    upright = Image.fromarray(digits.test.images[0].permute(1, 2, 0).numpy())
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    found = server.predict(encoded(upright), encoded(turned, exif=exif)).json()["predictions"]
    assert found[0]["probabilities"] == found[1]["probabilities"]


def test_a_client_that_leaves_costs_nothing(server, pngs):
    request = httpx.Request("POST", "http://x/predict", files={"file": ("a.png", pngs[0])})
    body = request.read()
    head = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {request.headers['Content-Type']}\r\n\r\n"
    ).encode()
    for sent in (len(head), len(head) + 50, len(head) + len(body)):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall((head + body)[:sent])
    assert server.predict(pngs[0]).status_code == 200
    assert '"level": "error"' not in server.log.read_text()


def incoming(png):
    """A request with one picture, as the application hands it to the service."""
    sent = httpx.Request("POST", "http://x/explain", files={"file": ("a.png", png)})
    body = sent.read()

    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive():
        return next(messages, None) or await asyncio.Event().wait()  # its client stays

    headers = [(b"content-type", sent.headers["Content-Type"].encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


def test_more_explanations_than_may_wait_are_refused(bundle, pngs, monkeypatch):
    predictor = Predictor.load(bundle, "cpu")
    may_end, overlay = threading.Event(), Image.new("RGB", (4, 4))

    def explain(picture, target):
        may_end.wait(20)
        return overlay

    monkeypatch.setattr(predictor, "explain", explain)

    async def ask():
        service = Service(predictor, Settings())
        may_end.set()
        await service.start()
        may_end.clear()
        waiting = [
            asyncio.create_task(service.explain(incoming(pngs[0]), None))
            for _ in range(MAX_EXPLANATIONS)
        ]
        await asyncio.sleep(0.5)
        with pytest.raises(Problem) as refused:
            await service.explain(incoming(pngs[0]), None)
        may_end.set()
        pictures = await asyncio.gather(*waiting)
        pictures.append(await service.explain(incoming(pngs[0]), None))
        await service.close()
        return refused.value, pictures

    refused, pictures = asyncio.run(asyncio.wait_for(ask(), 20))
    assert (refused.status, refused.code) == (503, "busy")
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)


def test_a_service_that_has_not_started_is_not_ready(predictor):
    with pytest.raises(Problem) as refused:
        Service(predictor, Settings()).check_ready()
    assert (refused.value.status, refused.value.code) == (503, "not_ready")
