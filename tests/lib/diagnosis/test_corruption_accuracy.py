import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib.diagnosis.corruption_accuracy import (
    UnderCorruption,
    under_corruption,
)
from lib.diagnosis.corruptions import CORRUPTIONS
from lib.intervals import accuracy_interval


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Brighter(nn.Module):
    """Right where the left half of a picture is brighter than the right one by some margin."""

    def __init__(self, margin=0.0):
        super().__init__()
        self.margin = nn.Parameter(torch.tensor(margin))

    def forward(self, pixels):
        left, right = pixels.chunk(2, dim=3)
        excess = left.mean(dim=(1, 2, 3)) - right.mean(dim=(1, 2, 3)) - self.margin
        return torch.stack([excess, torch.zeros_like(excess)], dim=1)


def task(count):
    images = torch.randint(60, 150, (count, 3, 8, 8), dtype=torch.uint8, generator=seeded(2))
    images[:, :, :, :4] += torch.randint(25, (count, 1, 1, 1), generator=seeded(3)).byte()
    return images, torch.zeros(count, dtype=torch.int64)


@pytest.fixture
def model():
    return Brighter()


def test_corruption_accuracy(model):
    images, labels = task(120)
    [measured] = under_corruption([model], images, labels, seeded(), batch_size=50)
    table = measured.table
    assert list(table.columns) == ["corruption", "severity", "accuracy", "low", "high", "n"]
    assert len(table) == 5 * len(CORRUPTIONS)
    assert table["corruption"].unique().tolist() == list(CORRUPTIONS)
    assert table["severity"].unique().tolist() == [1, 2, 3, 4, 5]
    assert (table["n"] == 120).all()
    with torch.no_grad():
        clean = (model(images / 255).argmax(dim=1) == labels).float().mean().item()
    mildest, strongest = (table.loc[table["severity"] == s, "accuracy"].mean() for s in (1, 5))
    assert strongest < mildest <= clean + 0.05


def test_corruptions_do_not_depend_on_which_others_are_asked_for(model):
    images, labels = task(120)
    everything, few = (
        under_corruption([model], images, labels, seeded(), **chosen)[0].table
        for chosen in ({}, {"names": ["fog", "shot_noise"], "severities": [4, 2]})
    )
    rows = everything.merge(few[["corruption", "severity"]])
    order = ["corruption", "severity"]
    pd.testing.assert_frame_equal(
        rows.sort_values(order, ignore_index=True), few.sort_values(order, ignore_index=True)
    )


def test_several_networks_see_the_same_pictures(model):
    images, labels = task(60)
    both = under_corruption([model, model, Brighter(0.5)], images, labels, seeded(), ["fog"])
    np.testing.assert_array_equal(both[0].correct, both[1].correct)
    assert both[2].correct.mean() < both[0].correct.mean()
    [alone] = under_corruption([model], images, labels, seeded(), ["fog"])
    np.testing.assert_array_equal(both[0].correct, alone.correct)
    assert under_corruption([], images, labels, seeded()) == []


def outcomes(*shares, severities=5, pictures=200):
    """Nested correctness: a picture that is right under one is right under every easier one."""
    order = np.random.default_rng(0).permutation(pictures)
    rows = [np.broadcast_to(order < share * pictures, (severities, pictures)) for share in shares]
    names = tuple(f"kind {i}" for i in range(len(shares)))
    return UnderCorruption(names, tuple(range(1, severities + 1)), np.stack(rows))


def test_the_mean_varies_with_pictures_not_with_severities():
    """The severities show the same pictures: five of them are no five times as many."""
    measured = outcomes(0.5, 0.5)
    one = accuracy_interval(100, 200)
    assert measured.mean.value == 0.5
    assert measured.mean.high - measured.mean.low == pytest.approx(one.high - one.low, rel=0.02)


def test_ends_are_compared_with_their_neighbours_on_the_same_pictures():
    close = outcomes(0.90, 0.94, 0.98)  # as if independent, 4 points would not be seen
    assert close.distinct_ends == ("kind 0", "kind 2")
    tied = outcomes(0.9, 0.9, 0.97)
    assert tied.distinct_ends == (None, "kind 2")
    assert outcomes(0.9).distinct_ends == (None, None)
    noise = np.random.default_rng(1).random((3, 5, 200)) < 0.9
    assert UnderCorruption(("a", "b", "c"), (1, 2, 3, 4, 5), noise).distinct_ends == (None, None)
