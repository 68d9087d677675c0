"""What `auto` stands for, and that it is decided once."""

import json
from dataclasses import replace

import pytest
import torch

from lib.training import precision, sweep
from lib.training.loop import fit
from lib.training.precision import KEPT, choice, pictures_per_second, settled
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def every_network_counts(monkeypatch):
    monkeypatch.setattr(precision, "SMALL", 0)


@pytest.fixture
def auto(quick):
    return quick.replace(precision="auto", epochs=1)


@pytest.fixture
def figures():
    """A stand-in for the measurement: what it was asked, and bf16 twice as fast."""

    def measure(recipe, dataset):
        measure.asked.append((recipe, dataset))
        return {"fp32": 100.0, "bf16": 200.0}

    measure.asked = []
    return measure


def taken(jobs):
    return [recipe.precision for recipe, _ in jobs]


def test_the_fastest_is_taken_if_it_gains_enough():
    assert choice({"fp32": 100.0, "bf16": 121.0}) == "bf16"
    assert choice({"fp32": 100.0, "bf16": 119.0}) == "fp32"
    assert choice({"fp32": 100.0, "bf16": 20.0}) == "fp32"
    assert choice({"fp32": 100.0}) == "fp32"


def test_a_measurement_is_made_once_for_a_network_and_a_size(tiny, auto, tmp_path, figures):
    store = RunStore(tmp_path)
    seeds = [(auto.replace(seed=seed, epochs=2 + seed, lr=0.1), tiny) for seed in range(3)]
    assert taken(settled(seeds, store, CPU, figures)) == ["bf16"] * 3
    assert taken(settled(seeds, RunStore(tmp_path), CPU, figures)) == ["bf16"] * 3
    assert len(figures.asked) == 1
    others = [{"width": 12}, {"batch_size": 8}, {"image_size": 12}]
    settled([(auto.replace(**other), tiny) for other in others], store, CPU, figures)
    assert len(figures.asked) == 4
    kept = json.loads((tmp_path / KEPT).read_text())
    networks = kept["a cluster"]
    assert networks["small_cnn of width 8, 8 px, batches of 16"] == {"fp32": 100, "bf16": 200}


def test_strategies_that_are_compared_take_one_precision(tiny, tmp_path, figures):
    base = Recipe(model="resnet18", image_size=16, batch_size=16)
    changes = [{}, {"strategy": "last_stage", "map_views": 2}, {"strategy": "last_block"}]
    jobs = [(base.replace(**change), tiny) for change in changes]
    assert taken(settled(jobs, RunStore(tmp_path), CPU, figures)) == ["bf16"] * 3
    assert len(figures.asked) == 1


def test_a_precision_that_was_asked_for_stays(tiny, auto, tmp_path, figures):
    jobs = [(auto.replace(precision="fp32"), tiny), (auto.replace(precision="bf16"), tiny)]
    assert settled(jobs, RunStore(tmp_path), CPU, figures) == jobs
    assert not figures.asked
    assert not list(tmp_path.iterdir())


def test_a_small_network_and_a_head_on_features_take_fp32(
    tiny, auto, tmp_path, figures, monkeypatch
):
    head = Recipe(model="resnet18", strategy="head", image_size=16)
    assert taken(settled([(head, tiny)], RunStore(tmp_path), CPU, figures)) == ["fp32"]
    monkeypatch.setattr(precision, "SMALL", 1e9)
    assert taken(settled([(auto, tiny)], RunStore(tmp_path), CPU, figures)) == ["fp32"]
    assert not figures.asked


@pytest.mark.parametrize("seed", [0, 1])
def test_a_study_goes_on_with_what_it_began_with(tiny, auto, tmp_path, figures, seed):
    """A finished run decides, here a reference run, though this machine would choose another."""
    elsewhere = RunStore(tmp_path / "results")
    fit(auto.replace(precision="fp32"), tiny, elsewhere, "cpu")
    here = RunStore(tmp_path / "runs")
    asked = [(auto.replace(seed=seed), tiny)]
    assert taken(settled(asked, here, CPU, figures)) == ["fp32"]
    assert not figures.asked
    [run] = sweep.train([auto.replace(seed=seed)], tiny, here, "cpu")
    assert run.is_reference is (seed == 0)
    assert run.recipe.precision == "fp32"


def test_a_run_of_earlier_code_stands_as_it_is(tiny, auto, tmp_path, figures):
    store = RunStore(tmp_path)
    run = fit(auto.replace(precision="fp32"), tiny, store, "cpu")
    earlier = store.run(auto, tiny)
    (earlier.path / "summary.json").write_text((run.path / "summary.json").read_text())
    run.path.rename(tmp_path / "gone")
    assert taken(settled([(auto, tiny)], store, CPU, figures)) == ["auto"]
    assert fit(auto, tiny, store, "cpu") == earlier


def test_what_was_measured_here_comes_before_other_runs(tiny, auto, tmp_path, figures):
    store = RunStore(tmp_path)
    settled([(auto, tiny)], store, CPU, figures)
    for name in ("fp32", "bf16"):
        fit(auto.replace(precision=name), tiny, store, "cpu")
    assert taken(settled([(auto, tiny)], store, CPU, figures)) == ["bf16"]


def test_a_damaged_file_is_measured_anew(tiny, auto, tmp_path, figures):
    store = RunStore(tmp_path)
    network = '"small_cnn of width 8, 8 px, batches of 16"'
    for figure in ('"bf8": 9', '"fp32": "fast"', '"bf16": 9'):
        content = f'{{"a cluster": {{{network}: {{{figure}}}}}}}'
        for text in ("", "[]", content):
            (tmp_path / KEPT).write_text(text)
            assert taken(settled([(auto, tiny)], store, CPU, figures)) == ["bf16"]
    assert len(figures.asked) == 9


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(width=8, batch_size=16),
        Recipe(model="resnet18", strategy="last_stage", map_views=2, batch_size=16),
        Recipe(model="resnet18", weights="run:abc", batch_size=500),
        Recipe(model="resnet18", strategy="head", views=0, augmentation="none"),
    ],
)
def test_steps_are_timed_in_each_precision(tiny, recipe, monkeypatch):
    monkeypatch.setattr(precision, "precisions_of", lambda _: ["fp32", "bf16"])
    threads = torch.get_num_threads()
    found = pictures_per_second(recipe, tiny, CPU)
    assert list(found) == ["fp32", "bf16"]
    assert all(value > 0 for value in found.values())
    assert torch.get_num_threads() == threads


def test_fit_names_the_precision_of_a_run(tiny, auto, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "pictures_per_second", lambda *_, **__: {"fp32": 1, "bf16": 2})
    store = RunStore(tmp_path)
    run = fit(auto, tiny, store, "cpu")
    [machine] = json.loads((tmp_path / KEPT).read_text())
    assert torch.__version__ in machine
    assert run.recipe == auto.replace(precision="bf16")
    assert run.summary["precision"] == "bf16"
    few = replace(tiny, fingerprint="others")
    assert [run.recipe.precision for run in sweep.train([auto, auto], few, store)] == ["bf16"] * 2
