import copy

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.diagnosis import attacks, robustness
from lib.intervals import accuracy_interval


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Normalise(nn.Module):
    def forward(self, pixels):
        return (pixels - 0.45) / 0.25


def small_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        Normalise(),
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


def pictures(count=40, size=8):
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=seeded(1))
    return images, images.float() / 255


@pytest.fixture(scope="module")
def trained():
    """A trained network: four classes told apart by the brightest quarter of the picture."""
    network = small_network()
    images, labels = task(400, seed=5)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(network(images / 255), labels).backward()
        optimiser.step()
    optimiser.zero_grad()
    return network


@pytest.fixture
def model(trained):
    return copy.deepcopy(trained)


def task(count, seed=0):
    images = torch.randint(40, 180, (count, 3, 8, 8), dtype=torch.uint8, generator=seeded(seed))
    labels = torch.randint(4, (count,), generator=seeded(seed + 1))
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[:, row : row + 4, column : column + 4] += 30
    return images, labels


@pytest.mark.parametrize("epsilon", [0.0, 1 / 255, 8 / 255, 0.5])
def test_fgsm_is_its_one_line_derivation(epsilon):
    model = small_network()
    _, pixels = pictures()
    labels = torch.arange(40) % 4
    ours = attacks.fgsm(model, pixels, labels, epsilon)
    leaf = pixels.clone().requires_grad_()
    F.cross_entropy(model.eval()(leaf), labels).backward()
    torch.testing.assert_close(ours, (pixels + epsilon * leaf.grad.sign()).clamp(0, 1))


@pytest.mark.parametrize("attack", robustness.ATTACKS)
@pytest.mark.parametrize("epsilon", [0.0, 2 / 255, 0.3])
def test_perturbations_stay_within_epsilon_and_the_range_of_pixels(model, attack, epsilon):
    images, labels = task(30)
    pixels = images / 255
    before = pixels.clone()
    if attack == "fgsm":
        perturbed = attacks.fgsm(model, pixels, labels, epsilon)
    else:
        perturbed = attacks.pgd(model, pixels, labels, epsilon, seeded(), steps=5)
    assert (perturbed - pixels).abs().max() <= epsilon + 1e-6
    assert perturbed.min() >= 0
    assert perturbed.max() <= 1
    assert torch.equal(pixels, before)
    assert not perturbed.requires_grad


def test_attacks_leave_the_model_as_it_was(model):
    model.train()
    model[2].eval()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    images, labels = task(10)
    attacks.fgsm(model, images / 255, labels, 0.1)
    attacks.pgd(model, images / 255, labels, 0.1, seeded())
    assert all((parameter.grad == 7).all() for parameter in model.parameters())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert model.training
    assert not model[2].training


@pytest.mark.parametrize("sureness", [5.0, 1000.0])
def test_attacks_reach_the_corner_that_is_worst_for_a_linear_model(sureness):
    """Also where the model is so sure that the gradient of its cross-entropy vanishes."""
    linear = nn.Linear(48, 3)
    linear.bias.data = sureness * torch.tensor([1.0, 0.0, -10.0])
    model = nn.Sequential(nn.Flatten(), linear)
    pixels = 0.25 + 0.5 * torch.rand(20, 3, 4, 4, generator=seeded())
    labels = torch.zeros(20, dtype=torch.int64)
    direction = (linear.weight[1] - linear.weight[0]).detach().sign().view(3, 4, 4)
    corner = pixels + 0.05 * direction
    torch.testing.assert_close(attacks.fgsm(model, pixels, labels, 0.05), corner)
    torch.testing.assert_close(attacks.pgd(model, pixels, labels, 0.05, seeded()), corner)


def last_iterate(model, pixels, labels, epsilon, steps=20):
    """Madry et al.'s attack, written down naively."""
    perturbed = pixels + epsilon * (2 * torch.rand(pixels.shape, generator=seeded()) - 1)
    perturbed = perturbed.clamp(0, 1)
    for _ in range(steps):
        leaf = perturbed.detach().requires_grad_()
        F.cross_entropy(model(leaf), labels).backward()
        perturbed = leaf.detach() + 2.5 * epsilon / steps * leaf.grad.sign()
        perturbed = torch.minimum(torch.maximum(perturbed, pixels - epsilon), pixels + epsilon)
        perturbed = perturbed.clamp(0, 1)
    return perturbed


def test_pgd_is_the_last_iterate_where_it_fails_and_no_weaker(model):
    images, labels = task(300)
    # Double precision, for signs of gradients that are next to nothing.
    model, pixels, epsilon = model.double(), images.double() / 255, 6 / 255
    ours = attacks.pgd(model, pixels, labels, epsilon, seeded())
    model.eval()
    theirs = last_iterate(model, pixels, labels, epsilon)
    with torch.no_grad():
        right, naively_right = (model(p).argmax(dim=1) == labels for p in (ours, theirs))
    assert 0 < right.sum() < 300
    assert right.sum() <= naively_right.sum()
    torch.testing.assert_close(ours[right], theirs[right], atol=1e-5, rtol=0)


