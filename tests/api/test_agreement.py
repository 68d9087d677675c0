"""One picture, one answer: the service, the command line, Streamlit, ONNX and PyTorch agree."""

import json
import subprocess
import sys

import onnxruntime
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.api.service import ROOT, encoded


def by_service(server, bundle, picture):
    (found,) = server.predict(picture.read_bytes()).json()["predictions"]
    return {entry["label"]: entry["probability"] for entry in found["probabilities"]}


def by_command(server, bundle, picture):
    command = [sys.executable, "-m", "lib.inference", str(picture)]
    command += ["--bundle", str(bundle), "--json", "--top", "10"]
    said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return json.loads(said.stdout)[0]["probabilities"]


def by_streamlit(server, bundle, picture):
    app = AppTest.from_file(ROOT / "api" / "streamlit_app.py", default_timeout=120).run()
    app.file_uploader[0].set_value((picture.name, picture.read_bytes(), "image/jpeg")).run()
    table = app.dataframe[0].value
    return dict(zip(table["class"], table["probability"], strict=True))


def by_onnx(server, bundle, picture):
    """With nothing of this project but the bundle: a picture of the right size needs no more."""
    pixels = torch.frombuffer(bytearray(Image.open(picture).tobytes()), dtype=torch.uint8)
    images = pixels.reshape(1, 16, 16, 3).permute(0, 3, 1, 2).numpy()
    network = onnxruntime.InferenceSession(bundle / "model.onnx")
    (row,) = network.run(["probabilities"], {"images": images})[0].tolist()
    return dict(zip(json.loads((bundle / "bundle.json").read_text())["classes"], row, strict=True))


@pytest.mark.parametrize("way", [by_service, by_command, by_streamlit, by_onnx])
def test_every_way_says_what_pytorch_says(
    server, bundle, digits, predictor, tmp_path, monkeypatch, way
):
    monkeypatch.setattr(sys, "argv", ["streamlit_app.py", "--bundle", str(bundle)])
    picture = tmp_path / "digit.jpg"
    digit = Image.fromarray(digits.test.images[3].permute(1, 2, 0).numpy())
    picture.write_bytes(encoded(digit, "JPEG", quality=95))
    model = predictor.bundle.load_model()
    with torch.inference_mode():
        logits = model(predictor.prepare(picture)[None] / 255)
    row = (logits / predictor.bundle.temperature).softmax(1)[0].tolist()
    expected = dict(zip(predictor.classes, row, strict=True))
    assert way(server, bundle, picture) == pytest.approx(expected, abs=1e-5)
