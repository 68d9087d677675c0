import dataclasses

import numpy as np
import pytest

from lib.inference import Predictor
from lib.study import artifacts
from lib.study.artifacts import candidates, costs, lead, standings, winner_sentence
from lib.training.loop import fit
from lib.training.runs import Predictions, RunStore, best_of

NAMES = {"flip_crop": "small CNN, flip + crop", "none": "small CNN, none"}


@pytest.fixture(scope="module")
def runs(tiny, quick, tmp_path_factory):
    """Two seeds that learned, and one without augmentation that was given no time to."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    hasty = quick.replace(augmentation="none", epochs=1, lr=1e-6)
    return [fit(recipe, tiny, store, "cpu") for recipe in (hasty, quick, quick.replace(seed=1))]


class Answering:
    """A run of which only its test predictions matter: right where `right` says so."""

    def __init__(self, right):
        self.right = np.asarray(right)

    def predictions(self, split):
        assert split == "test"
        labels = np.zeros(len(self.right), int)
        logits = np.stack([self.right, ~self.right], axis=1).astype(np.float32)
        return Predictions(labels.astype(str), labels, logits)


def test_the_best_of_each_setting_competes_and_val_decides(runs):
    competing = candidates(runs)
    assert list(competing) == [NAMES["flip_crop"], NAMES["none"]]
    assert competing[NAMES["flip_crop"]] == best_of(runs[1:]) == best_of(runs)
    assert candidates(reversed(runs)) == competing
    table = standings(competing)
    assert table["candidate"].tolist() == list(competing)
    assert table["val_accuracy"].is_monotonic_decreasing
    assert table["page"].tolist() == [f"runs.html#run={r.run_id}" for r in competing.values()]


def test_a_lead_is_measured_on_the_same_pictures():
    generator = np.random.default_rng(0)
    hard = generator.random(4000) < 0.3  # nobody gets these right
    better, worse = ~hard, ~hard & (generator.random(4000) < 0.98)
    gap = lead(Answering(better), Answering(worse))
    difference = better.astype(float) - worse
    error = difference.std() / np.sqrt(4000)
    assert gap.value == pytest.approx(difference.mean())
    assert (gap.high - gap.low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    alike = lead(Answering(better), Answering(better))
    assert (alike.low, alike.value, alike.high) == (0, 0, 0)


def test_the_sentence_claims_a_lead_only_beyond_noise(runs, monkeypatch):
    competing = candidates(runs)
    said = winner_sentence(competing)
    assert said.startswith("Best on validation, with ")
    gap = lead(*competing.values())
    assert f"{100 * gap.value:.1f} points (" in said
    assert said.endswith(f" more than the runner-up, {NAMES['none']}.")
    back = dict(reversed(competing.items()))
    assert f"less than the runner-up, {NAMES['flip_crop']}." in winner_sentence(back)
    even = {"this": runs[1], "that": runs[1]}
    assert "not clearly more or less than the runner-up, that (" in winner_sentence(even)
    assert "runner-up" not in winner_sentence({"alone": runs[1]})


def test_the_bundle_agrees_with_its_run_in_words(bundle, run, tiny):
    predictor = Predictor.load(bundle.path, "cpu")
    said = artifacts.agreement_sentence(predictor, run, tiny.test)
    assert "for 30 of 30 test pictures" in said
    assert float(said.rpartition(" ")[2].rstrip(".")) < 1e-4
    turned = dataclasses.replace(tiny.test, images=255 - tiny.test.images)
    assert "for 30 of 30" not in artifacts.agreement_sentence(predictor, run, turned)


def test_the_bundles_files_come_with_their_sizes(bundle):
    table = artifacts.contents(bundle).set_index("file")
    assert set(table.index) == {path.name for path in bundle.path.iterdir()}
    weights = (bundle.path / "model.safetensors").stat().st_size
    assert table["size"]["model.safetensors"] == f"{weights / 1000:.1f}\N{NO-BREAK SPACE}kB"


def test_costs_are_measured(bundle, tiny):
    predictor = Predictor.load(bundle.path, "cpu")
    table = costs(predictor, tiny.test.images, batch=40, repeats=2).set_index("what")["cost"]
    assert table["Parameters"] == f"{bundle.training['parameters']:,} (small CNN)"
    assert float(table["One picture"].split()[0]) > 0
    assert table["40 pictures at once"].endswith(" a second")


def test_a_time_is_the_median_after_a_first_that_does_not_count(monkeypatch):
    clock = iter([0, 99, 100, 101, 200, 203, 300, 302])
    monkeypatch.setattr(artifacts.time, "perf_counter", lambda: next(clock))

    class Predictor:
        def probabilities(self, images):
            assert images == "pictures"

    assert artifacts.median_seconds(Predictor(), "pictures", repeats=3) == 2