@pytest.mark.parametrize("attack", robustness.ATTACKS)
def test_accuracy_under_attack(model, attack):
    images, labels = task(150)
    epsilons = [0.0, 4 / 255, 16 / 255]
    table = robustness.accuracy_under_attack(
        model, images, labels, epsilons, attack, seeded(), batch_size=64
    )
    assert list(table.columns) == [
        *("attack", "epsilon", "epsilon_255"),
        *("accuracy", "low", "high", "n"),
    ]
    assert list(table["epsilon"]) == epsilons
    assert list(table["epsilon_255"]) == pytest.approx([0, 4, 16])
    assert (table["n"] == 150).all()
    model.eval()
    with torch.no_grad():
        clean = model(images / 255).argmax(dim=1) == labels
    assert table["accuracy"][0] == pytest.approx(clean.float().mean().item())
    assert table["accuracy"].is_monotonic_decreasing
    assert table["accuracy"][2] < 0.5 < table["accuracy"][0]
    interval = accuracy_interval(round(table["accuracy"][1] * 150), 150)
    assert (table["low"][1], table["high"][1]) == (interval.low, interval.high)


def test_a_mistake_without_attack_counts_as_one_under_attack(model):
    images, labels = task(150)
    labels = labels.roll(1)
    model.eval()
    with torch.no_grad():
        clean = model(images / 255).argmax(dim=1) == labels
    perturbed = attacks.fgsm(model, images / 255, labels, 8 / 255)
    with torch.no_grad():
        right = (model(perturbed).argmax(dim=1) == labels) & clean
    table = robustness.accuracy_under_attack(
        model, images, labels, [8 / 255], "fgsm", seeded(), batch_size=150
    )
    assert table["accuracy"][0] == pytest.approx(right.float().mean().item())


def test_a_seed_fixes_the_attack(model):
    images, labels = task(150)
    tables = [
        robustness.accuracy_under_attack(model, images, labels, [4 / 255], "pgd", seeded(seed))
        for seed in (0, 0)
    ]
    pd.testing.assert_frame_equal(*tables)


def test_no_picture_right_is_no_accuracy_anywhere():
    linear = nn.Linear(48, 2)
    linear.bias.data = torch.tensor([100.0, -100.0])
    model = nn.Sequential(nn.Flatten(), linear)
    images, labels = torch.zeros(5, 3, 4, 4, dtype=torch.uint8), torch.ones(5, dtype=torch.int64)
    for attack in robustness.ATTACKS:
        table = robustness.accuracy_under_attack(model, images, labels, [0, 0.1], attack, seeded())
        assert list(table["accuracy"]) == [0, 0]


def test_mistaken_arguments_are_refused(model):
    images, labels = task(4)
    with pytest.raises(ValueError, match="no attack is called 'cw'; there are fgsm, pgd"):
        robustness.accuracy_under_attack(model, images, labels, [0.1], "cw", seeded())
    with pytest.raises(ValueError, match="8 / 255"):
        robustness.accuracy_under_attack(model, images, labels, [0, 8], "pgd", seeded())


