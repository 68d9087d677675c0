import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from lib.diagnosis.corruption_accuracy import UnderCorruption, under_corruption
from lib.diagnosis.masking import gradient_masking_check
from lib.study import measured, robustness
from lib.study.diagnostics import Subject
from lib.training.runs import MEASURED, Run


def test_attacks_begin_at_the_clean_accuracy(several, tiny):
    run = several[1][0]
    table = measured.attacks(run, tiny.test)
    clean = table[table["epsilon"] == 0]["accuracy"]
    assert set(clean.round(6)) == {round(run.summary["test_accuracy"], 6)}
    assert set(table["attack"]) == {"fgsm", "pgd"}


def test_corruptions_are_compared_across_augmentations_and_all_their_seeds(several, tiny):
    table = robustness.corruption_by_augmentation(several[1], tiny.test, severities=(3,))
    networks = table[["augmentation", "seed"]].drop_duplicates().itertuples(index=False)
    assert {tuple(one) for one in networks} == {
        (name, seed) for name in ("none", "cutout") for seed in (0, 1)
    }
    assert len(table) == 2 * 2 * 15
    run = several[1][1]
    [alone] = under_corruption(
        [run.load_model()],
        tiny.test.images,
        tiny.test.labels,
        torch.Generator().manual_seed(0),
        severities=(3,),
    )
    of_run = table.query("augmentation == 'none' and seed == 1").reset_index()
    assert of_run["accuracy"].tolist() == alone.table["accuracy"].tolist()  # the same draws
    none = robustness.corruption_by_augmentation([], tiny.test, severities=(3,))
    assert none.empty


def test_accuracy_under_corruption_is_stored_with_the_run(several, tiny):
    run = several[1][0]
    [under] = measured.corruptions([run], tiny.test)
    assert under.correct.shape == (15, 5, len(tiny.test))
    (run.path / "model.safetensors").rename(run.path / "away")
    try:
        [again] = measured.corruptions([run], tiny.test)
        assert again.names == under.names
        assert again.severities == under.severities
        np.testing.assert_array_equal(again.correct, under.correct)
        [at_three] = measured.corruptions([run], tiny.test, severities=(3,))
        np.testing.assert_array_equal(at_three.correct, under.correct[:, [2]])
        assert measured.corruptions([run], tiny.test.first(9)) == [None]
        (run.path / "corruptions.npz").write_bytes(b"PK damaged")
        assert measured.corruptions([run], tiny.test) == [None]
    finally:
        (run.path / "away").rename(run.path / "model.safetensors")
    [anew] = measured.corruptions([run], tiny.test)
    np.testing.assert_array_equal(anew.correct, under.correct)


def under(share=0.8, pictures=500):
    right = np.random.default_rng(0).random((15, 5, pictures)) < share
    return UnderCorruption(tuple(map(str, range(15))), (1, 2, 3, 4, 5), right)


@pytest.mark.parametrize(
    ("changes", "compared"),
    [
        ({}, True),
        ({"name": "photos"}, False),
        ({"classes": tuple("abcdefghij")}, False),
        ({"side": 16}, False),
        ({"side": 64}, False),
    ],
)
def test_the_mean_under_corruption_is_compared_for_cifar_10_at_its_size_alone(
    tiny, changes, compared
):
    images = torch.zeros(1, 3, *[changes.pop("side", 32)] * 2, dtype=torch.uint8)
    values = {"name": "cifar10", "classes": tuple(sorted(robustness.CIFAR10))} | changes
    test = dataclasses.replace(tiny.test, images=images, labels=torch.zeros(1).long(), ids=("a",))
    dataset = dataclasses.replace(tiny, **values, train=test, val=test, test=test)
    sentence = robustness.corruption_sentence(under(), dataset)
    assert sentence.startswith("Mean accuracy over 15 corruptions and 5 severities: 80.")
    assert ", on 500 test pictures." in sentence
    assert ("73.5\xa0%" in sentence) is compared
    assert ("RobustBench" in sentence) is compared
    assert ("radii for pictures of 32 px" in sentence) is (dataset.image_size < 32)


