import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from lib.errors import UserError
from lib.training import side_by_side, sweep
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from lib.training.threads import computing_with

PATIENCE = 60  # seconds for what takes a few
SWEEP = """
import torch
from lib.data.dataset import load
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from lib.training.sweep import train

torch.set_num_threads(2)
recipes = [Recipe(width=4, batch_size=64, epochs=10_000, seed=seed) for seed in (0, 1)]
train(recipes, load("digits", 8, train_limit=300), RunStore("{folder}"), "cpu")
"""


# before the runs are handed out, so that Ctrl-C comes while they are
INTERRUPTED = """
import time
from pathlib import Path
from joblib import Parallel

handed_out = Parallel.__call__


def interrupted(self, jobs):
    interrupted.done = handed_out(self, jobs)
    while len(list(Path("{folder}").glob("*/checkpoint.pt"))) < 2:
        time.sleep(0.1)
    raise KeyboardInterrupt


Parallel.__call__ = interrupted
"""


@pytest.fixture(autouse=True)
def two_cores():
    """Torch computes with two threads, as on a machine of two cores."""
    with computing_with(2):
        yield


@pytest.fixture(scope="module", autouse=True)
def no_workers_left():
    yield
    get_reusable_executor().shutdown(kill_workers=True)


def test_nothing_goes_on_when_runs_were_being_handed_out(tmp_path):
    with calling((INTERRUPTED + SWEEP).format(folder=tmp_path / "runs")) as caller:
        until(lambda: len(list(tmp_path.glob("runs/*/checkpoint.pt"))) == 2)
        assert caller.wait(PATIENCE) not in (None, 0)
    assert len(list(tmp_path.glob("runs/*/checkpoint.pt"))) == 2


def calling(program):
    """A process that runs the program, in a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def until(fulfilled):
    """Wait for a condition, and return what it came to."""
    deadline = time.monotonic() + PATIENCE
    while not (value := fulfilled()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def test_runs_come_out_as_by_themselves_whatever_their_pictures(
    tiny, quick, tmp_path, events, assert_alike
):
    drawn = tiny.drawn(30, seed=0)
    jobs = [(quick, tiny), (quick, drawn), (quick.replace(seed=1), drawn), (quick, tiny)]
    there = sweep.train_all(jobs, RunStore(tmp_path / "there"), "cpu")
    reported = events()
    here = [fit(recipe, pictures, RunStore(tmp_path / "here"), "cpu") for recipe, pictures in jobs]

    assert_alike(there, here)
    assert {run.environment["threads"] for run in (*there, *here)} == {1}
    told = reported.groupby("event")["run_id"].apply(sorted)
    assert told["run"] == told["finished"] == sorted(run.run_id for run in here)
    assert reported["runs"].dropna().tolist() == [4]


def test_two_runs_are_at_work_at_once(tiny, quick, tmp_path, events):
    recipes = [quick.replace(epochs=40, seed=seed) for seed in range(4)]
    sweep.train(recipes, tiny, RunStore(tmp_path), "cpu")
    at_work = events()["event"].map({"run": 1, "finished": -1}).fillna(0).cumsum()
    assert at_work.max() == 2


def test_finished_and_large_ones_are_left_to_the_caller(tiny, quick, run, tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "Parallel", lambda **_: pytest.fail("trained beside"))
    large = Recipe(width=1024, batch_size=96)
    store = RunStore(tmp_path, run.path.parent)
    assert side_by_side.train([(quick, tiny), (large, tiny), (large, tiny)], store) == {}
    one = quick.replace(seed=5)
    assert side_by_side.train([(one, tiny), (one, tiny)], store) == {}  # one run, asked for twice


def test_workers_are_as_many_as_memory_allows(tiny, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "WORKER_MEMORY", psutil.virtual_memory().total)
    monkeypatch.setattr(side_by_side, "Parallel", lambda **_: pytest.fail("trained beside"))
    recipes = [quick.replace(epochs=1, seed=seed) for seed in (0, 1)]
    assert all(run.finished for run in sweep.train(recipes, tiny, RunStore(tmp_path), "cpu"))


def test_a_workers_user_error_arrives_as_the_same_line(tiny, quick, tmp_path):
    diverging = [quick.replace(lr=100.0, weight_decay=10.0, epochs=9, seed=s) for s in (0, 1)]
    with pytest.raises(UserError, match=r"the loss is .* lower lr \(it is 100.0\)$") as raised:
        sweep.train(diverging, tiny, RunStore(tmp_path), "cpu")
    assert type(raised.value) is UserError


def test_a_killed_worker_is_one_line_and_costs_no_saved_epoch(tiny, quick, tmp_path, killer):
    recipes = [quick.replace(epochs=300, seed=seed) for seed in (0, 1)]
    with pytest.raises(UserError, match=r"was killed, .* resumes from the last ch") as raised:
        sweep.train(recipes, tiny, RunStore(tmp_path), "cpu")
    assert "\n" not in str(raised.value)
    begun = {
        checkpoint.parent: torch.load(checkpoint, weights_only=True)["history"]
        for checkpoint in tmp_path.glob("*/checkpoint.pt")
    }
    assert begun
    for run in sweep.train(recipes, tiny, RunStore(tmp_path), "cpu"):
        assert list(run.history["epoch"]) == list(range(1, 301))
        seconds = [row["seconds"] for row in begun.get(run.path, [])]
        assert run.history["seconds"].tolist()[: len(seconds)] == pytest.approx(seconds)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_goes_on_when_the_caller_ends(tmp_path, how):
    with calling(SWEEP.format(folder=tmp_path / "runs")) as caller:
        until(lambda: len(list(tmp_path.glob("runs/*/checkpoint.pt"))) == 2)
        started = psutil.Process(caller.pid).children(recursive=True)
        if how == signal.SIGINT:
            os.killpg(caller.pid, how)  # as a terminal does
        else:
            caller.send_signal(how)
        caller.wait(PATIENCE)
    _, alive = psutil.wait_procs(started, PATIENCE)
    assert len(started) >= 2
    assert not alive
    for checkpoint in tmp_path.glob("runs/*/checkpoint.pt"):
        assert torch.load(checkpoint, weights_only=True)["history"]