def attack_table(fgsm, pgd, total=1000):
    rows = []
    for attack, accuracies in (("fgsm", fgsm), ("pgd", pgd)):
        for step, accuracy in enumerate(accuracies):
            interval = accuracy_interval(round(accuracy * total), total)
            bounds = interval.value, interval.low, interval.high
            rows.append((attack, 2 * step / 255, 2.0 * step, *bounds, total))
    columns = ["attack", "epsilon", "epsilon_255", "accuracy", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def counted(fgsm_alone, pgd_alone, noise=0, accuracies=(0.9, 0.4, 0.1)):
    """A table with the counts of pictures that one attack alone fools, at 0, 2/255 and 4/255."""
    table = attack_table(accuracies, accuracies)
    counts = {
        "fgsm_not_pgd": [0, *fgsm_alone],
        "pgd_not_fgsm": [0, *pgd_alone],
        "noise_not_pgd": [0, noise, 0],
    }
    return table.assign(**{name: values * 2 for name, values in counts.items()})


@pytest.mark.parametrize(
    ("fgsm_alone", "pgd_alone", "weaker"),
    [
        ([0, 0], [60, 100], False),
        ([5, 5], [60, 100], False),
        ([6, 0], [0, 0], False),  # p = 0.031 alone, 0.062 as one of two
        ([7, 0], [0, 0], True),
        ([0, 60], [100, 20], True),  # though PGD is the stronger one elsewhere
    ],
)
def test_masked_gradients_are_noticed_by_counts_of_pictures(fgsm_alone, pgd_alone, weaker):
    sentence = robustness.gradient_masking_check(counted(fgsm_alone, pgd_alone))
    assert ("PGD is significantly weaker than FGSM" in sentence) is weaker
    assert ("nowhere significantly weaker" in sentence) is not weaker
    assert sentence.endswith(".")


def test_the_masking_check_tells_what_was_counted_and_what_could_be_seen():
    sentence = robustness.gradient_masking_check(counted([1, 0], [12, 30]))
    assert sentence == (
        "PGD is nowhere significantly weaker than FGSM: at ε = 2 and 4/255, of 1,000 pictures FGSM "
        "alone fools 1 and 0, PGD alone 12 and 30. Fewer than 7 fooled by FGSM alone at one ε "
        "could not have been seen. Random search (20 draws of sign noise per picture and ε) fools "
        "no picture that PGD does not. Accuracy under PGD is 10.0\xa0% at ε = 4/255; whether it "
        "falls to 0, as it must where ε is large, was not seen."
    )
    weaker = robustness.gradient_masking_check(counted([1, 60], [12, 3]))
    assert "at ε = 4/255 (60 pictures fooled by FGSM alone, 3 by PGD alone): a sign" in weaker
    found = robustness.gradient_masking_check(counted([0, 0], [9, 9], noise=3))
    assert "fools 3 and 0 pictures at ε = 2 and 4/255 that PGD does not: a further sign" in found
    fallen = robustness.gradient_masking_check(counted([0, 0], [9, 9], accuracies=(0.9, 0.4, 0.0)))
    assert "Accuracy under PGD falls to 0.0\xa0% at ε = 4/255" in fallen


def test_attacks_of_earlier_records_are_read_without_their_counts():
    table = attack_table([0.9, 0.5, 0.3], [0.9, 0.4, 0.1])
    assert "Measure the attacks again" in robustness.gradient_masking_check(table)
    half = counted([0, 0], [1, 1]).assign(noise_not_pgd=float("nan"))
    assert "Measure the attacks again" in robustness.gradient_masking_check(half)


def test_an_accuracy_is_looked_up_by_attack_and_epsilon():
    table = attack_table([0.9, 0.5, 0.3], [0.9, 0.4, 0.1])
    step = sorted(table["epsilon_255"].unique())[1]
    assert robustness.accuracy_at(table, "pgd", step).value == 0.4
    with pytest.raises(ValueError, match="no row of pgd with epsilon 3/255"):
        robustness.accuracy_at(table, "pgd", 3)


def test_the_masking_check_needs_both_attacks():
    table = attack_table([0.9, 0.5], [0.9, 0.4])
    with pytest.raises(ValueError, match="both fgsm and pgd"):
        robustness.gradient_masking_check(table[table["attack"] == "fgsm"])


class Misleading(torch.autograd.Function):
    """Changes nothing, and turns the gradient around wherever a pixel isn't an 8-bit one."""

    @staticmethod
    def forward(context, pixels):
        steps = pixels * 255
        context.save_for_backward((steps - steps.round()).abs() < 1e-3)
        return pixels.clone()

    @staticmethod
    def backward(context, gradient):
        (is_8_bit,) = context.saved_tensors
        return torch.where(is_8_bit, gradient, -gradient)


class Masked(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        return self.network(Misleading.apply(pixels))


@pytest.mark.parametrize("masks", [False, True])
def test_masked_gradients_of_a_model_are_noticed(model, masks):
    images, labels = task(400)
    network = Masked(model) if masks else model
    table = robustness.accuracy_under_attacks(network, images, labels, [0, 8], seeded())
    sentence = robustness.gradient_masking_check(table)
    assert ("PGD is significantly weaker than FGSM" in sentence) is masks


class Flat(nn.Module):
    """A network without any gradient: it sees pixels in steps of 3/255."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixels):
        return self.network((pixels * 85).round() / 85 + 0 * pixels)


def test_random_search_finds_what_gradients_do_not(model):
    images, labels = task(400)
    table = robustness.accuracy_under_attacks(Flat(model), images, labels, [0, 8], seeded())
    assert table["noise_not_pgd"].iloc[0] == 0
    table = table[table["epsilon"] > 0]
    assert table["noise_not_pgd"].iloc[0] > 0
    assert "a further sign of gradient masking" in robustness.gradient_masking_check(table)


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


def test_no_epsilon_is_measured_that_no_file_of_8_bits_can_carry():
    assert all(step == int(step) for step in robustness.STEPS)
    assert {robustness.QUOTED, *robustness.TABLED} <= {*robustness.STEPS}
