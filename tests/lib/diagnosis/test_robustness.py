import pytest
import torch
from torch import nn

from lib.diagnosis import attacks, robustness
from lib.intervals import accuracy_interval
from tests.lib.diagnosis.small import attack_table, seeded, task


def test_accuracy_under_attacks(model):
    images, labels = task(150)
    table = robustness.accuracy_under_attacks(model, images, labels, [0, 4, 16], seeded())
    assert list(table.columns) == [
        *("attack", "epsilon", "epsilon_255"),
        *("accuracy", "low", "high", "n"),
        *robustness.COUNTS,
    ]
    assert (table["n"] == 150).all()
    model.eval()
    with torch.no_grad():
        clean = (model(images / 255).argmax(dim=1) == labels).float().mean().item()
    for attack in robustness.ATTACKS:
        rows = table[table["attack"] == attack].reset_index()
        assert list(rows["epsilon"]) == [0.0, 4 / 255, 16 / 255]
        assert list(rows["epsilon_255"]) == pytest.approx([0, 4, 16])
        assert rows["accuracy"][0] == pytest.approx(clean)
        assert rows["accuracy"].is_monotonic_decreasing
        assert rows["accuracy"][2] < 0.5 < rows["accuracy"][0]
        interval = accuracy_interval(round(rows["accuracy"][1] * 150), 150)
        assert (rows["low"][1], rows["high"][1]) == (interval.low, interval.high)


def test_the_size_of_a_batch_changes_nothing_without_chance(model):
    images, labels = task(150)
    small, large = (
        robustness.still_correct(model, images, labels, [4 / 255], "fgsm", seeded(), size)
        for size in (64, 150)
    )
    assert small.shape == (1, 150)
    assert torch.equal(small, large)


def test_a_mistake_without_attack_counts_as_one_under_attack(model):
    images, labels = task(150)
    labels = labels.roll(1)
    model.eval()
    with torch.no_grad():
        clean = model(images / 255).argmax(dim=1) == labels
    perturbed = attacks.fgsm(model, images / 255, labels, 8 / 255)
    with torch.no_grad():
        right = (model(perturbed).argmax(dim=1) == labels) & clean
    [standing] = robustness.still_correct(
        model, images, labels, [8 / 255], "fgsm", seeded(), batch_size=150
    )
    assert torch.equal(standing, right)


def test_a_seed_fixes_the_attack(model):
    images, labels = task(150)
    first, again = (
        robustness.still_correct(model, images, labels, [4 / 255], "pgd", seeded())
        for _ in range(2)
    )
    assert torch.equal(first, again)


def test_no_picture_right_is_no_accuracy_anywhere():
    linear = nn.Linear(48, 2)
    linear.bias.data = torch.tensor([100.0, -100.0])
    model = nn.Sequential(nn.Flatten(), linear)
    images, labels = torch.zeros(5, 3, 4, 4, dtype=torch.uint8), torch.ones(5, dtype=torch.int64)
    table = robustness.accuracy_under_attacks(model, images, labels, [0, 25], seeded())
    assert list(table["accuracy"]) == [0, 0, 0, 0]


def test_mistaken_arguments_are_refused(model):
    images, labels = task(4)
    with pytest.raises(ValueError, match="no attack is called 'cw'; there are fgsm, pgd, noise"):
        robustness.still_correct(model, images, labels, [0.1], "cw", seeded())
    with pytest.raises(ValueError, match="8 / 255"):
        robustness.still_correct(model, images, labels, [0, 8], "pgd", seeded())


def test_an_accuracy_is_looked_up_by_attack_and_epsilon():
    table = attack_table([0.9, 0.5, 0.3], [0.9, 0.4, 0.1])
    step = sorted(table["epsilon_255"].unique())[1]
    assert robustness.accuracy_at(table, "pgd", step).value == 0.4
    with pytest.raises(ValueError, match="no row of pgd with epsilon 3/255"):
        robustness.accuracy_at(table, "pgd", 3)


def test_the_counts_are_those_of_the_attacks(model):
    """Both attacks' accuracies differ by the pictures that one alone fools."""
    images, labels = task(300)
    table = robustness.accuracy_under_attacks(model, images, labels, [0, 2, 4], seeded())
    fgsm, pgd = (table[table["attack"] == name].reset_index() for name in robustness.ATTACKS)
    excess = pgd["pgd_not_fgsm"] - pgd["fgsm_not_pgd"]
    assert ((fgsm["accuracy"] - pgd["accuracy"]) * 300).round().tolist() == excess.tolist()
    assert excess.iloc[0] == 0
    assert excess.iloc[2] > 0
    assert fgsm[[*robustness.COUNTS]].equals(pgd[[*robustness.COUNTS]])


def test_more_restarts_fool_no_fewer_pictures_and_attack_the_standing_ones_alone(
    model, monkeypatch
):
    images, labels = task(300)
    standing, sizes, attack = {}, [], attacks.pgd

    def noted(model, pixels, *rest):
        sizes.append(len(pixels))
        return attack(model, pixels, *rest)

    monkeypatch.setattr(robustness, "pgd", noted)
    for tries in (1, 5):
        sizes.clear()
        monkeypatch.setitem(robustness.TRIES, "pgd", tries)
        [standing[tries]] = robustness.still_correct(
            model, images, labels, [5 / 255], "pgd", seeded(), batch_size=300
        )
        assert len(sizes) == tries
    assert not (standing[5] & ~standing[1]).any()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] == standing[1].sum() < sizes[0]


def test_a_picture_that_stands_is_not_attacked_with_less(model, monkeypatch):
    images, labels = task(300)
    sizes, attack = {}, attacks.pgd

    def noted(model, pixels, labels, epsilon, *rest):
        sizes.setdefault(round(255 * epsilon), len(pixels))
        return attack(model, pixels, labels, epsilon, *rest)

    monkeypatch.setattr(robustness, "pgd", noted)
    epsilons = [0, 2 / 255, 6 / 255, 4 / 255]
    clean, least, most, middle = robustness.still_correct(
        model, images, labels, epsilons, "pgd", seeded(), batch_size=300
    )
    assert list(sizes) == [6, 4, 2]
    assert sizes == {6: clean.sum(), 4: (clean & ~most).sum(), 2: (clean & ~middle).sum()}
    assert 0 < most.sum() < middle.sum() < least.sum()
    assert not (most & ~middle).any()
    assert not (middle & ~least).any()


def test_no_epsilon_is_measured_that_no_file_of_8_bits_can_carry():
    assert all(step == int(step) for step in robustness.STEPS)
    assert {robustness.QUOTED, *robustness.TABLED} <= {*robustness.STEPS}
