import dataclasses

import numpy as np
import pytest
import torch

from lib.study import diagnostics
from lib.study.card_facts import Facts, measure_robustness


def test_attacks_that_day_4_has_measured_are_not_measured_again(store, run, tiny, robustness):
    subject = diagnostics.Subject(store.get("turned"), tiny)
    table = diagnostics.attacks(subject, tiny.test, torch.Generator().manual_seed(0))
    subject.run.save_attacks(table.assign(accuracy=table["accuracy"] / 2))  # recognised again
    found = measure_robustness(subject.run, tiny, pictures=0)
    assert found.attacks["accuracy"].max() <= 0.5
    fewer = measure_robustness(subject.run, tiny, pictures=9)  # one sample size per card
    assert set(fewer.attacks["n"]) == set(fewer.corruptions["n"]) == {9}
    subject.run.save_attacks(table)
    found = measure_robustness(subject.run, tiny, pictures=0)
    columns = ["attack", "epsilon", "accuracy"]
    fgsm = [
        table.query("attack == 'fgsm'")[columns] for table in (found.attacks, robustness.attacks)
    ]
    np.testing.assert_array_equal(*fgsm)


def test_robustness_is_measured_on_the_first_pictures_and_the_same_each_time(run, tiny):
    once, again = (measure_robustness(run, tiny, pictures=9) for _ in range(2))
    assert set(once.attacks["n"]) == set(once.corruptions["n"]) == {9}
    assert once.attacks.equals(again.attacks)
    assert once.corruptions.equals(again.corruptions)


def test_facts_of_another_run_are_refused(bundle, run, tmp_path):
    with pytest.raises(ValueError, match=f"holds run {run.run_id}, not elsewhere"):
        Facts(bundle, type(run)(tmp_path / "elsewhere"))


def test_another_dataset_is_refused(bundle, run, tiny):
    with pytest.raises(ValueError, match="tested on other pictures"):
        Facts(bundle, run, dataclasses.replace(tiny, test=tiny.val))
    with pytest.raises(ValueError, match="learned from more pictures"):
        Facts(bundle, run, dataclasses.replace(tiny, train=tiny.val))
