"""Every path of the service, requested by real clients from a real process."""

import json
import subprocess
from io import BytesIO

import httpx
import pytest
from PIL import Image

from tests.api.service import TOKEN, refused


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
