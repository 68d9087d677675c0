import numpy as np
import pytest
import torch

from lib.embeddings import engines
from lib.embeddings.engines import Engine
from lib.training.network import build
from lib.training.recipe import Recipe

GREY = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module", params=["resnet18", "efficientnet_lite0"])
def model(request):
    return build(Recipe(model=request.param, image_size=48), 3, GREY, GREY).eval()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (70, 3, 16, 16), dtype=torch.uint8, generator=generator)


def test_every_engine_gives_the_features_of_a_forward_pass(model, images):
    with torch.inference_mode():
        expected = model.features(images / 255).numpy()
    found = engines.engines(model, images)
    assert [str(one) for one in found] == ["PyTorch, fp32", "PyTorch, bf16", "ONNX Runtime, fp32"]
    largest = np.abs(expected).max()
    for one, tolerance in zip(found, (1e-4, 0.05, 1e-4), strict=True):
        features = one.compute(images)
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, expected, atol=tolerance * largest, rtol=0)


def made_up(name, seconds, values, clock):
    def compute(images):
        clock[0] += seconds * len(images)
        return np.full((len(images), 4), values, dtype=np.float32)

    return Engine(name, "fp32", compute)


def test_an_engine_that_disagrees_is_left_out_however_fast(images, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(engines.time, "perf_counter", lambda: clock[0])
    candidates = [
        made_up("first", 0.02, 1.0, clock),
        made_up("fast", 0.01, 1.0, clock),
        made_up("wrong", 0.001, 1.01, clock),
    ]
    found = engines.rates(candidates, images)
    assert {one.runtime: rate for one, rate in found.items()} == pytest.approx(
        {"first": 50, "fast": 100}
    )


def test_computing_features_leaves_the_models_modes(images):
    model = build(Recipe(model="resnet18", strategy="last_block"), 3, GREY, GREY).train()
    before = [module.training for module in model.modules()]
    engines.by_pytorch(model).compute(images[:2])
    assert [module.training for module in model.modules()] == before
