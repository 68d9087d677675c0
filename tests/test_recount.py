"""The formulas of `tests/recount.py`, which share nothing with `lib`, agree with `lib`'s."""

import math

import numpy as np
import pytest

from lib import intervals
from lib.diagnosis import calibration, mistakes, selective
from lib.pages import claims
from tests import recount
from tests.imports import PROJECT

CASES = [(0, 10), (10, 10), (1, 3), (913, 1000), (359, 359)]


def test_it_knows_nothing_of_the_library():
    text = (PROJECT / "tests" / "recount.py").read_text(encoding="utf-8")
    assert not [line for line in text.splitlines() if line.startswith(("from lib", "import lib"))]


@pytest.mark.parametrize(("correct", "total"), CASES)
def test_wilson(correct, total):
    ours = intervals.accuracy_interval(correct, total)
    expected = (ours.value, ours.low, ours.high)
    assert recount.wilson(correct, total) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shares", [(0.9, 0.8), (0.99, 0.98), (0.6, 0.9), (1.0, 0.95), (1.0, 1.0)])
def test_tango_and_mcnemar(shares):
    generator = np.random.default_rng(0)
    first, second = (generator.random(300) < share for share in shares)
    ours = intervals.paired_accuracies(first, second)
    expected = (ours.difference.value, ours.difference.low, ours.difference.high)
    assert recount.tango(first, second) == pytest.approx(expected, abs=1e-5)
    assert recount.mcnemar(first, second) == pytest.approx(ours.p)


class Predicted:
    """A run's predictions without a record."""

    def __init__(self, pictures=400, seed=0):
        generator = np.random.default_rng(seed)
        self._labels = {split: generator.integers(0, 4, pictures) for split in ("val", "test")}
        self._logits = {
            split: generator.normal(0, 1.5, (pictures, 4)) + 2 * np.eye(4)[labels]
            for split, labels in self._labels.items()
        }
        self.dataset = {"classes": ["a", "b", "c", "d"]}
        self.id = "made-up"

    def logits(self, split):
        return self._logits[split]

    def labels(self, split):
        return self._labels[split]

    def correct(self, split="test"):
        return self._logits[split].argmax(1) == self._labels[split]

    predicted = recount.Run.predicted
    counts = recount.Run.counts


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_the_accuracy_of_a_recipe(seeds):
    runs = [Predicted(seed=seed) for seed in range(seeds)]
    ours = intervals.recipe_accuracy([run.correct() for run in runs])
    expected = (ours.value, ours.low, ours.high)
    assert recount.recipe_accuracy(runs) == pytest.approx(expected, abs=1e-9)


def test_calibration():
    run = Predicted()
    ours = calibration.calibrate(*(f(s) for s in ("val", "test") for f in (run.logits, run.labels)))
    own = recount.Calibration(run)
    assert own.temperature == pytest.approx(ours.temperature, rel=1e-5)
    names = {"ece": "ece", "equal_mass_ece": "equal mass", "classwise_ece": "class-wise"}
    for name in calibration.NAMES:
        for scaling in ("before", "after"):
            value, low, high, error = own.measure(names.get(name, name), scaling)
            expected = ours.metric(name, scaling)
            assert value == pytest.approx(expected.value, abs=1e-6)
            within = recount.ERRORS * error
            assert (low, high) == pytest.approx((expected.low, expected.high), abs=within)
    confidence = calibration.softmax(run.logits("test"), ours.temperature).max(1)
    assert 1 - own.kept().mean() == pytest.approx(selective.aurc(confidence, run.correct()))
    mean, error, high, _ = own.chance
    assert mean == pytest.approx(ours.reference.mean, abs=recount.ERRORS * error)
    assert high == pytest.approx(ours.reference.high, abs=2.2 * recount.ERRORS * error)


def test_confused_pairs():
    run = Predicted(seed=3)
    classes = run.dataset["classes"]
    ours = mistakes.most_confused(run.labels("test"), run.predicted(), classes)
    found = recount.confused(run)
    assert [(classes[a], classes[b]) for _, a, b, *_ in found] == list(
        zip(ours["class_a"], ours["class_b"], strict=True)
    )
    assert [pair[0] for pair in found] == list(ours["errors"])
    assert recount.stands_out(found) == claims.stands_out(ours)


@pytest.mark.parametrize(
    ("printed", "value", "agrees"),
    [
        ("98.9 %", 98.86, True),
        ("98.9 %", 98.80, False),
        ("1,079", 1079, True),
        ("1,078", 1079, False),
        ("", math.nan, True),
        ("", 1.0, False),
    ],
)
def test_a_number_agrees_to_its_last_digit(printed, value, agrees):
    check = recount.Comparison()
    check.number("a place", printed, value)
    assert (not check.wrong) == agrees


def test_what_is_not_found_is_a_disagreement():
    check = recount.Comparison()
    with recount._lookups(check):
        {}["strategies"]
    assert "KeyError: 'strategies'" in check.wrong[0]


def test_a_study_without_pages_is_no_success(tmp_path, capsys):
    assert recount.main([str(tmp_path), "--runs", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "0 figures compared, 0 disagree\n"
