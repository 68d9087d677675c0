"""Pictures out of a request's body, and the limits on them."""

import asyncio
import gzip
import socket

import pytest
from PIL import Image
from starlette.requests import Request

from api.errors import Problem
from api.uploads import Limits, MemoryBudget, Upload, count_pixels, receive
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


def test_the_memory_of_all_requests_is_limited_and_released():
    budget = MemoryBudget(Limits(total_bytes=100))
    with budget.reservation() as one, budget.reservation() as other:
        one.add(60)
        with pytest.raises(Problem) as refused:
            other.add(41)
        assert refused.value.status == 503
        other.add(40)
    with budget.reservation() as later:
        later.add(100)


def test_a_body_that_takes_too_long_is_refused():
    async def stalled():
        await asyncio.sleep(5)

    async def read():
        limits = Limits(seconds=0.05)
        with MemoryBudget(limits).reservation() as reservation:
            request = Request({"type": "http"}, stalled)
            await receive(request, reservation, limits, 100, bytearray().extend)

    with pytest.raises(Problem) as refused:
        asyncio.run(read())
    assert (refused.value.status, refused.value.code) == (408, "too_slow")


def test_pixels_are_counted_from_the_header_alone():
    data = encoded(Image.effect_noise((64, 64), 50))
    assert count_pixels(Upload("a.png", bytearray(data[:100])), Limits()) == 64 * 64
    with pytest.raises(Problem, match=r"a\.png: more than 4,095 pixels"):
        count_pixels(Upload("a.png", bytearray(data)), Limits(pixels=4095))
