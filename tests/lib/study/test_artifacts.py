import dataclasses
import json

import numpy as np
import pytest

from lib.inference import Predictor
from lib.study import artifacts
from lib.study.artifacts import (
    accuracy_gain,
    candidates,
    costs,
    selection_sentence,
    standings,
    usage,
)
from lib.training.loop import fit
from lib.training.runs import Predictions, RunStore, best_of

NAMES = {"flip_crop": "small CNN, flip + crop", "none": "small CNN, no augmentation"}


@pytest.fixture(scope="module")
def runs(tiny, quick, tmp_path_factory):
    """Two seeds that learned, and one without augmentation as if it had learned little."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    recipes = (quick.replace(augmentation="none"), quick, quick.replace(seed=1))
    runs = [fit(recipe, tiny, store, "cpu") for recipe in recipes]
    path = runs[0].path
    summary = json.loads((path / "summary.json").read_text())
    summary |= {"val_accuracy": 0.4, "val_loss": 2.0}
    (path / "summary.json").write_text(json.dumps(summary))
    said = dict(np.load(path / "predictions.npz"))
    said["test_logits"][:15] = np.roll(said["test_logits"][:15], 1, axis=1)
    np.savez(path / "predictions.npz", **said)
    return [store.get(run.run_id) for run in runs]


@pytest.fixture(scope="module")
def short(tiny, quick, tmp_path_factory):
    """A run that was given less time than those."""
    recipe = quick.replace(augmentation="none", epochs=1, lr=1e-6)
    return fit(recipe, tiny, RunStore(tmp_path_factory.mktemp("runs")), "cpu")


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
    assert table["run_id"].tolist() == [run.run_id for run in competing.values()]


def test_a_gain_is_measured_on_the_same_pictures():
    generator = np.random.default_rng(0)
    hard = generator.random(4000) < 0.3  # nobody gets these right
    better, worse = ~hard, ~hard & (generator.random(4000) < 0.98)
    gap = accuracy_gain(Answering(better), Answering(worse)).difference
    difference = better.astype(float) - worse
    error = difference.std() / np.sqrt(4000)
    assert gap.value == pytest.approx(difference.mean())
    assert (gap.high - gap.low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    alike = accuracy_gain(Answering(better), Answering(better))
    assert not alike.clear
    assert alike.difference.value == 0
    assert alike.difference.high == -alike.difference.low < 0.002


def test_the_sentence_claims_only_a_significant_difference(runs, monkeypatch):
    competing = candidates(runs)
    sentence = selection_sentence(competing)
    assert sentence.startswith(f"Highest validation accuracy: {NAMES['flip_crop']}, ")
    gap = accuracy_gain(*competing.values()).difference
    assert f"{100 * gap.value:.1f} percentage points (" in sentence
    assert sentence.endswith(f" higher than that of the second-best model, {NAMES['none']}.")
    back = dict(reversed(competing.items()))
    lower = f"lower than that of the second-best model, {NAMES['flip_crop']}."
    assert selection_sentence(back).endswith(lower)
    even = {"this": runs[1], "that": runs[1]}
    equal = "not significantly different from the second-best model, that (difference"
    assert equal in selection_sentence(even)
    assert "second-best" not in selection_sentence({"alone": runs[1]})


def test_no_lead_is_stated_over_a_model_that_learned_for_less_time(runs, short):
    competing = candidates([*runs[1:], short])
    assert list(competing) == [f"{NAMES['flip_crop']} (96 × 6)", f"{NAMES['none']} (96 × 1)"]
    sentence = selection_sentence(competing)
    assert "higher than" not in sentence
    assert sentence.endswith(
        f"The second-best model, {NAMES['none']} (96 × 1), differs by "
        f"{sentence.partition('differs by ')[2].partition(', and it')[0]}, and it learned from 96 "
        "pictures in 1 epoch instead of 96 in 6: the difference is not that of the settings alone."
    )
    table = standings(competing)
    assert table["epochs"].tolist() == [6, 1]
    assert table["training_pictures"].tolist() == [96, 96]


def test_the_bundle_agrees_with_its_run_in_words(bundle, run, tiny):
    predictor = Predictor.load(bundle.path, "cpu")
    sentence = artifacts.agreement_sentence(predictor, run, tiny.test)
    assert "for 30 of 30 test pictures" in sentence
    assert float(sentence.rpartition(" ")[2].rstrip(".")) < 1e-4
    turned = dataclasses.replace(tiny.test, images=255 - tiny.test.images)
    assert "for 30 of 30" not in artifacts.agreement_sentence(predictor, run, turned)


def test_the_bundles_files_come_with_their_sizes(bundle):
    table = artifacts.contents(bundle).set_index("file")
    assert set(table.index) == {path.name for path in bundle.path.iterdir()}
    weights = (bundle.path / "model.safetensors").stat().st_size
    assert table["size"]["model.safetensors"] == f"{weights / 1000:.1f}\N{NO-BREAK SPACE}kB"


def test_costs_are_measured(bundle, tiny):
    predictor = Predictor.load(bundle.path, "cpu")
    table = costs(predictor, tiny.test.images, batch=40, repeats=2).set_index("measure")["value"]
    assert table["Parameters"] == f"{bundle.training['parameters']:,} (small CNN)"
    assert float(table["Latency, batch of 1"].split()[0]) > 0
    assert table["Latency per picture, batch of 40"].endswith(" per second)")


def test_a_time_is_the_median_after_a_first_that_does_not_count(monkeypatch):
    clock = iter([0, 99, 100, 101, 200, 203, 300, 302])
    monkeypatch.setattr(artifacts.time, "perf_counter", lambda: next(clock))

    class Predictor:
        def probabilities(self, images):
            assert images == "pictures"

    assert artifacts.median_seconds(Predictor(), "pictures", repeats=3) == 2


@pytest.mark.parametrize(
    ("folder", "word", "string"),
    [
        ("models/demo", "--bundle models/demo", '"models/demo"'),
        ("/home/somebody/models/demo", "--bundle models/demo", '"models/demo"'),
        ("my models/x", "--bundle 'my models/x'", '"my models/x"'),
        ("-x", "--bundle ./-x", '"./-x"'),
        ("{{< env HOME >}}", "{{''< env", "{{\\u003c env"),
    ],
)
def test_the_commands_name_the_bundle(folder, word, string):
    text = usage(folder).data
    assert text.count(word) >= 4
    assert string in text
