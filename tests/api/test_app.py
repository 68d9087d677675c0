"""Every path of the service and every refusal, asked by real clients of a real process."""

import json
import socket
import subprocess
from io import BytesIO

import httpx
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from api.app import create_app
from lib.inference import Predictor
from tests.api.service import TOKEN, encoded, wait_until


def refused(response, status, code):
    """The one shape of every refusal."""
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), response.text
    assert set(body) == {"error", "code", "request_id"}
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body["error"]


def test_one_picture_gets_the_predictors_own_probabilities(server, predictor, pngs):
    response = server.predict(pngs[0])
    assert response.status_code == 200
    (found,) = response.json()["predictions"]
    (expected,) = predictor.predict([pngs[0]])
    assert found["label"] == expected.label
    assert found["confidence"] == pytest.approx(expected.confidence, abs=1e-5)
    named = {entry["label"]: entry["probability"] for entry in found["probabilities"]}
    assert named == pytest.approx(expected.probabilities, abs=1e-5)
    falling = [entry["probability"] for entry in found["probabilities"]]
    assert falling == sorted(falling, reverse=True)


def test_many_pictures_are_answered_in_their_order(server, predictor, pngs):
    found = server.predict(*pngs[:8], params={"top": 1}).json()["predictions"]
    assert [one["file"] for one in found] == [f"{number}.png" for number in range(8)]
    assert [one["label"] for one in found] == [p.label for p in predictor.predict(pngs[:8])]
    assert all(len(one["probabilities"]) == 1 for one in found)


def test_curl_can_ask(server, pngs, tmp_path):
    picture = tmp_path / "picture.png"
    picture.write_bytes(pngs[0])
    url = f"http://127.0.0.1:{server.port}/predict"
    answer = subprocess.run(
        ["curl", "-sf", "-F", f"file=@{picture}", url], check=True, stdout=subprocess.PIPE
    )
    assert json.loads(answer.stdout)["predictions"][0]["file"] == "picture.png"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_the_five_formats_are_read_whatever_their_names(server, predictor, kind):
    data = encoded(Image.radial_gradient("L"), kind)
    found = server.client.post("/predict", files={"file": ("x.txt", data, "text/plain")})
    (expected,) = predictor.predict([data])
    assert found.json()["predictions"][0]["confidence"] == pytest.approx(
        expected.confidence, abs=1e-5
    )


def test_the_cameras_orientation_is_honoured(server, digits):
    upright = Image.fromarray(digits.test.images[0].permute(1, 2, 0).numpy())
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    found = server.predict(encoded(upright), encoded(turned, exif=exif)).json()["predictions"]
    assert found[0]["probabilities"] == found[1]["probabilities"]


def test_an_explanation_is_a_picture(server, pngs, predictor):
    files = {"file": ("digit.png", pngs[0])}
    response = server.client.post("/explain", files=files, params={"target": "3"})
    assert response.headers["Content-Type"] == "image/png"
    overlay = Image.open(BytesIO(response.content))
    assert overlay.convert("RGB").tobytes() == predictor.explain(pngs[0], "3").tobytes()
    other = server.client.post("/explain", files=files, params={"target": "8"})
    assert other.content != response.content


def test_the_model_states_its_facts(server, predictor):
    facts = server.client.get("/model").json()
    assert facts["classes"] == [str(digit) for digit in range(10)]
    assert facts["sha256"] == predictor.bundle.sha256
    assert facts["metrics"]["accuracy"] == predictor.bundle.metrics["accuracy"]
    assert facts["limits"]["files"] == 32


def test_health(server):
    assert server.client.get("/healthz").json() == {"status": "alive"}
    assert server.client.get("/readyz").json() == {"status": "ready"}


def test_metrics_count_what_happened(server, pngs):
    def value(line):
        found = [
            row for row in server.client.get("/metrics").text.splitlines() if row.startswith(line)
        ]
        return float(found[0].split()[-1]) if found else 0.0

    counts = [
        'daybook_requests_total{method="POST",path="/predict",status="200"}',
        'daybook_request_seconds_count{path="/predict"}',
        "daybook_batch_pictures_sum",
        "daybook_confidence_count",
        'daybook_stage_seconds_count{stage="model"}',
    ]
    before = [value(line) for line in counts]
    server.predict(*pngs[:3])
    after = [value(line) for line in counts]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 3, 3, 1]
    assert value("daybook_queue_pictures") == 0


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
    for kind in ("TIFF", "PPM"):
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


def test_parameters_out_of_range_are_refused(server, pngs):
    assert refused(server.predict(pngs[0], params={"top": 0}), 422, "invalid_parameter")
    answer = server.client.post("/explain", files={"file": pngs[0]}, params={"target": "seven"})
    assert "no class 'seven'" in refused(answer, 422, "unknown_class")


def test_unknown_paths_and_methods_are_refused(server):
    refused(server.client.get("/nowhere"), 404, "not_found")
    response = server.client.get("/predict")
    refused(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


def test_requests_keep_their_own_ids_if_they_are_sane(server):
    get = server.client.get
    assert get("/healthz", headers={"X-Request-ID": "a-1"}).headers["X-Request-ID"] == "a-1"
    for strange in ("", "a b", "x" * 200, "é"):
        answer = get("/healthz", headers={"X-Request-ID": strange.encode()})
        assert len(answer.headers["X-Request-ID"]) == 32


def test_log_lines_are_json_without_pictures_or_their_names(server, pngs):
    form = {"file": ("secret-name.png", pngs[0])}
    answer = server.client.post("/predict", files=form, headers={"X-Request-ID": "to-find"})
    assert answer.status_code == 200
    wait_until(lambda: "to-find" in server.log.read_text())
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "to-find"]
    assert set(line) == {
        *("time", "level", "event", "request_id", "method", "path", "status", "milliseconds")
    }
    assert "secret-name" not in server.log.read_text()


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
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
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


def test_without_the_token_nothing_of_the_model_is_told(guarded, pngs):
    url = f"http://127.0.0.1:{guarded.port}"
    with httpx.Client(base_url=url) as stranger:
        for path in ("/model", "/metrics", "/v2/models/digits"):
            refused(stranger.get(path), 401, "unauthorized")
        for path in ("/predict", "/explain", "/v2/models/digits/infer"):
            answer = stranger.post(path, files={"file": pngs[0]})
            refused(answer, 401, "unauthorized")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        wrong = {"Authorization": "Bearer " + TOKEN[:-1]}
        refused(stranger.get("/model", headers=wrong), 401, "unauthorized")
        for path in ("/", "/docs", "/healthz", "/readyz", "/v2", "/v2/models/digits/ready"):
            assert stranger.get(path).status_code == 200
    assert guarded.predict(pngs[0]).status_code == 200


def test_only_the_named_origin_may_call_from_a_browser(guarded, server):
    ask = {"Access-Control-Request-Method": "POST"}
    allowed = guarded.client.options("/predict", headers={"Origin": "https://a.example"} | ask)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://a.example"
    other = guarded.client.options("/predict", headers={"Origin": "https://b.example"} | ask)
    assert "Access-Control-Allow-Origin" not in other.headers
    plain = server.client.get("/healthz", headers={"Origin": "https://a.example"})
    assert "Access-Control-Allow-Origin" not in plain.headers


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
