"""From request to prediction: orientation, clients that leave, explanations that must wait."""

import asyncio
import math
import socket
import threading

import httpx
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
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


def compressed_text():
    text = PngInfo()
    text.add_text("Comment", "x" * 10_000, zip=True)
    return text


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


@pytest.fixture
def observed(bundle, monkeypatch):
    """A predictor, and the names of the threads that decode and compute with it."""
    predictor = Predictor.load(bundle, "cpu")
    seen = {"prepare": [], "probabilities": []}

    def watch(name):
        function = getattr(predictor, name)

        def watched(argument):
            seen[name].append(threading.current_thread().name)
            return function(argument)

        monkeypatch.setattr(predictor, name, watched)

    watch("prepare")
    watch("probabilities")
    return predictor, seen


def threads_of(observed, *requests):
    """The threads that work for such requests, which come together."""
    predictor, seen = observed

    async def ask():
        service = Service(predictor, Settings())
        await service.start()
        while not service.batcher.idle:
            await asyncio.sleep(0.001)
        for names in seen.values():
            names.clear()
        answers = await asyncio.gather(*map(service.predict, requests))
        await service.close()
        return answers

    for _, (prediction,) in asyncio.run(asyncio.wait_for(ask(), 60)):
        assert prediction.label in predictor.classes
    return {name: set(names) for name, names in seen.items()}


LOOP, MODEL = {"MainThread"}, {"model"}


def test_a_tiny_picture_alone_never_leaves_the_event_loop(observed, pngs, monkeypatch):
    monkeypatch.setattr("api.batching.BRIEF_SECONDS", math.inf)
    found = threads_of(observed, incoming(pngs[0]))
    assert found == {"prepare": LOOP, "probabilities": LOOP}


def test_pictures_that_come_together_are_gathered_for_the_model(observed, pngs, monkeypatch):
    monkeypatch.setattr("api.batching.BRIEF_SECONDS", math.inf)
    found = threads_of(observed, *map(incoming, pngs[:6]))
    assert found == {"prepare": LOOP, "probabilities": MODEL}


def test_a_model_that_takes_long_leaves_the_event_loop_free(observed, pngs, monkeypatch):
    monkeypatch.setattr("api.batching.BRIEF_SECONDS", 0.0)
    found = threads_of(observed, incoming(pngs[0]))
    assert found == {"prepare": LOOP, "probabilities": MODEL}


@pytest.mark.parametrize(
    "picture",
    [
        encoded(Image.new("RGB", (200, 200))),
        encoded(Image.new("RGB", (16, 16)), "WEBP"),
        encoded(Image.new("RGB", (16, 16)), "PNG", pnginfo=compressed_text()),
    ],
    ids=["large", "another format", "metadata"],
)
def test_no_other_picture_is_decoded_by_the_service_itself(observed, picture):
    assert threads_of(observed, incoming(picture))["prepare"] == set()


def test_a_picture_that_is_not_as_tiny_is_decoded_here_if_it_is_alone(observed):
    picture = encoded(Image.new("RGB", (100, 100)))
    assert threads_of(observed, incoming(picture))["prepare"] == LOOP
    both = (incoming(picture), incoming(picture))
    assert threads_of(observed, *both)["prepare"] == set()


def test_a_service_that_has_not_started_is_not_ready(predictor):
    with pytest.raises(Problem) as refused:
        Service(predictor, Settings()).check_ready()
    assert (refused.value.status, refused.value.code) == (503, "not_ready")
