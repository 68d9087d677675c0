"""Every benchmark starts, and those of training come to their table, on a dataset of 96 pictures.

What they measure is for the people who run them; nothing here is timed.
"""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import benchmarks
from benchmarks import (
    _airbench94,
    _airbench94_muon,
    folders,
    ideas,
    many_runs,
    scaling,
    time_to_accuracy,
    training,
    transfer,
)
from lib.training import network
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

NAMES = sorted(path.stem for path in Path(benchmarks.__file__).parent.glob("[!_]*.py"))
PEERS = ("litserve",)  # what only a benchmark needs


@pytest.fixture
def printed(monkeypatch, capsys, tiny):
    """Runs a benchmark's command on the tiny dataset; returns the lines that it printed."""

    def printed(module, *arguments):
        monkeypatch.setattr(module, "load", lambda *_, **__: tiny)
        monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
        module.main()
        return capsys.readouterr().out.splitlines()

    return printed


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_says_how_it_is_used(name, monkeypatch, capsys):
    try:
        module = importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name not in PEERS:
            raise
        pytest.skip(f"{error.name} is not installed: pip install '.[benchmarks]'")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit, match="0"):
        module.main()
    assert module.__doc__.splitlines()[0] in " ".join(capsys.readouterr().out.split())


def test_time_to_accuracy_tells_a_reached_target_from_another(printed, monkeypatch, quick):
    recipe = quick.replace(test_flip=True)
    monkeypatch.setattr(time_to_accuracy, "TARGETS", {50: recipe, 101: recipe})
    lines = printed(time_to_accuracy, "--targets", "50", "101", "--peer", "--seeds", "2")
    assert lines[-3].split()[-1] == "yes"
    assert lines[-2].split()[-1] == "no"
    assert lines[-1].split()[0] == "airbench94_muon"


def test_airbench94_muon_begins_with_small_logits():
    """They are divided by the number of features; with larger ones it diverges on CIFAR-10."""
    torch.manual_seed(0)
    model = _airbench94_muon.network(10, (0.5,) * 3, (0.25,) * 3)
    assert model(torch.rand(64, 3, 32, 32)).abs().max() < 1


def test_airbench94_muon_learns(tiny, monkeypatch):
    monkeypatch.setattr(_airbench94_muon, "BATCH", 32)
    figures = _airbench94_muon.Airbench94Muon(8, "fp32").train(tiny, seed=3)
    assert min(figures[field] for field in time_to_accuracy.FIELDS.values()) > 0.8


def test_six_views_of_a_model_that_sees_one_pixel():
    images = torch.arange(9, dtype=torch.uint8).view(1, 1, 3, 3).expand(1, 3, 3, 3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(27, 1, bias=False))
    nn.init.zeros_(model[1].weight)
    model[1].weight.data[0, 0] = 255.0  # the corner at the top left: 0; mirrored 2
    [[logit]] = _airbench94_muon.six_view_logits(model, images)
    up_left, down_right = (4 + 4) / 2, (4 + 4) / 2  # the reflected neighbours of both corners
    assert logit == pytest.approx((0 + 2) / 2 / 2 + (up_left + down_right) / 4)


@pytest.mark.parametrize(("val", "test", "reached"), [(0.95, 0.85, "yes"), (0.85, 0.95, "no")])
def test_validation_alone_tells_whether_a_target_is_reached(val, test, reached):
    summary = dict.fromkeys(time_to_accuracy.FIELDS.values(), test) | {"val_accuracy": val}
    summary["seconds"] = 9
    row = time_to_accuracy.row(90, 1.0, [summary, summary])
    assert row["reached"] == reached


def test_validation_alone_tells_whether_an_idea_pays():
    def runs(val, test):
        return [
            SimpleNamespace(summary={"val_accuracy": val + noise, "test_accuracy": test + noise})
            for noise in (-0.001, 0, 0.001)
        ]

    without = "no label smoothing"
    table = ideas.table({ideas.RECIPE: runs(0.9, 0.7), without: runs(0.8, 0.9)})
    assert table.set_index("variant").loc[without, "difference"].startswith("-10.0%")


