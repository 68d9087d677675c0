"""The home page."""

import json
import re

import pandas as pd
import pytest

from lib.data.sources import content_key
from lib.diagnosis.robustness import accuracy_at
from lib.pages.wording import per_cent
from lib.study import home, measured
from lib.study.ranking import mean_validation, recipes
from lib.training.runs import Run
from tests.imports import PROJECT


@pytest.fixture
def attacked(run, tmp_path):
    """The run as day 4 leaves it: with its accuracy under attack."""
    path = tmp_path / run.run_id
    path.mkdir()
    for file in run.path.iterdir():
        (path / file.name).symlink_to(file)
    table = pd.DataFrame(
        [
            (attack, step / 255, step, accuracy, accuracy - 0.05, accuracy + 0.05, 30)
            for attack, accuracies in {"fgsm": (0.9, 0.8, 0.6), "pgd": (0.9, 0.7, 0.2)}.items()
            for step, accuracy in zip((0, 1, 8), accuracies, strict=True)
        ],
        columns=["attack", "epsilon", "epsilon_255", "accuracy", "low", "high", "n"],
    )
    table.to_csv(path / "attacks.csv", index=False)
    return Run(path)


def test_accuracy_under_attack_is_that_of_the_standard_with_the_clean_one_beside_it(attacked):
    text = home.headline([attacked]).text.replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "Accuracy under attack, at most: 20.0 % (95 % interval 15.0 % to 25.0 %, PGD with "
        "ε = 8/255 on 30 test pictures; 90.0 % without an attack)"
    ) in text


def test_the_curve_is_one_click_from_the_accuracy_under_attack(attacked, run):
    notebook, section = home.ATTACKS
    cells = json.loads((PROJECT / "analysis" / f"{notebook}.ipynb").read_text())["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    anchors = [re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings]
    assert section in anchors
    assert (
        f'href="{notebook}.html#{section}"><span>Accuracy under' in home.headline([attacked]).html
    )
    assert "day4" not in home.headline([run]).html  # nothing was measured there


def test_without_day_4_the_figure_says_how_to_get_it(run):
    assert not (run.path / "attacks.csv").exists()
    assert "Accuracy under attack: – (not measured yet; run day 4)" in home.headline([run]).text


def test_what_day_4_measures_is_found_again(attacked, tiny):
    table = measured.attacks(attacked, tiny.test)
    pd.testing.assert_frame_equal(attacked.attacks.drop(columns="version"), table)
    strong = accuracy_at(table, "pgd", 8)
    assert f"{strong.value:.1%}".replace("%", "") in home.headline([attacked]).text


def test_the_page_says_what_was_studied_and_which_run_is_best(run):
    fragment = home.scope([run], [run])
    assert fragment.text == (
        "Dataset: tiny (150 pictures, 3 classes). Of 1 recipe (1 run) the one with the highest "
        "validation accuracy is small CNN, flip + crop. Its figures stand above, measured on 30 "
        "test pictures where no other number is given."
    )
    assert f'<a href="runs.html#run={run.run_id}">small CNN, flip + crop</a>' in fragment.html


def test_the_best_recipe_is_named_with_the_seed_that_stands_for_it(several):
    runs = several[1][:4]
    best = recipes(runs)[0]
    text = home.scope(runs, best).text
    assert "Of 2 recipes (4 runs) the one with the highest mean validation accuracy is" in text
    assert f", seed {best[0].recipe.seed}. Its figures" in text


def test_the_best_settings_come_in_the_order_of_validation(several):
    _, runs = several
    table = home.best_settings(runs)
    assert table["val_accuracy"].is_monotonic_decreasing
    assert sorted(table["seeds"]) == [1, 2, 2]
    groups = recipes(runs)
    assert table["run_id"].tolist() == [group[0].run_id for group in groups]
    assert table["val_accuracy"].tolist() == [mean_validation(group) for group in groups]
    assert len(home.best_settings(runs, top=2)) == 2


def test_figures_on_fewer_pictures_are_not_said_to_be_on_all(attacked):
    attacked.save_attacks(attacked.attacks.assign(n=20))
    assert "on 20 test pictures" in home.headline([attacked]).text
    assert "where no other number is given" in home.scope([attacked], [attacked]).text


def test_a_day_has_its_number_its_title_and_its_first_finding(tmp_path):
    finding = {"text/markdown": ['<p class="daybook-finding">It is so.</p>']}
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Second <day>\n", "\n", "Words."]},
            {
                "cell_type": "code",
                "source": [],
                "outputs": [{"data": {"text/plain": "a chart"}}, {"data": finding}],
            },
        ],
        "metadata": {"daybook": {"dataset": "digits", "content": content_key("digits")}},
    }
    (tmp_path / "day2_second.ipynb").write_text(json.dumps(notebook))
    fragment = home.day_cards(str(tmp_path))
    assert fragment.text == "Second <day>: It is so."
    assert "<small>Day 2</small><strong>Second &lt;day&gt;</strong>" in fragment.html
    assert 'href="day2_second.html"' in fragment.html
    notebook["metadata"]["daybook"]["content"] = "of other pictures"
    (tmp_path / "day2_second.ipynb").write_text(json.dumps(notebook))
    assert "<small>Day 2, about earlier pictures</small>" in home.day_cards(str(tmp_path)).html
    assert home.day_cards("") is None


def test_the_overview_has_a_row_for_each_way_of_training(several):
    _, runs = several
    table = home.settings(runs).set_index("label")
    assert set(table.index) == {
        "small CNN, no augmentation",
        "small CNN, Cutout",
        "ResNet-18, head only, random weights",
    }
    accuracy = [run.summary["test_accuracy"] for run in runs[:2]]
    assert table.loc["small CNN, no augmentation", "accuracy"] == pytest.approx(sum(accuracy) / 2)
    assert table.loc["ResNet-18, head only, random weights", "seeds"] == 1


def test_a_setting_of_two_seeds_claims_no_interval(several):
    _, runs = several
    table = home.settings(runs).set_index("label")
    row = table.loc["small CNN, no augmentation"]
    both = [run.summary["test_accuracy"] for run in runs[:2]]
    assert row["seeds"] == 2
    assert (row["low"], row["high"]) == (min(both), max(both))


def test_the_headline_states_the_runs_own_figures(several):
    group = recipes(several[1][:4])[0]
    best = group[0]
    fragment = home.headline(group)
    assert (
        f"Test accuracy of the best run: {per_cent(best.summary['test_accuracy'])}" in fragment.text
    )
    mean = sum(run.summary["test_accuracy"] for run in group) / len(group)
    assert f"mean of its {len(group)} seeds: {per_cent(mean)}" in fragment.text
    assert fragment.html.count(f"runs.html#run={best.run_id}") == 4
