import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from lib.diagnosis.robustness import gradient_masking_check
from lib.study import diagnostics
from lib.study.card_facts import Facts, measure_robustness
from lib.training.runs import Run


def test_attacks_that_day_4_has_measured_are_not_measured_again(store, run, tiny, robustness):
    subject = diagnostics.Subject(store.get("turned"), tiny)
    table = diagnostics.attacks(subject, tiny.test)
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


def test_the_card_and_day_4_have_one_figure_for_one_quantity(store, tiny):
    pictures = 9
    subject = diagnostics.Subject(store.get("turned"), tiny)
    for file in ("attacks.csv", "corruptions.csv"):
        (subject.run.path / file).unlink(missing_ok=True)
    before = measure_robustness(subject.run, tiny, pictures)
    test = tiny.test.first(pictures)
    shown = diagnostics.attacks(subject, test), diagnostics.corruptions(subject, test).table
    after = measure_robustness(subject.run, tiny, pictures)
    for of_card, of_day in (
        (before.corruptions, shown[1]),
        (after.corruptions, shown[1]),
        (before.attacks, shown[0][shown[0]["epsilon_255"].round(3).isin((0, 1, 4, 8))]),
        (after.attacks, before.attacks),
    ):
        pd.testing.assert_frame_equal(
            of_card.reset_index(drop=True), of_day.reset_index(drop=True), check_exact=False
        )
    halved = shown[1].assign(accuracy=shown[1]["accuracy"] / 2)  # recognised again
    subject.run.save_corruptions(halved)
    assert measure_robustness(subject.run, tiny, pictures).corruptions["accuracy"].max() <= 0.5
    other = measure_robustness(subject.run, tiny, 12)
    assert set(other.corruptions["n"]) == set(other.attacks["n"]) == {12}


def test_attacks_of_an_earlier_record_are_read(store, tiny):
    run = store.get("turned")
    table = diagnostics.attacks(diagnostics.Subject(run, tiny), tiny.test)
    earlier = table.drop(columns=["fgsm_not_pgd", "pgd_not_fgsm", "noise_not_pgd"])
    run.save_attacks(earlier)
    found = measure_robustness(run, tiny, 0)
    assert len(found.attacks) == 2 * 4
    assert "Measure the attacks again" in gradient_masking_check(run.attacks)


def test_robustness_is_measured_on_the_first_pictures_and_the_same_each_time(run, tiny, tmp_path):
    copies = [Run(shutil.copytree(run.path, tmp_path / name / run.run_id)) for name in "ab"]
    once, again = (measure_robustness(copied, tiny, pictures=9) for copied in copies)
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


def test_what_the_card_measures_first_is_found_by_the_home_page(run, tiny, tmp_path):
    bare = Run(shutil.copytree(run.path, tmp_path / run.run_id))
    assert bare.attacks is None
    measure_robustness(bare, tiny, 9)
    assert set(bare.attacks["n"]) == set(bare.corruptions["n"]) == {9}
    measure_robustness(bare, tiny, 5)  # on other pictures: what is stored stays
    assert set(bare.attacks["n"]) == set(bare.corruptions["n"]) == {9}
