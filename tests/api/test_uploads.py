"""Pictures out of a request's body, and the limits on them."""

import asyncio
import gzip
import socket
from contextlib import ExitStack

import pytest
from PIL import Image
from starlette.requests import Request

from api import uploads
from api.errors import Problem
from api.pace import Pace
from api.uploads import Limits, MemoryBudget, receive
from lib.inference import FORMATS
from tests.api.service import TOKEN, encoded, refused


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_whatever_the_files_name(server, predictor, kind):
    data = encoded(Image.radial_gradient("L"), kind)
    found = server.client.post("/predict", files={"file": ("x.txt", data, "text/plain")})
    (expected,) = predictor.predict([data])
    assert found.json()["predictions"][0]["confidence"] == pytest.approx(
        expected.confidence, abs=1e-5
    )


@pytest.mark.parametrize(
    ("files", "status", "code", "says"),
    [
        ({"file": ("a.png", b"")}, 422, "unreadable", "a.png: the file is empty"),
        ({"file": ("a.png", b"%PDF-1.7 etc")}, 415, "unknown_format", "not a picture"),
        ({"file": ("a.png", b"\x89PNG\r\n\x1a\nxx")}, 422, "unreadable", "damaged"),
        ({"photo": ("a.png", b"x")}, 422, "unknown_field", "'photo'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(server, files, status, code, says):
    assert says in refused(server.client.post("/predict", files=files), status, code)


def test_other_kinds_of_pictures_are_refused(server):
    for kind in ("ICO", "TGA", "JPEG2000"):
        data = encoded(Image.new("RGB", (9, 9)), kind)
        refused(server.predict(data), 415, "unknown_format")


def test_a_truncated_picture_is_refused(server):
    data = encoded(Image.effect_noise((64, 64), 50))
    assert "truncated" in refused(server.predict(data[:900]), 422, "unreadable")


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415, "not_a_form"),
        ({"Content-Type": "multipart/form-data"}, b"--", 400, "damaged_form"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"nonsense", 400, "damaged_form"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\n", 400, "damaged_form"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 422, "no_file"),
        ({}, b"", 415, "not_a_form"),
    ],
)
def test_a_body_that_is_no_form_with_files_is_refused(server, headers, body, status, code):
    refused(server.client.post("/predict", headers=headers, content=body), status, code)


PATHS = ("/predict", "/explain", "/v2/models/digits/infer")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "br", "deflate", "GZIP", "gzip, identity"])
def test_a_compressed_body_is_refused(server, path, coding):
    form = {"Content-Type": "multipart/form-data; boundary=x", "Content-Encoding": coding}
    answer = server.client.post(path, headers=form, content=gzip.compress(b"--x--\r\n"))
    message = f"Content-Encoding {coding!r} is not supported; send the body uncompressed"
    assert refused(answer, 415, "encoded_body") == message
    assert answer.headers["Accept-Encoding"] == "identity"


def test_a_compressed_body_is_refused_before_it_has_arrived(server):
    head = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n"
        b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(10_000).startswith(b"HTTP/1.1 415")


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_the_identity_coding_is_none(server, pngs, coding):
    assert server.predict(pngs[0], headers={"Content-Encoding": coding}).status_code == 200


def test_too_much_is_refused(guarded, pngs):
    refused(guarded.predict(*pngs[:4]), 413, "too_many_files")
    noise = encoded(Image.effect_noise((200, 200), 100))
    assert len(noise) > 20_000
    assert "0.png: larger than 20,000 bytes" in refused(guarded.predict(noise), 413, "too_large")
    files = [("file", pngs[0]), ("file", pngs[1])]
    refused(guarded.client.post("/explain", files=files), 413, "too_many_files")


