import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from lib import progress
from lib.embeddings import store as module
from lib.embeddings.engines import Engine
from lib.embeddings.store import EmbeddingStore, backbone_key, digests
from lib.errors import UserError
from lib.training.network import build
from lib.training.recipe import Recipe

GREY = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def model():
    return build(Recipe(model="resnet18"), 3, GREY, GREY).eval()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (30, 3, 8, 8), dtype=torch.uint8, generator=generator)


@pytest.fixture
def computed(monkeypatch):
    """How many pictures went through the network, call by call."""
    sizes, made = [], module.by_pytorch

    def counting(model):
        engine = made(model)

        def compute(images):
            sizes.append(len(images))
            return engine.compute(images)

        return Engine(engine.runtime, engine.precision, compute)

    monkeypatch.setattr(module, "by_pytorch", counting)
    return sizes


def test_features_are_those_of_a_forward_pass_and_computed_once(model, images, tmp_path, computed):
    store = EmbeddingStore(tmp_path)
    with torch.inference_mode():
        expected = model.features(images / 255)
    torch.testing.assert_close(store.embed(model, images).features, expected, atol=1e-4, rtol=1e-4)
    assert computed == [30]
    order = torch.tensor([4, 4, 29, 0])
    found = EmbeddingStore(tmp_path).embed(model, images[order]).features
    torch.testing.assert_close(found, expected[order], atol=1e-4, rtol=1e-4)
    assert computed == [30]


def test_only_new_pictures_are_computed_and_equal_ones_once(model, images, tmp_path, computed):
    store = EmbeddingStore(tmp_path)
    store.embed(model, images[:10])
    store.embed(model, torch.cat([images[5:], images[5:]]))
    assert computed == [10, 20]


def test_what_keeping_has_saved_is_told_less_the_wait_for_others(
    model, images, tmp_path, monkeypatch
):
    clock = [0]
    engine = module.by_pytorch(model)

    def compute(images):
        clock[0] += len(images)
        return engine.compute(images)

    @contextmanager
    def locked_by_others_at_first(path):
        clock[0] += 4
        yield

    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(module, "by_pytorch", lambda model: Engine("slow", "fp32", compute))
    store = EmbeddingStore(tmp_path)
    assert store.embed(model, images).seconds_saved == 0
    assert store.embed(model, images[:15]).seconds_saved == 15
    monkeypatch.setattr(module, "locked", locked_by_others_at_first)
    assert store.embed(model, torch.cat([images, images])).seconds_saved == 30 - 4
    assert store.embed(model, 255 - images).seconds_saved == -4


def test_what_was_computed_before_an_interruption_is_found_again(
    model, images, tmp_path, monkeypatch, computed
):
    monkeypatch.setattr(module, "CHUNK", 8)
    counting, calls = module.by_pytorch, []

    def interrupted(model):
        engine = counting(model)

        def compute(images):
            calls.append(len(images))
            if len(calls) == 3:
                raise KeyboardInterrupt
            return engine.compute(images)

        return Engine("PyTorch", "fp32", compute)

    monkeypatch.setattr(module, "by_pytorch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        EmbeddingStore(tmp_path).embed(model, images)
    assert computed == [8, 8]
    found = EmbeddingStore(tmp_path).embed(model, images).features
    assert computed == [8, 8, 8, 6]
    with torch.inference_mode():
        torch.testing.assert_close(found, model.features(images / 255), atol=1e-4, rtol=1e-4)


def test_a_damaged_file_is_made_again(model, images, tmp_path, computed):
    expected = EmbeddingStore(tmp_path).embed(model, images).features
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    assert EmbeddingStore(tmp_path).embed(model, images).features.equal(expected)
    assert computed == [30, 30]


def test_another_backbone_or_size_has_other_features(model, images):
    keys = {
        backbone_key(model, 8),
        backbone_key(model, 16),
        backbone_key(build(Recipe(model="resnet18", seed=1), 3, GREY, GREY), 8),
        backbone_key(build(Recipe(model="resnet18", image_size=16), 3, GREY, (0.2,) * 3), 8),
    }
    assert len(keys) == 4
    other_head = build(Recipe(model="resnet18"), 7, GREY, GREY)
    assert backbone_key(other_head, 8) == backbone_key(model, 8)  # of the same seed
    resized = build(Recipe(model="resnet18", image_size=16), 3, GREY, GREY)
    smoother = build(Recipe(model="resnet18", image_size=16), 3, GREY, GREY)
    smoother.interpolation = "bicubic"
    assert backbone_key(resized, 8) != backbone_key(smoother, 8)
    assert backbone_key(resized, 16) == backbone_key(smoother, 16)  # nothing is resized


def test_pictures_are_named_by_their_pixels(images):
    assert len(set(digests(images))) == 30
    assert digests(images.to(memory_format=torch.channels_last)) == digests(images)


def test_the_fastest_engine_is_chosen_once_where_there_are_many_pictures(
    model, images, tmp_path, monkeypatch
):
    tried = []

    def rates(candidates, some):
        tried.append(len(candidates))
        return {one: float(one.precision == "bf16") for one in candidates}

    monkeypatch.setattr(module, "rates", rates)
    monkeypatch.setattr(module, "WORTH_A_TRIAL", 20)
    store = EmbeddingStore(tmp_path)
    store.embed(model, images[:25])
    store.embed(model, images)
    assert tried == [3]
    (file,) = tmp_path.rglob("engine.json")
    assert json.loads(file.read_text())["engine"] == "PyTorch, bf16"


def test_progress_says_how_far_it_is_and_how_long_it_takes(model, images, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 12)
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "events"))
    EmbeddingStore(tmp_path / "kept").embed(model, images)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [(one["done"], one["pictures"]) for one in events] == [(12, 30), (24, 30), (30, 30)]
    assert events[-1]["left"] == 0
    assert events[0]["left"] > 0
    assert events[0]["engine"] == "PyTorch, fp32"


def test_a_folder_that_cannot_be_made_is_one_line(model, images, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*taken"):
        EmbeddingStore(tmp_path / "taken").embed(model, images)


def test_features_are_on_the_cpu_in_single_precision(model, images, tmp_path):
    found = EmbeddingStore(tmp_path).embed(model, images).features
    assert found.dtype == torch.float32
    assert found.shape == (30, 512)
    assert np.isfinite(found.numpy()).all()
