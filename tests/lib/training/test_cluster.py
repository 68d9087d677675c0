import socket

import pytest
import torch

from lib.data.dataset import load
from lib.errors import UserError
from lib.files import read_json
from lib.training import precision, sweep
from lib.training.augment import POLICIES
from lib.training.loop import fit
from lib.training.precision import KEPT, choice
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
from lib.training import cluster


@pytest.fixture(scope="module", autouse=True)
def two_workers():
    """Ray with two cores, and with what it takes for a GPU; `sweep.train` uses it."""
    cluster.connect("local", num_cpus=2, num_gpus=1)
    with sweep.joined("local"):
        yield


def test_the_ablation_gives_the_same_runs_and_figures_as_here(tmp_path, events, assert_alike):
    pictures = load("digits", 8, train_limit=300)
    base = Recipe(width=4, epochs=2, batch_size=64, lr=0.1)
    recipes = [base.replace(augmentation=policy) for policy in POLICIES]
    there = sweep.train(recipes, pictures, RunStore(tmp_path / "there"), "cpu")
    reported = events()
    here = [fit(recipe, pictures, RunStore(tmp_path / "here"), "cpu") for recipe in recipes]

    assert_alike(there, here)
    told = reported.groupby("event")["run_id"].apply(sorted)
    everyone = sorted(run.run_id for run in here)
    assert told["run"] == told["finished"] == everyone
    assert told["epoch"] == sorted(2 * everyone)


def test_a_worker_measures_what_auto_stands_for(tiny, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "SMALL", 0)
    monkeypatch.setattr(precision, "time_steps", lambda *_: pytest.fail("measured here"))
    recipes = [quick.replace(precision="auto", epochs=1, seed=seed) for seed in (0, 1)]
    runs = sweep.train(recipes, tiny, RunStore(tmp_path), "cpu")
    [[figures]] = [list(networks.values()) for networks in read_json(tmp_path / KEPT).values()]
    assert [run.recipe.precision for run in runs] == [choice(figures)] * 2


def test_a_killed_worker_costs_no_run_and_no_saved_epoch(tiny, quick, tmp_path, events, killer):
    recipes = [quick.replace(epochs=100, seed=seed) for seed in (0, 1)]
    runs = sweep.train(recipes, tiny, RunStore(tmp_path), "cpu")
    reported = events()
    assert sorted(reported["event"].value_counts()[["run", "finished"]]) == [2, 3]
    for run in runs:
        assert list(run.history["epoch"]) == list(range(1, 101))
        told = reported[(reported["event"] == "epoch") & (reported["run_id"] == run.run_id)]
        assert list(told["epoch"].unique()) == list(range(1, 101))
        assert list(told["epoch"]).count(1) == 1  # the first checkpoint is of it


def test_a_run_whose_workers_all_die_is_one_line(tiny, quick, tmp_path, monkeypatch, killer):
    monkeypatch.setattr(cluster, "RETRIES", 0)
    with pytest.raises(UserError, match=r"no worker could train it: .* resumes from") as raised:
        sweep.train([quick.replace(epochs=100)], tiny, RunStore(tmp_path), "cpu")
    assert "\n" not in str(raised.value)


def test_a_workers_user_error_arrives_as_the_same_line(tiny, quick, tmp_path):
    diverging = quick.replace(lr=100.0, weight_decay=10.0, epochs=9)
    with pytest.raises(UserError, match=r"the loss is .* lower lr \(it is 100.0\)$") as raised:
        sweep.train([diverging], tiny, RunStore(tmp_path), "cpu")
    assert type(raised.value) is UserError
    assert "\n" not in str(raised.value)


def test_what_the_store_holds_goes_to_no_worker(tiny, quick, run, events, monkeypatch):
    monkeypatch.setattr(cluster, "train_in_worker", lambda *_: pytest.fail("trained again"))
    assert sweep.train([quick, quick], tiny, RunStore(run.path.parent), "cpu") == [run, run]
    assert list(events()["event"]) == ["sweep", "run", "finished"]


def test_a_worker_that_does_not_see_the_store_says_so(tiny, quick, tmp_path):
    arrays = tiny.converted(torch.Tensor.numpy)
    with pytest.raises(UserError, match=f"{socket.gethostname()} does not see .*elsewhere"):
        cluster.train_in_worker(
            quick, arrays, tmp_path / "elsewhere", tmp_path, "cpu", 1, tmp_path / "report"
        )


def test_a_run_reserves_its_threads_cores_or_its_share_of_a_gpu():
    assert cluster.reserved("cpu", threads=2, share=1) == {"num_cpus": 2}
    assert cluster.reserved("cpu", threads=64, share=1) == {"num_cpus": 2}  # no machine has more
    assert cluster.reserved(None, threads=2, share=1) == {"num_gpus": 1}
    assert cluster.reserved("cuda", threads=2, share=4) == {"num_gpus": 0.25}


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:port", "ray://127.0.0.1:10001"])
def test_a_cluster_that_does_not_answer_is_one_line(address):
    with pytest.raises(UserError, match=f"no Ray cluster answers at '{address}'") as raised:
        cluster.check_reachable(address)
    assert "\n" not in str(raised.value)
