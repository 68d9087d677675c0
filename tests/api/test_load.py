"""More requests than fit, and the end of the service: nothing accepted is lost."""

import asyncio
import json
import signal
import socket
import time

import httpx
import pytest

from tests.api.service import TOKEN, serving


def ask_at_once(server, pngs, requests, files=2):
    """Statuses, latencies and headers of so many simultaneous requests."""

    async def one(client):
        started = time.perf_counter()
        form = [("file", (f"{n}.png", pngs[n])) for n in range(files)]
        response = await client.post("/predict", files=form)
        return response, time.perf_counter() - started

    async def all_of_them():
        limits = httpx.Limits(max_connections=requests)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        base = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(
            base_url=base, limits=limits, headers=headers, timeout=60
        ) as client:
            return await asyncio.gather(*(one(client) for _ in range(requests)))

    return asyncio.run(all_of_them())


def test_what_does_not_fit_is_refused_with_a_time_to_come_again(guarded, pngs):
    answers = ask_at_once(guarded, pngs, 100)
    statuses = [response.status_code for response, _ in answers]
    assert set(statuses) == {200, 503}
    for response, _ in answers:
        if response.status_code == 503:
            assert response.json()["code"] == "busy"
            assert int(response.headers["Retry-After"]) >= 1
        else:
            assert len(response.json()["predictions"]) == 2
    assert guarded.predict(pngs[0]).status_code == 200


def test_many_clients_share_batches(server, pngs):
    def batches():
        lines = server.client.get("/metrics").text.splitlines()
        named = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return float(named["daybook_batch_pictures_count"])

    before = batches()
    answers = ask_at_once(server, pngs, 64, files=1)
    assert {response.status_code for response, _ in answers} == {200}
    assert batches() - before < 60


@pytest.fixture
def mortal(bundle, tmp_path):
    with serving(bundle, tmp_path) as server:
        yield server


def test_sigterm_finishes_what_was_accepted(mortal, pngs):
    """A request whose body is half there when the signal comes is still answered."""
    request = httpx.Request("POST", "http://x/predict", files={"file": ("a.png", pngs[0])})
    body = request.read()
    head = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {request.headers['Content-Type']}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", mortal.port), timeout=60) as connection:
        connection.sendall(head + body[:40])
        time.sleep(0.5)
        mortal.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(OSError):  # noqa: PT011, refused or reset: nothing new is accepted
            socket.create_connection(("127.0.0.1", mortal.port), timeout=5).recv(1)
        connection.sendall(body[40:])
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"][0]["file"] == "a.png"
    assert mortal.process.wait(60) == 0
    assert '"level": "error"' not in mortal.log.read_text()
