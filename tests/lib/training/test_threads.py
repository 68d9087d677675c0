import pytest
import torch

from lib.data.dataset import load
from lib.training import threads
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from lib.training.threads import computing_with, multiply_adds, threads_for

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_cores():
    with computing_with(2):
        yield


def test_multiply_adds_are_those_of_the_layers():
    # a ResNet-18 at 224 pixels: 1.8e9 (He et al., 2016, table 1)
    assert multiply_adds(Recipe(model="resnet18"), 1000, 224) == pytest.approx(1.8e9, rel=0.02)
    narrow, wide = (multiply_adds(Recipe(width=width), 10, 32) for width in (16, 32))
    assert 3 < wide / narrow < 4  # four times as many, but for the layers at both ends


def test_a_small_network_computes_with_one_thread_and_a_large_one_with_all(tiny, quick):
    digits = load("digits", 16)
    assert threads_for(quick, tiny, CPU) == 1
    assert threads_for(Recipe(width=16, batch_size=32), digits, CPU) == 1
    assert threads_for(Recipe(width=64, batch_size=512), digits, CPU) == 2
    assert threads_for(quick, tiny, torch.device("cuda")) == 2  # there no thread waits


def test_stored_features_count_by_all_pictures_and_views():
    digits = load("digits", 16)
    head = Recipe(model="resnet18", strategy="head")
    stage = head.replace(strategy="last_stage", views=1, map_views=1)
    for once, often in ((head, {"views": 20}), (stage, {"map_views": 20})):
        assert threads_for(once, digits, CPU) == 1
        assert threads_for(once.replace(**often), digits, CPU) == 2
        assert threads_for(once.replace(image_size=64), digits, CPU) == 2


def test_pictures_count_only_as_far_as_there_are_any(tiny, monkeypatch):
    recipe = Recipe(width=8, batch_size=60_000)
    work = 96 * multiply_adds(recipe.replace(epochs=1), 3, 8)
    monkeypatch.setattr(threads, "SMALL", work + 1)
    assert threads_for(recipe, tiny, CPU) == 1
    monkeypatch.setattr(threads, "SMALL", work)
    assert threads_for(recipe, tiny, CPU) == 2


def test_a_run_records_its_threads_and_leaves_the_number_as_it_was(tiny, quick, tmp_path):
    run = fit(quick.replace(epochs=1), tiny, RunStore(tmp_path), "cpu")
    assert run.environment["threads"] == 1
    assert torch.get_num_threads() == 2