def test_ideas_hold_each_variant_against_what_it_belongs_to(printed, tmp_path):
    lines = printed(ideas, "--epochs", "1", "--seeds", "2", "--runs", str(tmp_path))
    for name, (against, _) in ideas.VARIANTS.items():
        line = next(line for line in lines if line.strip().startswith(f"{name} "))
        assert (" to " in line) is bool(against)
    assert lines[-1].startswith("the recipe with flip test-time averaging")


def test_training_gives_every_contender_its_row(printed):
    lines = printed(training, "--seconds", "0.1")
    for contender in ("ours", "plain loop", "airbench94"):
        assert sum(line.strip().startswith(contender) for line in lines) == 2  # run, table


def test_lookahead_returns_to_the_average_every_five_steps():
    model = network.build(Recipe(width=4), 3, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    weight = model.head[0].weight
    start = weight.clone()
    lookahead = _airbench94.Lookahead(model, steps=12)
    for step in range(1, 13):
        with torch.no_grad():
            weight += 1.0
        before = weight.clone()
        lookahead.step()
        assert torch.equal(before, weight) == (step not in (5, 10, 12))
    average, now = 0.0, 0.0
    for step, steps in ((5, 5), (10, 5), (12, 2)):
        kept = 0.95**5 * (step / 12) ** 3
        now += steps
        average = now = kept * average + (1 - kept) * now
    torch.testing.assert_close(weight, start + now)


def test_alternating_flips_show_both_sides_of_every_picture_in_two_epochs(tiny):
    def epoch(number):  # the same seed crops and shuffles the same way: only flips differ
        generator = torch.Generator().manual_seed(0)
        return torch.cat([x for x, _ in _airbench94.alternating(tiny, number, 4, generator, 0)])

    first, second, third = map(epoch, range(3))
    assert torch.equal(first, third)
    assert not (first == second).flatten(1).all(1).any()


def test_transfer_embeds_by_every_way_and_all_agree(printed):
    options = ("--dataset", "digits", "--pictures", "20", "--size", "32", "--rounds", "1")
    lines = printed(transfer, *options)
    ways = ["torchvision, DataLoader, timm, fp32", "PyTorch, fp32", "PyTorch, bf16", "ONNX Runtime"]
    rows = [line.strip() for line in lines[-4:]]
    assert all(row.startswith(way) for row, way in zip(rows, ways, strict=True))
    differences = [float(row.split()[-1]) for row in rows]
    assert differences[0] == 0
    assert max(differences[1], differences[3]) < 1e-3


def test_scaling_measures_a_row(monkeypatch, tiny):
    monkeypatch.setattr(scaling, "load", lambda *_, **__: tiny)
    row = scaling.measure("tiny", "fp32", pictures=96, width=4)
    assert (row["pictures"], row["width"]) == (96, 4)
    assert row["ms a picture"] == pytest.approx(1000 * row["seconds an epoch"] / 96)
    assert row["peak memory MiB"] > 100


def test_every_step_with_a_folder_finds_all_of_its_pictures(tmp_path):
    pictures = tmp_path / "pictures"
    folders.write_pictures(pictures, pictures=96, classes=4)
    assert len({path.stat().st_ino for path in pictures.glob("*/*.png")}) == 4 * folders.DISTINCT
    for step in folders.STEPS.values():
        found = folders.timed(step, pictures, tmp_path / "data")
        assert found["pictures"] == 96
        assert found["pictures/s"] == pytest.approx(96 / found["seconds"])


def test_memory_is_that_of_a_process_and_its_workers():
    worker = "import time; held = bytearray(b'x') * 2**27; time.sleep(1)"
    code = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}]); print('{{}}')"
    )
    found = folders.measure(["-c", code])
    assert 128 < found["held MiB"] < 200
    assert found["held MiB"] < found["resident MiB"]


def test_copies_of_runs_are_runs_of_their_own(tmp_path, monkeypatch, quick):
    monkeypatch.setattr(many_runs, "RECIPES", (quick, quick.replace(augmentation="none")))
    store = many_runs.write_copies(tmp_path, 7)
    assert len({run.recipe.digest() for run in store.finished()}) == 7
    references = RunStore(tmp_path / "none", store.root)  # which their ids must fit
    assert len(references.finished()) == 7
    rows = list(many_runs.of_library(tmp_path, store, repeats=1))
    assert len(rows) == 5
    assert len(list((tmp_path / "data" / "history").iterdir())) == 7