def test_bytes_are_counted_as_they_arrive(guarded):
    """A body without a length that never ends is refused at the limit, not at its end."""
    head = (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    before = guarded.memory()
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as connection:
        connection.sendall(head + b"%x\r\n%b\r\n" % (len(part), part))
        for _ in range(300):
            connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 413")
    assert guarded.memory() - before < 10_000_000


def request_of(address, receive=None):
    return Request({"type": "http", "client": (address, 1)}, receive)


@pytest.mark.parametrize(("small_body", "kind"), [(1_000, "small_bytes"), (0, "total_bytes")])
def test_the_memory_of_all_requests_is_limited_and_released(monkeypatch, small_body, kind):
    monkeypatch.setattr(uploads, "SMALL_BODY", small_body)
    budget = MemoryBudget(Limits(**{kind: 100}))
    clients = [request_of(f"192.0.2.{number}") for number in range(3)]
    for _ in range(2):  # what was released can be reserved again
        with ExitStack() as opened:
            one, same, other, third = (
                opened.enter_context(budget.reservation(client))
                for client in (clients[0], *clients)
            )
            one.add(30)
            same.add(20)
            other.add(40)
            for full, size in ((same, 1), (third, 11)):
                with pytest.raises(Problem) as refused:
                    full.add(size)
                assert (refused.value.status, refused.value.code) == (503, "busy")
            third.add(10)


def test_small_bodies_have_memory_of_their_own(monkeypatch):
    monkeypatch.setattr(uploads, "SMALL_BODY", 10)
    budget = MemoryBudget(Limits(total_bytes=100, small_bytes=20))
    with ExitStack() as opened:
        one, other, third = (
            opened.enter_context(budget.reservation(request_of(f"192.0.2.{number}")))
            for number in range(3)
        )
        for reservation in (one, other):
            reservation.add(10)  # all that is for small bodies
        with pytest.raises(Problem):
            third.add(1)
        one.add(40)  # no longer small: it makes room for others
        other.add(40)
        third.add(10)
        with pytest.raises(Problem):
            third.add(1)  # all that is for large ones is taken
        assert (one.size, other.size, third.size) == (50, 50, 10)
    with budget.reservation(request_of("192.0.2.1")) as later:
        later.add(10)
        later.add(40)


HEAD = (
    b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 64000000\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'


def begun(opened, server, data, address="127.0.0.1"):
    """A connection on which so much of a request was sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), 60, (address, 0))
    opened.enter_context(connection).sendall(data)
    return connection


def test_one_client_does_not_hold_the_memory_of_all(server):
    """Bodies that stop short of their end refuse their sender's next one, and nobody else's."""
    large = HEAD % b"/predict" + (PART + bytes(9_000_000) + b"\r\n") * 7
    with ExitStack() as opened:
        stopped = [begun(opened, server, large, "127.0.0.2") for _ in range(3)]
        other = begun(opened, server, large, "127.0.0.3")
        other.sendall(b"--x--\r\n" + b" " * (64_000_000 - len(large) + len(HEAD % b"/predict") - 7))
        assert other.recv(100).startswith(b"HTTP/1.1 415")  # all of it was read
        answers = sorted(connection.recv(100)[:12] for connection in stopped)
    assert answers == [b"HTTP/1.1 408", b"HTTP/1.1 503", b"HTTP/1.1 503"]


def test_a_body_that_stops_is_refused(server):
    bodies = [b"", b"--x\r\n", PART + bytes(2_000), PART + bytes(60_000)]
    with ExitStack() as opened:
        connections = [
            (arrived, begun(opened, server, HEAD % path.encode() + arrived))
            for arrived in bodies
            for path in PATHS
        ]
        for arrived, stopped in connections:
            answer = b""
            while b"too_slow" not in answer:
                chunk = stopped.recv(10_000)
                assert chunk, answer
                answer += chunk
            assert answer.startswith(b"HTTP/1.1 408")
            assert f"the body stopped or is too slow: {len(arrived):,} bytes in".encode() in answer


@pytest.mark.parametrize(
    ("pace", "seconds", "says"),
    [
        (Pace(grace=0.05), 60, "the body stopped or is too slow"),
        (Pace(grace=60, stall=0.005), 60, r"without pauses of 0\.005 s"),
        (Pace(), 0.05, r"the body did not arrive within 0\.05 s; send fewer pictures"),
    ],
)
def test_a_body_that_drips_is_refused(monkeypatch, pace, seconds, says):
    async def drop():
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def read():
        limits = Limits(seconds=seconds)
        request = request_of("192.0.2.1", drop)
        with MemoryBudget(limits).reservation(request) as reservation:
            await receive(request, reservation, limits, 1_000, bytearray().extend)

    monkeypatch.setattr(uploads, "PACE", pace)
    with pytest.raises(Problem, match=says) as refused:
        asyncio.run(read())
    assert (refused.value.status, refused.value.code) == (408, "too_slow")
