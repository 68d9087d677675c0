"""One request."""

import socket

import httpx
from PIL import Image

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
        f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {request.headers['Content-Type']}\r\n\r\n"
    ).encode()
    for sent in (len(head), len(head) + 50, len(head) + len(body)):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall((head + body)[:sent])
    assert server.predict(pngs[0]).status_code == 200
    assert '"level": "error"' not in server.log.read_text()
