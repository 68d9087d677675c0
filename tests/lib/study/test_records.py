"""A study's runs as small records that stand in for training."""

import numpy as np
import pytest

from lib.errors import UserError
from lib.inference.predictor import Predictor
from lib.study.records import keep, keep_bundle
from lib.training import loop
from lib.training.loop import fit
from lib.training.predictions import halved
from lib.training.pretraining import pretrained
from lib.training.recipe import Recipe
from lib.training.runs import RunStore


@pytest.fixture
def kept(several, tmp_path):
    _, runs = several
    runs[0].save_attacks(runs[0].history)
    everyone = {run.run_id for run in runs}
    return runs, keep(runs, tmp_path / "results" / "group", 200_000, everyone)


def test_a_kept_run_is_found_and_not_trained_again(several, kept, tiny, tmp_path, monkeypatch):
    runs, _ = kept
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained again"))
    here = RunStore(tmp_path / "runs")
    for run in runs:
        found = fit(run.recipe, tiny, here, "cpu")
        assert found.is_reference
        assert found.summary == run.summary
        for split in ("val", "test"):
            kept_there, whole = found.predictions(split), run.predictions(split)
            assert kept_there.ids.tolist() == whole.ids.tolist()
            assert kept_there.labels.tolist() == whole.labels.tolist()
            np.testing.assert_allclose(kept_there.logits, whole.logits, rtol=1e-3, atol=1 / 64)
            assert kept_there.logits.argmax(1).tolist() == whole.logits.argmax(1).tolist()
    assert found.attacks is None
    assert here.get(runs[0].run_id).attacks.equals(runs[0].attacks)


def test_small_weights_of_the_best_of_each_setting_are_kept(kept, tmp_path):
    runs, records = kept
    with_weights = {path.name for path in records if (path / "model.safetensors").exists()}
    best = [max(runs[i : i + 2], key=lambda run: run.summary["val_accuracy"]) for i in (0, 2)]
    assert len(with_weights) == 2  # those of the ResNet-18 take 45 MB
    for run in best:  # equal accuracies are told apart by their losses
        assert {r.run_id for r in runs if r.recipe.augmentation == run.recipe.augmentation} & (
            with_weights
        )


def test_weights_are_kept_of_runs_that_are_compared_alone(several, tmp_path):
    runs = several[1]
    records = keep(runs, tmp_path, 200_000, {runs[1].run_id})
    with_weights = [path.name for path in records if (path / "model.safetensors").exists()]
    assert with_weights == [runs[1].run_id]


def test_ids_are_stored_once_and_no_checkpoint_is(kept, tmp_path):
    _, records = kept
    assert len(list((tmp_path / "results" / "group").glob("ids-*.npz"))) == 1
    names = {file.name for record in records for file in record.iterdir()}
    assert names - {"attacks.csv", "model.safetensors"} == {
        "recipe.json",
        "dataset.json",
        "environment.json",
        "history.csv",
        "predictions.npz",
        "summary.json",
    }


def test_without_the_file_of_ids_it_is_one_line(kept, tmp_path):
    runs, _ = kept
    [shared] = (tmp_path / "results" / "group").glob("ids-*.npz")
    shared.unlink()
    with pytest.raises(UserError, match=r"predictions\.npz: cannot be read") as raised:
        RunStore(tmp_path / "runs").get(runs[0].run_id).predictions("test")
    assert "\n" not in str(raised.value)


def test_a_small_bundle_is_kept_whole_and_a_large_one_not_at_all(bundle, tmp_path):
    largest = max(path.stat().st_size for path in bundle.path.iterdir())
    assert not keep_bundle(bundle.path, tmp_path / "kept", largest - 1)
    assert not keep_bundle(tmp_path / "none", tmp_path / "kept", largest)
    assert not (tmp_path / "kept").exists()
    assert keep_bundle(bundle.path, tmp_path / "kept", largest)
    assert Predictor.load(tmp_path / "kept").classes == Predictor.load(bundle.path).classes


def test_half_precision_keeps_the_largest_logit():
    logits = np.float32(
        [[1, 10.0001, 10.0002], [3, 2, 1], [-8.0001, -8, -9], [2000.1, 2000.2, 0], [-0.001, 0, -1]]
    )
    assert halved(logits).argmax(1).tolist() == [2, 0, 1, 1, 1]
    assert halved(logits).dtype == np.float16
    np.testing.assert_allclose(halved(logits), logits, rtol=1e-3, atol=1 / 64)
    assert np.round(logits[0] * 128).argmax() == 1  # it would not by itself


def test_the_network_that_a_head_was_trained_on_is_kept_with_it(tiny, tmp_path):
    store = RunStore(tmp_path / "runs")
    base = Recipe(model="resnet18", epochs=1, batch_size=32, lr=0.01)
    [weights] = pretrained("rotation", tiny, store, base)
    head = fit(base.replace(strategy="head", weights=weights), tiny, store, "cpu")
    source = store.get(weights.removeprefix("run:"))
    keep([head, source], tmp_path / "results", 10**8, {head.run_id})
    assert RunStore(tmp_path / "elsewhere", tmp_path / "results").get(head.run_id).has_weights
