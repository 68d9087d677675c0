import numpy as np
import pytest
import torch

from lib.training import network, optimizers
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from lib.training.steps import begin

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def test_the_learning_rate_warms_up_then_follows_half_a_cosine():
    rates = optimizers.learning_rates(Recipe(lr=1.0, warmup=0.2), steps=100)
    reference = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=80)
    expected = []
    for _ in range(80):
        expected.append(reference.param_groups[0]["lr"])
        reference.step()
        cosine.step()
    assert len(rates) == 100
    assert np.all(np.diff(rates[:21]) > 0)
    np.testing.assert_allclose(rates[20:], expected, atol=1e-6)


def test_norms_and_biases_do_not_decay_and_whitening_does_not_train(tiny, quick):
    state = begin(quick.replace(optimizer="sgd"), tiny, RunStore(), torch.device("cpu"))
    groups = state.optimizers[0].param_groups
    for group in groups:
        weights = {parameter.ndim > 1 for parameter in group["params"]}
        assert weights == {group["weight_decay"] == quick.weight_decay}
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    frozen = [n for n, p in state.model.named_parameters() if id(p) not in trained]
    assert frozen == ["body.whitening.weight", "body.whitening.bias"]


@pytest.mark.parametrize("shape", [(8, 8), (6, 40), (40, 6)])
def test_muon_steps_where_pytorchs_steps(shape):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(*shape, generator=generator)
    start *= shape[0] ** 0.5 / start.norm()  # as ours keeps it
    gradients = [torch.randn(*shape, generator=generator) for _ in range(3)]
    theirs = torch.nn.Parameter(start.clone())
    ours = torch.nn.Parameter(start.clone()[:, :, None, None])
    reference = torch.optim.Muon([theirs], lr=1e-4, weight_decay=0.0, momentum=0.9)
    muon = optimizers.Muon([ours], lr=1e-4, momentum=0.9)
    for gradient in gradients:
        theirs.grad, ours.grad = gradient, gradient[:, :, None, None]
        reference.step()
        muon.step()
    scale = max(1, shape[0] / shape[1]) ** 0.5  # PyTorch's steps grow with tall matrices
    expected, step = (theirs - start) / scale, ours.flatten(1) - start
    # PyTorch's iterates in bfloat16, which tells on badly conditioned square matrices
    assert (expected - step).norm() < 0.1 * expected.norm()


def test_orthogonalised_keeps_directions_and_evens_out_their_sizes():
    matrix = torch.randn(10, 30, generator=torch.Generator().manual_seed(1))
    u, _, vt = torch.linalg.svd(matrix, full_matrices=False)
    found = u.T @ optimizers.orthogonalised(matrix, 5) @ vt.T
    assert (found.diagonal() > 0.6).all()
    assert (found.diagonal() < 1.3).all()
    np.testing.assert_allclose(found - found.diagonal().diag(), 0, atol=1e-4)


@pytest.mark.parametrize("shape", [(16, 144), (64, 64), (90, 20)])
def test_orthogonalised_is_the_newton_schulz_iteration(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.double() / matrix.double().norm()
    for _ in range(5):
        x = a * x + b * x @ x.T @ x + c * x @ x.T @ x @ x.T @ x
    np.testing.assert_allclose(optimizers.orthogonalised(matrix, 5), x, atol=1e-4)


def test_muon_takes_the_filters_and_sgd_the_rest():
    recipe = Recipe(width=4, muon_lr=0.2, lr=0.4, bias_lr=8.0)
    resnet = Recipe(model="resnet18")
    model = network.build(recipe, 3, MEAN, STD)
    sgd, muon = optimizers.optimizers_for(model, recipe)
    filters = {id(p) for g in muon.param_groups for p in g["params"]}
    rest = {id(p): g for g in sgd.param_groups for p in g["params"]}
    assert all(g["lr_scale"] == 0.5 for g in muon.param_groups)
    assert len(optimizers.optimizers_for(network.build(resnet, 3, MEAN, STD), resnet)) == 1
    for name, parameter in model.named_parameters():
        if parameter.ndim == 4:
            assert id(parameter) in filters
        else:
            group = rest[id(parameter)]
            assert group["lr_scale"] == (1.0 if name.startswith("head") else 8.0)
            assert group["weight_decay"] == (recipe.weight_decay if parameter.ndim == 2 else 0.0)