def attacks(clean, attacked):
    rows = [
        (name, step / 255, step, accuracy, accuracy - 0.02, accuracy + 0.02, 900)
        for name in ("fgsm", "pgd")
        for step, accuracy in ((0, clean), (8, attacked))
    ]
    columns = ["attack", "epsilon", "epsilon_255", "accuracy", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("side", "words"),
    [
        (32, "(the value of RobustBench for CIFAR-10)"),
        (16, "(the value of RobustBench for CIFAR-10; there is none for pictures of 16 px)"),
    ],
)
def test_the_attack_of_the_standard_is_told_with_where_it_comes_from(side, words):
    assert robustness.attack_sentence(attacks(0.9, 0.1), side) == (
        f"PGD with ε = 8/255 {words} lowers accuracy from 90.0 % (88.0–92.0) to at most 10.0 % "
        "(8.0–12.0), on 900 test pictures."
    )
    same = robustness.attack_sentence(attacks(0.9, 0.9), side)
    assert "fools none of 900 test pictures" in same


def test_attacks_that_day_4_has_measured_are_not_measured_again(store, tiny):
    run = store.get("turned")
    table = measured.attacks(run, tiny.test)
    pd.testing.assert_frame_equal(measured.attacks(run, tiny.test), table)
    halved = table.assign(accuracy=table["accuracy"] / 2)  # recognised again
    run.save_attacks(halved.assign(version=measured.VERSION))
    found = robustness.measure_robustness(run, tiny, pictures=0)
    assert found.attacks["accuracy"].max() <= 0.5
    for other in (halved, halved.assign(version=0)):  # of earlier code
        run.save_attacks(other)
        pd.testing.assert_frame_equal(measured.attacks(run, tiny.test), table)
    fewer = robustness.measure_robustness(run, tiny, pictures=9)  # one sample size per card
    assert set(fewer.attacks["n"]) == set(fewer.corruptions["n"]) == {9}


def test_the_card_and_day_4_have_one_figure_for_one_quantity(store, tiny):
    subject, test = Subject(store.get("turned"), tiny), tiny.test.first(9)
    for file in ("attacks.csv", "corruptions.npz"):
        (subject.run.path / file).unlink(missing_ok=True)
    of_card = robustness.measure_robustness(subject.run, tiny, 9)
    [under] = robustness.by_kind([subject], test).values()
    pd.testing.assert_frame_equal(of_card.corruptions, under.table)
    shown = measured.attacks(subject.run, test)
    shown = shown[shown["epsilon_255"].round(3).isin((0, 1, 4, 8))]
    pd.testing.assert_frame_equal(of_card.attacks, shown)


def test_attacks_of_an_earlier_record_are_read(store, tiny):
    table = measured.attacks(store.get("turned"), tiny.test)
    earlier = table.drop(columns=["fgsm_not_pgd", "pgd_not_fgsm", "noise_not_pgd"])
    assert "Measure the attacks again" in gradient_masking_check(earlier)


def test_robustness_is_measured_on_the_first_pictures_and_the_same_each_time(run, tiny, tmp_path):
    copies = [Run(shutil.copytree(run.path, tmp_path / name / run.run_id)) for name in "ab"]
    once, again = (robustness.measure_robustness(copied, tiny, pictures=9) for copied in copies)
    assert set(once.attacks["n"]) == set(once.corruptions["n"]) == {9}
    assert once.attacks.equals(again.attacks)
    assert once.corruptions.equals(again.corruptions)


def test_what_the_card_measures_first_is_found_by_the_home_page(run, tiny, tmp_path):
    bare = Run(shutil.copytree(run.path, tmp_path / run.run_id))
    assert bare.attacks is None
    robustness.measure_robustness(bare, tiny, 9)
    stored = [bare.measured(name).read_bytes() for name in MEASURED]
    assert set(bare.attacks["n"]) == {9}
    robustness.measure_robustness(bare, tiny, 5)  # on other pictures: what is stored stays
    assert [bare.measured(name).read_bytes() for name in MEASURED] == stored
