import sys

import pytest

from lib.training import loop, sweep
from lib.training.runs import RunStore
from lib.training.sweep import train


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """Neither an address in the environment nor Ray: an import of it fails."""
    monkeypatch.delenv(sweep.ADDRESS, raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)


def test_runs_come_in_the_order_of_their_recipes(tiny, quick, tmp_path):
    recipes = [quick.replace(epochs=1, seed=seed) for seed in (2, 0, 1)]
    runs = train(recipes, tiny, RunStore(tmp_path), "cpu")
    assert [run.recipe for run in runs] == recipes
    assert all(run.finished for run in runs)


def test_what_the_store_holds_is_not_trained_again(tiny, quick, run, monkeypatch):
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained again"))
    assert train([quick], tiny, RunStore(run.path.parent), "cpu") == [run]
