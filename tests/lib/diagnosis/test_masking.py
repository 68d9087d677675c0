import pytest
import torch
from torch import nn

from lib.diagnosis import robustness
from lib.diagnosis.masking import gradient_masking_check
from tests.lib.diagnosis.small import attack_table, seeded, task


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
    sentence = gradient_masking_check(counted(fgsm_alone, pgd_alone))
    assert ("PGD is significantly weaker than FGSM" in sentence) is weaker
    assert ("nowhere significantly weaker" in sentence) is not weaker
    assert sentence.endswith(".")


def test_the_masking_check_tells_what_was_counted_and_what_could_be_seen():
    sentence = gradient_masking_check(counted([1, 0], [12, 30]))
    assert sentence == (
        "PGD is nowhere significantly weaker than FGSM: at ε = 2 and 4/255, of 1,000 pictures FGSM "
        "alone fools 1 and 0, PGD alone 12 and 30. Fewer than 7 fooled by FGSM alone at one ε "
        "could not have been seen. Random search (20 draws of sign noise per picture and ε) fools "
        "no picture that PGD does not. Accuracy under PGD is 10.0\xa0% at ε = 4/255; whether it "
        "falls to 0, as it must where ε is large, was not seen."
    )
    weaker = gradient_masking_check(counted([1, 60], [12, 3]))
    assert "at ε = 4/255 (60 pictures fooled by FGSM alone, 3 by PGD alone): a sign" in weaker
    found = gradient_masking_check(counted([0, 0], [9, 9], noise=3))
    assert "fools 3 and 0 pictures at ε = 2 and 4/255 that PGD does not: a further sign" in found
    fallen = gradient_masking_check(counted([0, 0], [9, 9], accuracies=(0.9, 0.4, 0.0)))
    assert "Accuracy under PGD falls to 0.0\xa0% at ε = 4/255" in fallen


def test_attacks_of_earlier_records_are_read_without_their_counts():
    table = attack_table([0.9, 0.5, 0.3], [0.9, 0.4, 0.1])
    assert "Measure the attacks again" in gradient_masking_check(table)
    half = counted([0, 0], [1, 1]).assign(noise_not_pgd=float("nan"))
    assert "Measure the attacks again" in gradient_masking_check(half)


def test_the_masking_check_needs_both_attacks():
    table = attack_table([0.9, 0.5], [0.9, 0.4])
    with pytest.raises(ValueError, match="both fgsm and pgd"):
        gradient_masking_check(table[table["attack"] == "fgsm"])


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
    sentence = gradient_masking_check(table)
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
    assert "a further sign of gradient masking" in gradient_masking_check(table)
