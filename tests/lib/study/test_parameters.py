import math

import pytest

from analysis import notebooks
from lib.errors import UserError
from lib.study.parameters import LIMITS, check
from lib.study.study import STUDIES
from lib.training.recipe import Recipe

DEFAULTS = notebooks.all_defaults()


def test_every_parameter_of_a_notebook_has_limits_that_admit_its_default():
    assert LIMITS.keys() == DEFAULTS.keys() | {"study"}  # which the command gives
    check(DEFAULTS | {"study": ""})


def test_a_notebook_checks_its_parameters_before_anything_else():
    for notebook in notebooks.in_order(STUDIES):
        cells = notebooks.read_notebook(notebook.source)["cells"]
        _, first, *_ = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        statements = [
            line for line in first.splitlines() if not line.startswith(("from", "import"))
        ]
        assert next(filter(None, statements)) == "parameters.check(globals())", notebook.name


def beyond(name):
    """Values just outside the limits of a parameter, and of other types."""
    limits = LIMITS[name]
    if limits.choices:
        return ["", "other", limits.choices[0].upper(), 0, None]
    if limits.kind is str:
        return [*([] if limits.may_be_empty else ["", " "]), 3, None, False]
    step = 1 if limits.kind is int else limits.high
    values = [limits.low - step, limits.high + step, "1", None, True, math.nan]
    return [value for value in values if not (limits.zero and value == 0)]


@pytest.mark.parametrize("name", LIMITS)
def test_a_value_outside_the_limits_is_one_line_with_name_value_and_range(name):
    for value in beyond(name):
        with pytest.raises(UserError) as raised:
            check({**DEFAULTS, name: value, "another": object()}, "-p")
        line = str(raised.value)
        assert line.startswith(f"-p: {name} = {value!r} should be ")
        assert "\n" not in line
        if LIMITS[name].kind is not str:
            assert f" from {LIMITS[name].low:,g} to ".replace(",", "") in line.replace(",", "")


@pytest.mark.parametrize("name", [name for name in LIMITS if LIMITS[name].kind is not str])
def test_the_ends_of_the_range_are_admitted(name):
    limits = LIMITS[name]
    check({name: limits.low})
    check({name: limits.high})
    if limits.zero:
        check({name: 0})


@pytest.mark.parametrize("name", ["epochs", "batch_size", "lr", "width", "label_smoothing"])
def test_a_recipe_takes_and_refuses_the_same(name):
    limits = LIMITS[name]
    for value in (limits.low, limits.high):
        assert getattr(Recipe(**{name: value}), name) == value
    with pytest.raises(UserError):
        Recipe(**{name: limits.low - limits.kind(1)})


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"seeds": 0}, "seeds = 0 should be a whole number from 1 to 1,000"),
        (
            {"image_size": 1},
            "image_size = 1 should be a whole number from 2 to 1,024, or 0 for the dataset's own",
        ),
        ({"lr": 1000.0}, "lr = 1000.0 should be a number from 1e-08 to 100"),
        ({"unreadable": "go"}, "unreadable = 'go' should be one of stop, skip"),
    ],
)
def test_the_line_says_what_would_do(values, line):
    with pytest.raises(UserError) as raised:
        check(values)
    assert str(raised.value) == line


def test_a_whole_number_is_a_number_too():
    check({"lr": 1, "weight_decay": 0})
