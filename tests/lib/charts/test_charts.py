"""Every chart of the project: valid, compilable, the same in every process, and honest."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
import vl_convert

from lib.pages.display import figure, specification
from tests.lib.charts.samples import CHARTS, THEME, spec_of


def digest():
    return hashlib.sha256(
        "".join(figure(function(table), "x").html for function, table in CHARTS.values()).encode()
    ).hexdigest()


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_fits_its_page_and_is_drawn(name):
    spec = spec_of(name)
    assert spec["width"] == "container"
    assert isinstance(spec["height"], int)
    assert "config" not in spec
    assert spec["title"]["text"]
    assert spec["title"]["subtitle"]
    assert not {"hconcat", "vconcat", "facet"} & spec.keys()
    svg = vl_convert.vegalite_to_svg(json.dumps({**spec, "width": 360}), config=THEME)
    assert svg.count("<path") > 3
    assert "NaN" not in svg
    assert "undefined" not in svg


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("rows", [0, 1])
def test_a_chart_of_no_or_one_row(name, rows):
    function, table = CHARTS[name]
    if name == "calibration_dots":
        table, rows = table.iloc[[0, 6]], 2 * rows  # a measure is a pair of rows
    spec = specification(function(table.head(rows)))
    assert spec["title"]["text"]
    vl_convert.vegalite_to_svg(json.dumps({**spec, "width": 360}))


@pytest.mark.parametrize("name", CHARTS)
def test_what_the_rows_are_called_does_not_matter(name):
    function, table = CHARTS[name]
    alike = table.set_axis([0] * len(table), axis=0)  # as after pd.concat of several tables
    assert specification(function(alike)) == specification(function(table))


def test_the_same_table_gives_the_same_bytes_in_another_process():
    here = digest()
    assert here == digest()
    program = f"import runpy; print(runpy.run_path({__file__!r})['digest']())"
    there = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here


@pytest.mark.parametrize("name", ["ablation", "confusion", "attack_curve", "sanity"])
def test_the_chart_holds_its_tables_figures(name):
    _, table = CHARTS[name]
    figures = {
        value
        for rows in spec_of(name)["datasets"].values()
        for row in rows
        for value in row.values()
        if isinstance(value, float)
    }
    for value in table.select_dtypes("float").to_numpy().ravel():
        assert any(abs(value - kept) < 1e-6 for kept in figures)


def test_an_augmentation_has_one_colour_in_every_chart():
    found = set()
    for name in ("learning_curves by augmentation", "accuracy_over epochs", "ablation"):
        text = json.dumps(spec_of(name))
        scale = json.loads(
            text[text.index('{"domain": ["no augmentation"') :].partition("}")[0] + "}"
        )
        found.add(dict(zip(scale["domain"], scale["range"], strict=True))["CutMix"])
    assert len(found) == 1
