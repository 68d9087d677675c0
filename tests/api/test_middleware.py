"""Around every request."""

import torch
from fastapi.testclient import TestClient

from api.app import create_app
from lib.inference import Predictor
from tests.api.service import refused


def test_requests_keep_their_own_ids_if_they_are_sane(server):
    get = server.client.get
    assert get("/healthz", headers={"X-Request-ID": "a-1"}).headers["X-Request-ID"] == "a-1"
    for strange in ("", "a b", "x" * 200, "é"):
        answer = get("/healthz", headers={"X-Request-ID": strange.encode()})
        assert len(answer.headers["X-Request-ID"]) == 32


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
