"""Which runs are compared: selected, grouped, labelled, tabled."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib import progress
from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.intervals import Interval, mean_accuracy, recipe_accuracy
from lib.pages.display import Fragment, note
from lib.pages.palette import label
from lib.pages.wording import count, per_cent
from lib.study.ranking import best_of, grouped, recipes
from lib.study.study import Study
from lib.training.runs import Run, RunStore


def runs_on(store: RunStore, dataset: Dataset, study: str = "") -> list[Run]:
    """The finished runs of a study on these pictures, be it on the first few in training.

    Runs are told by the content of their pictures: two datasets may have one name, and a folder
    keeps its name when its pictures change.

    Parameters
    ----------
    study : str   the study's folder, whose days have trained the runs; empty: all of the store

    Raises
    ------
    UserError   if there are none
    """
    trained = Study(Path(study)).trained if study else None
    runs = [
        run
        for run in store.finished()
        if (trained is None or run.run_id in trained) and dataset.is_that_of(run.dataset)
    ]
    progress.report("compared", run_ids=[run.run_id for run in runs])
    if not runs:
        raise UserError(
            f"{store.root}: no finished run on these pictures ({dataset.name}, "
            f"{dataset.image_size} px); run days 1 to 3 on them first"
        )
    return runs


def with_weights(runs: Sequence[Run]) -> list[Run]:
    """The runs of recipes whose network can be loaded, in their order.

    Reference runs may lack weights. It is enough that the run has them which stands for its recipe:
    the others count by their predictions. Where that one lacks them, runs that have them remain.

    Raises
    ------
    UserError   if there are none
    """
    names = set()
    for group in recipes(runs):
        whole = group[0].has_weights
        kept = group if whole else [run for run in group if run.has_weights]
        names |= {run.run_id for run in kept}
    if not names:
        raise UserError(
            f"none of {count(len(runs), 'run')} has weights, for example {runs[0].path}; remove "
            "that folder and run days 1 to 3 to train the run here"
        )
    return [run for run in runs if run.run_id in names]


def left_out(runs: Iterable[Run], kept: Iterable[Run]) -> Fragment | None:
    """Which runs are not considered because their weights are missing, or nothing if all are."""
    names = {run.run_id for run in kept}
    runs = list(runs)
    lacking = [run for run in runs if run.run_id not in names]
    if not lacking:
        return None
    best = best_of(lacking)
    text = (
        f"Not considered, because their weights are not kept: {len(lacking):,} of "
        f"{count(len(runs), 'run')}. The best of these is {setting_of(best)}, with a validation "
        f"accuracy of {per_cent(best.summary['val_accuracy'])}."
    )
    return note(text)


def best_by(runs: Iterable[Run], key: Callable[[Run], str]) -> dict[str, Run]:
    """The run that stands for each group (`lib.study.ranking`), small CNNs before ResNets."""
    groups = grouped(sorted(runs, key=lambda run: run.recipe.model, reverse=True), key)
    return {name: best_of(group) for name, group in groups.items()}


def candidates(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs of the best recipe of each setting and budget, by name, best first."""
    finished = list(runs)
    name = naming(finished)
    competing: dict[str, list[Run]] = {}
    for group in recipes(finished):
        competing.setdefault(name(group[0]), group)
    return competing


def ablation(runs: Iterable[Run]) -> list[Run]:
    """The runs of an augmentation ablation: those that differ in nothing but augmentation and seed.

    Of several such families, the one with the most augmentations.
    """
    families = grouped(
        (run for run in runs if run.recipe.model == "small_cnn"),
        lambda run: (run.recipe.replace(augmentation="none", seed=0), run.dataset["fingerprint"]),
    )
    return max(
        families.values(),
        key=lambda family: len({run.recipe.augmentation for run in family}),
        default=[],
    )


def setting(model: str, augmentation: str, strategy: str, weights: str) -> str:
    """A model and its training setting as pages write them: `small CNN, MixUp`."""
    if model == "small_cnn":
        return f"{label(model)}, {label(augmentation)}"
    return f"{label(model)}, {label(strategy)}, {origin(weights)}"


def origin(weights: str) -> str:
    """Where a backbone's first weights come from: `random weights`, `ImageNet`, a file's name."""
    kind, _, place = weights.partition(":")
    if kind == "file":
        return Path(place.rpartition("#")[0]).name
    return label({"none": "random_weights", "run": "rotation"}.get(kind, kind))


def setting_of(run: Run) -> str:
    """A run's model and training setting, as pages write them."""
    recipe = run.recipe
    return setting(recipe.model, recipe.augmentation, recipe.strategy, recipe.weights)


def budget_of(run: Run) -> tuple[int, int]:
    """What a run was trained with beside its setting: the number of pictures, and of epochs."""
    return run.dataset["pictures"]["train"], run.recipe.epochs


def naming(runs: Iterable[Run]) -> Callable[[Run], str]:
    """Names for these runs by which only runs of one setting and one budget have the same name.

    Where budgets differ, training pictures and epochs follow the setting: `small CNN, MixUp (500 ×
    6)`. Without them a reader would take the difference of two budgets for one of the settings.
    """
    several = len({budget_of(run) for run in runs}) > 1

    def name(run: Run) -> str:
        pictures, epochs = budget_of(run)
        return f"{setting_of(run)} ({pictures:,} × {epochs})" if several else setting_of(run)

    return name


def accuracy_of(run: Run) -> Interval:
    """The run's test accuracy with its 95 % interval over test pictures."""
    return Interval(*(run.summary[f"test_{name}"] for name in ("accuracy", "low", "high")))


def correct_by_seed(runs: Iterable[Run]) -> NDArray[np.bool_]:
    """Which test pictures (columns) each run (rows) classifies correctly."""
    tests = [run.predictions("test") for run in runs]
    return np.stack([test.logits.argmax(1) == test.labels for test in tests])


def accuracy_over_seeds(runs: Sequence[Run]) -> Interval:
    """The test accuracy of a recipe from its runs, with a 95 % interval over seeds and pictures.

    Two runs have a `Range`: how seeds vary is hardly known from two.
    """
    correct = correct_by_seed(runs)
    if len(correct) == 2:
        return mean_accuracy(correct.mean(axis=1))
    return recipe_accuracy(correct)


def results(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per run: its id, its recipe's fields, its summary's figures."""
    return pd.DataFrame({"run_id": run.run_id, **asdict(run.recipe), **run.summary} for run in runs)


def histories(runs: Iterable[Run], fields: Sequence[str] = ("model",)) -> pd.DataFrame:
    """The runs' histories in one table, each row with its run's id, seed and `fields`."""
    tables = []
    for run in runs:
        values = {name: getattr(run.recipe, name) for name in (*fields, "seed")}
        tables.append(run.history.assign(run_id=run.run_id, **values))
    return pd.concat(tables, ignore_index=True)
