import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.diagnosis import attacks, robustness
from tests.lib.diagnosis.small import pictures, seeded, small_network, task


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
