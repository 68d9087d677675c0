import copy
import math

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam
from scipy import stats
from torch import nn
from torch.nn import functional as F

from lib.diagnosis import attribution


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def network(seed=0):
    """32 px pass at 32, 16, 8 and 4."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)]
    for inputs, outputs in ((8, 8), (8, 12), (12, 16)):
        layers += [nn.MaxPool2d(2), nn.Conv2d(inputs, outputs, 3, padding=1)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))


def pictures(count=7, height=32, width=32):
    pixels = torch.rand(count, 3, height, width, generator=seeded(1))
    return pixels, torch.arange(count) % 5


@pytest.mark.parametrize(
    ("size", "expected"),
    [(32, "8"), (64, "12"), (16, "4"), (8, "0"), ((32, 64), "8"), ((64, 33), "8")],
)
def test_default_layer_is_the_deepest_of_at_least_8_by_8(size, expected):
    model = network().train()
    name, module = attribution.default_layer(model, size)
    assert name == expected
    assert module is model.get_submodule(name)
    assert model.training
    assert model[1].num_batches_tracked == 0
    assert not any(m._forward_hooks for m in model.modules())


def test_default_layer_of_small_maps_is_the_deepest_of_the_largest():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=8, padding=1),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, stride=2, padding=1),
    )
    assert attribution.default_layer(model, 32)[0] == "1"


def test_a_model_without_convolutions_has_no_default_layer():
    with pytest.raises(ValueError, match="Sequential has no convolution"):
        attribution.default_layer(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), 4)


def test_grad_cam_by_hand_on_two_layers():
    """One convolution, mean pooling, one linear layer: a channel's weight is the linear one's."""
    torch.manual_seed(0)
    convolution, linear = nn.Conv2d(3, 6, 1), nn.Linear(6, 4)
    model = nn.Sequential(convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    pixels, targets = pictures(8, 8, 8)
    targets = targets % 4
    with torch.no_grad():
        activation = convolution(pixels)
        expected = torch.einsum("nk,nkhw->nhw", linear.weight[targets], activation).relu()
        expected = expected / expected.amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)
    heat = attribution.grad_cam(model, pixels, targets, layer="0")
    torch.testing.assert_close(heat, expected)


@pytest.mark.parametrize("size", [(32, 32), (16, 16), (40, 27)])
@pytest.mark.parametrize("layer", ["0", "4", "8", "12"])
def test_grad_cam_is_captums(size, layer):
    model = network().eval()
    pixels, targets = pictures(7, *size)
    heat = attribution.grad_cam(model, pixels, targets, layer, batch_size=3)
    theirs = LayerGradCam(model, model.get_submodule(layer)).attribute(
        pixels, targets, relu_attributions=True
    )
    theirs = LayerAttribution.interpolate(theirs, size, "bilinear")[:, 0].detach()
    scale = theirs.amax(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(heat * scale, theirs, atol=1e-6, rtol=1e-4)
    assert heat.shape == (7, *size)
    assert heat.dtype == torch.float32
    assert not heat.requires_grad
    assert heat.amin() >= 0
    assert set(heat.amax(dim=(1, 2)).tolist()) <= {0.0, 1.0}


def test_a_map_in_which_nothing_speaks_for_the_class_is_0():
    convolution, linear = nn.Conv2d(3, 2, 1), nn.Linear(2, 2)
    convolution.weight.data.fill_(1.0)
    linear.weight.data = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    model = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    pixels, _ = pictures(4, 9, 9)
    heat = attribution.grad_cam(model, pixels, torch.tensor([0, 1, 0, 1]), layer="0")
    assert heat.isfinite().all()
    assert heat.amax(dim=(1, 2)).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    model, (pixels, targets) = network().eval(), pictures()
    half = copy.deepcopy(model).to(dtype)
    heat = attribution.grad_cam(half, pixels.to(dtype), targets)
    full = attribution.grad_cam(copy.deepcopy(half).float(), pixels.to(dtype).float(), targets)
    assert heat.dtype == torch.float32
    torch.testing.assert_close(heat, full)
    assert next(half.parameters()).dtype == dtype


def test_grad_cam_inside_autocast_and_of_a_frozen_model():
    model, (pixels, targets) = network(), pictures()
    expected = attribution.grad_cam(model, pixels, targets)
    model.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        heat = attribution.grad_cam(model, pixels, targets)
    torch.testing.assert_close(heat, expected)
    assert model.training
    assert model[1].num_batches_tracked == 0
    assert not pixels.requires_grad


class Spot(nn.Module):
    """Class 1 is as likely as one corner of the picture is bright."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(8.0))

    def forward(self, pixels):
        evidence = self.gain * (pixels[:, :, :4, :4].mean(dim=(1, 2, 3)) - 0.5)
        return torch.stack((-evidence, evidence), dim=1)


