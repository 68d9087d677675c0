import dataclasses
import json
import re

import numpy as np
import pytest

from lib.inference import Predictor
from lib.study import artifacts
from lib.study.artifacts import (
    costs,
    lead,
    packed_sentence,
    selection_sentence,
    standings,
    usage,
)
from lib.study.ranking import recipes
from lib.study.selection import candidates
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from tests.lib.study.made_up import MadeUp, right

CROPPED = Recipe(augmentation="flip_crop")
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


def test_the_best_of_each_setting_competes_and_val_decides(runs):
    competing = candidates(runs)
    assert list(competing) == [NAMES["flip_crop"], NAMES["none"]]
    assert competing[NAMES["flip_crop"]] == recipes(runs[1:])[0]
    assert candidates(reversed(runs)) == competing
    table = standings(competing)
    assert table["candidate"].tolist() == list(competing)
    assert table["val_accuracy"].is_monotonic_decreasing
    assert table["seeds"].tolist() == [2, 1]
    assert table["run_id"].tolist() == [group[0].run_id for group in competing.values()]


def made_up(test, seeds=5, recipe=CROPPED, spread=0, **facts):
    """A recipe's runs: right on so many of 1,000 test pictures, a few other ones for each seed."""
    runs = []
    for seed in range(seeds):
        chosen = np.random.default_rng(seed).permutation(test + spread)[:test]
        correct = np.isin(np.arange(1000), chosen)
        runs.append(MadeUp(right(90), correct, recipe.replace(seed=seed), **facts))
    return runs


def test_a_lead_is_measured_on_the_same_pictures():
    gap = lead(made_up(900, seeds=1), made_up(880, seeds=1))
    assert gap.value == pytest.approx(0.02)
    assert 0.01 < gap.low < gap.high < 0.035  # unpaired it would reach from -0.8 to 4.8 points
    over_seeds = lead(made_up(900, spread=20), made_up(880, spread=20))
    assert over_seeds.value == pytest.approx(0.02)
    assert 0 < over_seeds.low < over_seeds.high < 0.04


def test_the_sentence_claims_only_a_significant_difference():
    good, bad = made_up(950, spread=20), made_up(900, spread=20)
    sentence = selection_sentence({"this": good, "that": bad})
    assert sentence.startswith(
        "Highest mean validation accuracy: this, 90.0\N{NO-BREAK SPACE}% over 5 seeds. Its mean "
        "test accuracy is 95.0"
    )
    assert ", 5.0 percentage points (" in sentence
    assert sentence.endswith(" higher than that of the second-best model, that.")
    assert "lower than that of the second" in selection_sentence({"that": bad, "this": good})
    equal = "not significantly different from the second-best model, twin (difference"
    assert equal in selection_sentence({"this": good, "twin": made_up(949, spread=20)})
    assert "second-best" not in selection_sentence({"alone": good})
    assert selection_sentence({"alone": good[:1]}).startswith("Highest validation accuracy: alone,")


def test_a_recipe_seldom_leads_over_itself():
    """Of 300 studies in which one recipe has two names, at most 5 % state a lead."""
    generator = np.random.default_rng(0)
    claims = 0
    for _ in range(300):
        ease = generator.beta(9, 1, 400)  # of each picture
        named = {
            name: [
                MadeUp(right(90), generator.random(400) < ease, CROPPED.replace(seed=seed))
                for seed in range(5)
            ]
            for name in ("this", "that")
        }
        sentence = selection_sentence(named)
        claims += "higher than" in sentence or "lower than" in sentence
    assert claims / 300 <= 0.05 + 0.025


def test_which_seed_is_packed_is_said():
    group = made_up(950, spread=20)
    assert packed_sentence(group).startswith("Packed is the seed with the highest validation")
    assert "with one seed; how much the result varies is not known" in packed_sentence(group[:1])


def test_no_lead_is_stated_over_a_model_that_learned_for_less_time():
    many = made_up(900, recipe=CROPPED.replace(epochs=5), pictures=45_000)
    few = made_up(300, recipe=CROPPED.replace(epochs=3, augmentation="none"), pictures=1000)
    sentence = selection_sentence({"the one": many, "the other": few})
    assert "higher than" not in sentence
    assert re.search(
        r"The second-best model, the other, differs by \+5.* to \+6.* percentage points, and it "
        r"learned from 1,000 pictures in 3 epochs instead of 45,000 in 5: the difference is not "
        r"that of the settings alone\.",
        sentence,
    )
    table = standings({"the one": many, "the other": few})
    assert table["epochs"].tolist() == [5, 3]
    assert table["training_pictures"].tolist() == [45_000, 1000]


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
