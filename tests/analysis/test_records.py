"""The command that keeps a study's runs as reference runs."""

import pytest

from analysis import __main__ as command
from analysis import records
from lib.errors import UserError
from tests.analysis.samples import write_notebook

TRAINS = """\
from lib.data.dataset import load
from lib.training import sweep
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

recipes = [Recipe(width=4, epochs=2, seed=seed) for seed in (0, 1)]
print([run.is_reference for run in sweep.train(recipes, load("digits", 8), RunStore("runs"))])
"""


def test_a_study_that_was_kept_is_made_again_without_training(small_study, capsys):
    write_notebook(small_study / "analysis" / "day1_first.ipynb", "First day", body=TRAINS)
    command.main([])
    capsys.readouterr()
    records.main(["demo"])
    said = capsys.readouterr().out
    assert "results/demo: 2 records, 1 with weights; 0.0 MiB in all" in said
    (small_study / "runs").rename(small_study / "gone")
    command.main(["--force"])
    executed = (small_study / "report" / "studies" / "demo" / "day1_first.ipynb").read_text()
    assert "[True, True]" in executed
    assert not list((small_study / "runs").glob("*/model.safetensors"))


def test_an_unknown_study_is_one_line(small_study):
    with pytest.raises(UserError, match=r"^no study 'demo'; there are none yet"):
        records.main(["demo"])
    command.main(["--only", "home"])
    with pytest.raises(UserError, match=r"^no study 'dem'; did you mean 'demo'\?$"):
        records.main(["dem"])