@pytest.fixture
def spots():
    pixels = 0.2 * torch.rand(12, 3, 16, 16, generator=seeded())
    pixels[:, :, :4, :4] = 1
    heat = torch.zeros(12, 16, 16)
    heat[:, :4, :4] = 1
    return pixels, heat, torch.ones(12, dtype=torch.int64)


def test_true_heat_is_faithful_and_its_opposite_is_not(spots):
    pixels, heat, targets = spots
    result = attribution.deletion_insertion(Spot(), pixels, heat, targets, seeded())
    assert list(result.areas["kind"]) == ["deletion"] * 3 + ["insertion"] * 3
    assert list(result.areas["rival"]) == ["random", "centre", "brightness"] * 2
    others = result.areas.query("rival != 'brightness'")  # the spot is bright
    assert (others["low"] > 0).all()
    assert (others["p"] < 0.05).all()
    assert (result.areas["n"] == 12).all()
    opposite = attribution.deletion_insertion(Spot(), pixels, 1 - heat, targets, seeded())
    assert (opposite.areas["high"] < 0).all()


def test_heat_without_information_gains_nothing_over_random_maps(spots):
    pixels, heat, targets = spots
    flat = torch.zeros_like(heat)
    result = attribution.deletion_insertion(Spot(), pixels, flat, targets, seeded())
    random = result.areas.query("rival == 'random'")
    assert (random["low"] < 0).all()
    assert (random["high"] > 0).all()
    bright = result.areas.query("rival == 'brightness'")
    assert (bright["high"] < 0).all()


def test_gains_are_paired_by_picture_as_scipy_pairs_them(spots):
    pixels, _, targets = spots
    heat = torch.rand(12, 16, 16, generator=seeded(2))  # not as good as brightness
    ranks = attribution._orderings(pixels, heat, seeded())
    rows = attribution.deletion_insertion(Spot(), pixels, heat, targets, seeded()).areas
    area = {}
    for name, rank in ranks.items():
        fractions, curve = attribution._curve(Spot(), pixels, targets, rank, "insertion", 16)
        area[name] = np.trapezoid(curve, fractions, axis=1)
    for row in rows.query("kind == 'insertion'").itertuples():
        test = stats.ttest_rel(area["heat"], area[row.rival])
        interval = test.confidence_interval()
        assert (row.low, row.high) == pytest.approx((interval.low, interval.high))
        assert row.p == pytest.approx(test.pvalue)


def test_orders_of_the_rivals():
    pixels = torch.zeros(2, 3, 16, 16)
    pixels[:, :, 2:4, 12:14] = 1  # one bright cell of 8 x 8
    ranks = attribution._orderings(pixels, torch.zeros(2, 16, 16), seeded())
    assert set(ranks) == {"heat", *attribution.RIVALS}
    for rank in ranks.values():
        assert rank.flatten(1).sort().values.tolist() == [list(range(256))] * 2
    assert ranks["brightness"][:, 2:4, 12:14].amax() < 4
    assert ranks["centre"][:, 7:9, 7:9].amax() < 4
    assert ranks["centre"][:, [0, 0, 15, 15], [0, 15, 0, 15]].amin() >= 252
    assert not torch.equal(ranks["random"], ranks["heat"])


def test_curves_run_from_one_picture_to_the_other(spots):
    pixels, heat, targets = spots
    model = Spot()
    result = attribution.deletion_insertion(model, pixels, heat, targets, seeded(), steps=8)
    curves = result.curves.set_index(["kind", "ordering", "fraction"])["probability"].sort_index()
    assert len(curves) == 2 * 4 * 9
    rows = result.areas.set_index(["kind", "rival"])
    with torch.no_grad():
        whole = model(pixels).softmax(dim=1)[:, 1].mean().item()
    for ordering in ("heat", *attribution.RIVALS):
        assert curves["deletion", ordering, 0.0] == pytest.approx(whole)
        assert curves["insertion", ordering, 1.0] == pytest.approx(whole)
        blurred = curves["deletion", ordering, 1.0]
        assert curves["insertion", ordering, 0.0] == pytest.approx(blurred)
        assert blurred < whole
        for kind in ("deletion", "insertion"):
            area = np.trapezoid(curves[kind, ordering].to_numpy(), np.linspace(0, 1, 9))
            if ordering == "heat":
                assert rows.loc[kind]["area"].to_numpy() == pytest.approx([area] * 3)
            else:
                assert rows.loc[kind, ordering]["rival_area"] == pytest.approx(area)
    better = rows["area"] - rows["rival_area"]
    better.loc["deletion"] *= -1
    assert rows["gain"].to_numpy() == pytest.approx(better.to_numpy())


