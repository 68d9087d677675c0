"""Titles about heatmaps, and what the tests behind them find where it is known what there is."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from lib.charts import attribution
from lib.diagnosis.attribution import deletion_insertion
from lib.intervals import Interval
from tests.lib.charts.samples import AREAS, CHARTS, CURVES, areas, layers, title

NOTHING = (
    "Grad-CAM's highest-ranked pixels matter neither significantly more nor less than random ones"
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def subtitle(chart):
    return chart.to_dict()["title"]["subtitle"]


def test_a_layer_has_a_readers_name_and_its_modules_name_on_hover():
    function, table = CHARTS["sanity"]
    for layer in function(table).to_dict()["layer"]:
        assert layer["encoding"]["y"]["field"] == "layer"
        shown = [tip["field"] for tip in layer["encoding"]["tooltip"]]
        assert {"module", "n", "flat"} <= set(shown)


def test_the_title_names_each_rival_that_the_heatmap_beats_or_loses_to():
    chart = attribution.deletion_insertion(CURVES, AREAS)
    assert title(chart) == (
        "Grad-CAM's highest-ranked pixels matter more than random ones (area gain 0.20, 0.10), "
        "but less than central ones (−0.10, −0.20), and not significantly more or less than "
        "bright ones"
    )
    assert "; 200 random test pictures. Area gain (95 % interval)" in subtitle(chart)
    assert "over central pixels −0.10 (−0.14 to −0.06), −0.20" in subtitle(chart)
    assert (
        title(attribution.deletion_insertion(CURVES)) == "Probability under deletion and insertion"
    )


def test_a_rival_that_one_kind_alone_tells_apart_is_named_with_it():
    table = areas(random=(0.2, 0.0), centre=(0.1, -0.1))
    assert title(attribution.deletion_insertion(CURVES, table)) == (
        "Grad-CAM's highest-ranked pixels matter more than random ones by deletion only (area "
        "gain 0.20) and central ones by deletion only (0.10), but less than central ones by "
        "insertion only (−0.10)"
    )


def test_where_nothing_is_clear_the_title_says_what_could_have_been_seen():
    table = areas(random=(0.01, 0.0), centre=(0.0, -0.01), brightness=(0.0, 0.0))
    found = title(attribution.deletion_insertion(CURVES, table))
    assert found.startswith(NOTHING)
    # six comparisons: Bonferroni's t is 2.7, that of the samples' intervals 2 standard errors
    assert found.endswith(
        "central ones or bright ones; an area gain of less than 0.05 could not be seen"
    )


@pytest.mark.parametrize(
    ("figures", "ends"),
    [
        ((-0.02, -0.1, 0.06), "is within noise of 0: −0.02 (−0.10 to 0.06)"),
        ((0.05, -0.3, 0.4), "heatmaps is 0.05 (−0.30 to 0.40)"),  # too wide to say so
        ((0.14, 0.05, 0.23), "heatmaps is 0.14 (0.05–0.23)"),
        ((0.2, np.nan, np.nan), "heatmaps is 0.20, too few to tell from 0"),
        ((np.nan,) * 3, "every heatmap is flat, so that nothing can be compared"),
    ],
)
def test_the_randomised_maps_are_near_0_only_if_that_is_known(figures, ends):
    table = layers()
    table.loc[2, ["correlation", "low", "high"]] = figures
    assert title(attribution.sanity(table)).endswith(ends)


def test_the_randomisation_test_says_how_many_maps_it_rests_on():
    words = (
        "over 5 redraws and 50 random test pictures (15 of 500 pairs left out, for a map is flat)"
    )
    assert words in subtitle(attribution.sanity(layers()))
    assert "flat" not in subtitle(attribution.sanity(layers().assign(flat=0)))


class Middle(nn.Module):
    """Class 1 is as likely as the middle of the picture is red."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(12.0))

    def forward(self, pixels):
        evidence = self.gain * (pixels[:, 0, 5:11, 5:11].mean(dim=(1, 2)) - 0.5)
        return torch.stack((-evidence, evidence), dim=1)


def test_a_centre_that_does_better_than_the_heatmaps_is_in_the_title():
    """The heat is where the evidence is, but for a shift of a pixel."""
    pixels = 0.2 * torch.rand(60, 3, 16, 16, generator=seeded())
    pixels[:, 0, 5:11, 5:11] = 1
    heat = torch.zeros(60, 16, 16)
    heat[:, 6:12, 6:12] = 1
    targets = torch.ones(60, dtype=torch.int64)
    tested = deletion_insertion(Middle(), pixels, heat, targets, seeded())
    found = title(attribution.deletion_insertion(tested.curves, tested.areas))
    assert "less than central ones" in found
    assert "more than random ones (area gain" in found


class Tint(nn.Module):
    """The probability is linear in the pixels, by colours that luminance says nothing of."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.587, -0.299, 0.0])[:, None, None])

    def forward(self, pixels):
        share = (0.5 + 0.5 * (self.weight * pixels).sum(dim=1).mean(dim=(1, 2))).clamp(0.01, 0.99)
        return torch.stack((1 - share, share), dim=1).log()


def test_random_maps_as_heat_are_seldom_told_apart_from_their_rivals():
    """Pixels of independent noise: no order of them is better than another on average."""
    studies, told_apart = 300, 0
    for seed in range(studies):
        generator = seeded(seed)
        pixels = 0.5 + 0.1 * torch.randn(30, 3, 8, 8, generator=generator)
        heat = torch.rand(30, 8, 8, generator=generator)
        targets = torch.ones(30, dtype=torch.int64)
        areas = deletion_insertion(Tint(), pixels, heat, targets, generator, steps=4).areas
        told_apart += not attribution._faithfulness_title(areas).startswith(NOTHING)
    assert told_apart <= stats.binom.ppf(0.999, studies, 0.05)
    assert told_apart > 0  # the simulation can find something


def test_the_samples_intervals_are_those_of_their_tests():
    row = AREAS.iloc[0]
    assert Interval.of(row, "gain").low > 0
    assert row["p"] < 0.05
