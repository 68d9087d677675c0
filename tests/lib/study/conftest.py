"""Finished runs to compare, and the facts of a model card."""

import dataclasses
import shutil

import pytest

from lib.files import write_json
from lib.study.card_facts import Facts
from lib.study.robustness import measure_robustness
from lib.training.loop import fit
from lib.training.recipe import OF_SMALL, Recipe
from lib.training.runs import Run, RunStore


@pytest.fixture(scope="module")
def several(tiny, tmp_path_factory):
    """Finished runs of two augmentations, two seeds each, and of a ResNet-18's head."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    small = Recipe(width=4, epochs=2, batch_size=32, lr=0.1)
    head = Recipe(model="resnet18", strategy="head", epochs=2, batch_size=32, lr=0.1)
    recipes = [small.replace(augmentation=a, seed=s) for a in ("none", "cutout") for s in (0, 1)]
    return store, [fit(recipe, tiny, store, "cpu") for recipe in (*recipes, head)]


@pytest.fixture(scope="module")
def measured(run, tiny, tmp_path_factory):
    """Of the run, measured on a copy, since it is stored with the run."""
    copied = tmp_path_factory.mktemp("measured") / run.run_id
    shutil.copytree(run.path, copied)
    return measure_robustness(Run(copied), tiny)


@pytest.fixture(scope="module")
def store(run, tmp_path_factory):
    """A store of the run, and of one on turned pictures."""
    root = tmp_path_factory.mktemp("runs")
    shutil.copytree(run.path, root / run.run_id)
    turned = shutil.copytree(run.path, root / "turned")
    write_json(turned / "dataset.json", run.dataset | {"name": "tiny rotated"})
    return RunStore(root)


@pytest.fixture
def facts(bundle, run, tiny, measured, store):
    return Facts(bundle, store.get(run.run_id), tiny, measured)


@pytest.fixture
def variant(facts):
    """The same facts with something else on record."""

    def variant(recipe=None, source=None, training=None, **changes):
        values = facts.bundle.recipe.to_dict() | (recipe or {})
        if values["model"] != "small_cnn":
            values = {k: v for k, v in values.items() if k not in OF_SMALL}
        bundle = dataclasses.replace(
            facts.bundle,
            recipe=Recipe.from_dict(values),
            dataset=facts.bundle.dataset | (source or {}),
            training=facts.bundle.training | (training or {}),
        )
        return dataclasses.replace(facts, bundle=bundle, **changes)

    return variant