def test_the_random_order_is_seeded(spots):
    pixels, heat, targets = spots
    one, same, other = (
        attribution.deletion_insertion(Spot(), pixels, heat, targets, seeded(seed)).areas
        for seed in (0, 0, 1)
    )
    assert one.equals(same)
    assert not one["rival_area"].equals(other["rival_area"])


@pytest.fixture(scope="module")
def trained():
    """Four classes told apart by the brightest quarter of the picture."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(128, 4),
    )
    pixels = 0.5 * torch.rand(256, 3, 16, 16, generator=seeded())
    labels = torch.arange(256) % 4
    for picture, label in zip(pixels, labels.tolist(), strict=True):
        row, column = 8 * (label // 2), 8 * (label % 2)
        picture[:, row : row + 8, column : column + 8] += 0.4
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimiser.zero_grad()
        F.cross_entropy(model(pixels), labels).backward()
        optimiser.step()
    return model.eval(), pixels[:24], labels[:24]


def test_randomised_weights_change_the_maps(trained):
    model, pixels, targets = trained
    before = copy.deepcopy(model.state_dict())
    table = attribution.randomised_weights_check(model, pixels, targets, seeded())
    assert list(table["layer"]) == [
        "none (trained)",
        "linear layer",
        "second convolution",
        "first convolution",
    ]
    assert list(table["module"]) == ["", "8", "3", "0"]
    assert list(table["stage"]) == [0, 1, 2, 3]
    assert table["correlation"][0] == pytest.approx(1)
    assert (table["correlation"][1:].abs() < 0.8).all()
    assert (table["n"] <= 24).all()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    again = attribution.randomised_weights_check(model, pixels, targets, seeded())
    assert table.equals(again)


def test_more_redraws_are_the_mean_of_each(trained):
    model, pixels, targets = trained
    generator = seeded(3)
    check = attribution.randomised_weights_check
    singles = [check(model, pixels, targets, generator, redraws=1) for _ in range(3)]
    table = check(model, pixels, targets, seeded(3), redraws=3)
    assert (table["redraws"] == 3).all()
    assert (table["pairs"] == 72).all()
    assert (table["flat"] == sum(single["flat"] for single in singles)).all()
    for stage, row in enumerate(table.itertuples()):
        shown = [single.loc[stage, "pairs"] - single.loc[stage, "flat"] for single in singles]
        each = [single.loc[stage, "correlation"] for single in singles]
        assert row.correlation == pytest.approx(np.average(each, weights=shown))
    assert singles[0].loc[1:, ["low", "high"]].isna().all(axis=None)  # how redraws vary is unknown
    assert (table["high"] >= table["correlation"]).all()


def test_no_redraw_is_refused(trained):
    with pytest.raises(ValueError, match="redraws must be at least 1"):
        attribution.randomised_weights_check(*trained, seeded(), redraws=0)


def test_correlation_is_scipys_spearman(trained):
    model, pixels, targets = trained
    maps = attribution.grad_cam(model, pixels, targets)
    other = attribution.grad_cam(model, pixels.flip(0), targets)
    found = attribution._correlations(maps, other)
    for a, b, value in zip(maps.numpy(), other.numpy(), found, strict=True):
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            assert value == pytest.approx(stats.spearmanr(a.flatten(), b.flatten()).statistic)
        else:
            assert math.isnan(value)


def test_maps_that_never_vary_have_no_correlation_and_are_counted():
    found = attribution._correlations(torch.zeros(3, 4, 4), torch.rand(3, 4, 4))
    agreement = attribution._agreement(np.stack([found, found]))
    assert (agreement["n"], agreement["flat"], agreement["pairs"]) == (0, 6, 6)
    assert math.isnan(agreement["correlation"])


def test_redrawn_weights_keep_their_mean_and_deviation_and_the_global_state():
    layer = nn.Linear(200, 300)
    with torch.no_grad():
        layer.weight.normal_(0.3, 0.07, generator=seeded())
    old, state = layer.weight.clone(), torch.get_rng_state()
    attribution._redraw(layer.weight, seeded(1))
    assert torch.equal(state, torch.get_rng_state())
    assert layer.weight.mean().item() == pytest.approx(0.3, abs=0.002)
    assert layer.weight.std().item() == pytest.approx(0.07, rel=0.02)
    assert abs(np.corrcoef(old.detach().flatten(), layer.weight.detach().flatten())[0, 1]) < 0.02
