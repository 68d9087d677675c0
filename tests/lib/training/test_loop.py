import dataclasses
import json
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from lib.errors import UserError
from lib.training import loop, steps
from lib.training.augment import POLICIES
from lib.training.loop import fit
from lib.training.network import build
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

UNTIMED = ["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]


def test_a_run_leaves_the_whole_record(run, tiny):
    names = {path.name for path in run.path.iterdir()} - {".lock"}
    assert names == {
        "recipe.json",
        "dataset.json",
        "environment.json",
        "history.csv",
        "model.safetensors",
        "predictions.npz",
        "summary.json",
    }
    assert list(run.history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert run.history["seconds"].is_monotonic_increasing
    assert run.environment["torch"] == torch.__version__
    assert run.dataset["pictures"] == {"train": 96, "val": 24, "test": 30}


def test_the_small_network_learns(run):
    assert run.summary["test_accuracy"] > 0.8
    assert run.history["train_loss"].iloc[-1] < run.history["train_loss"].iloc[0]


def test_the_summary_agrees_with_weights_history_and_predictions(run, tiny):
    summary, history = run.summary, run.history.set_index("epoch")
    assert summary["val_accuracy"] == history["val_accuracy"].max()
    assert summary["val_accuracy"] == history.loc[summary["best_epoch"], "val_accuracy"]
    test = run.predictions("test")
    assert list(test.ids) == list(tiny.test.ids)
    assert summary["test_accuracy"] == (test.logits.argmax(1) == tiny.test.labels.numpy()).mean()
    assert 0 <= summary["test_low"] < summary["test_accuracy"] <= summary["test_high"] <= 1
    with torch.inference_mode():
        logits = run.load_model()(tiny.test.images / 255).numpy()
    np.testing.assert_allclose(logits, test.logits, atol=1e-5)


def test_a_finished_run_is_returned_without_training(run, tiny, quick, monkeypatch):
    monkeypatch.setattr(loop, "train", lambda *_: pytest.fail("trained again"))
    assert fit(quick, tiny, RunStore(run.path.parent)).run_id == run.run_id


def test_the_same_seed_gives_the_same_run_and_another_seed_another(run, tiny, quick, tmp_path):
    again = fit(quick, tiny, RunStore(tmp_path), "cpu")
    other = fit(quick.replace(seed=1), tiny, RunStore(tmp_path), "cpu")
    pd.testing.assert_frame_equal(run.history[UNTIMED], again.history[UNTIMED])
    assert not run.history[UNTIMED].equals(other.history[UNTIMED])
    assert other.run_id != run.run_id == again.run_id


@pytest.mark.parametrize("stop_after", [1, 3, 6])
def test_a_stopped_run_resumes_and_ends_as_if_it_had_not_stopped(
    run, tiny, quick, tmp_path, monkeypatch, stop_after
):
    def stop(event, **facts):
        if event == "epoch" and facts["epoch"] == stop_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.progress, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(quick, tiny, RunStore(tmp_path), "cpu")
    stopped = RunStore(tmp_path).run(quick, tiny)
    assert not stopped.finished
    assert RunStore(tmp_path).finished() == []

    resumed = fit(quick, tiny, RunStore(tmp_path), "cpu")
    pd.testing.assert_frame_equal(run.history[UNTIMED], resumed.history[UNTIMED])
    expected, weights = (load_file(r.path / "model.safetensors") for r in (run, resumed))
    for name in expected:
        assert torch.equal(expected[name], weights[name]), name
    assert not (resumed.path / "checkpoint.pt").exists()


def test_a_checkpoint_leaves_out_what_is_frozen_and_a_head_still_resumes(
    tiny, tmp_path, monkeypatch
):
    recipe = Recipe(
        model="resnet18", strategy="head", epochs=3, batch_size=32, lr=0.1, precision="fp32"
    )
    whole = fit(recipe, tiny, RunStore(tmp_path / "whole"), "cpu")

    def stop(event, **facts):
        if event == "epoch" and facts["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.progress, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, tiny, RunStore(tmp_path), "cpu")
    stopped = RunStore(tmp_path).run(recipe, tiny)
    assert (stopped.path / "checkpoint.pt").stat().st_size < 100_000  # the backbone has 45 MB

    resumed = fit(recipe, tiny, RunStore(tmp_path), "cpu")
    pd.testing.assert_frame_equal(whole.history[UNTIMED], resumed.history[UNTIMED])
    expected, weights = (load_file(r.path / "model.safetensors") for r in (whole, resumed))
    assert expected.keys() == weights.keys() == whole.load_model().state_dict().keys()
    for name in expected:
        assert torch.equal(expected[name], weights[name]), name


def test_sgd_learns_and_resumes(tiny, quick, tmp_path, monkeypatch):
    recipe = quick.replace(optimizer="sgd")
    whole = fit(recipe, tiny, RunStore(tmp_path / "whole"), "cpu")
    assert whole.summary["test_accuracy"] > 0.8

    def stop(event, **facts):
        if event == "epoch" and facts["epoch"] == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.progress, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, tiny, RunStore(tmp_path), "cpu")
    resumed = fit(recipe, tiny, RunStore(tmp_path), "cpu")
    pd.testing.assert_frame_equal(whole.history[UNTIMED], resumed.history[UNTIMED])


def test_averaging_over_mirror_images_is_reported_apart(tiny, quick, tmp_path):
    run = fit(quick.replace(test_flip=True, epochs=2), tiny, RunStore(tmp_path), "cpu")
    model, images = run.load_model(), tiny.test.images / 255
    with torch.inference_mode():
        logits = model(images) + model(images.flip(3))
    expected = (logits.argmax(1) == tiny.test.labels).double().mean().item()
    assert run.summary["test_accuracy_flip"] == pytest.approx(expected)
    upright = dataclasses.replace(tiny, flip=False, fingerprint="upright")
    run = fit(quick.replace(test_flip=True, epochs=1), upright, RunStore(tmp_path), "cpu")
    assert "test_accuracy_flip" not in run.summary


@pytest.mark.skipif(not any(map(shutil.which, ["c++", "g++"])), reason="needs a C++ compiler")
def test_a_compiled_head_trains_as_the_plain_one(tiny, tmp_path):
    recipe = Recipe(model="resnet18", strategy="head", epochs=2, batch_size=32, lr=0.1)
    plain = fit(recipe, tiny, RunStore(tmp_path), "cpu")
    compiled = fit(recipe.replace(compile=True), tiny, RunStore(tmp_path), "cpu")
    np.testing.assert_allclose(
        plain.history["train_loss"], compiled.history["train_loss"], rtol=1e-3
    )


def test_compiling_without_a_compiler_is_one_line(tiny, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UserError, match=r"needs a C\+\+ compiler"):
        fit(quick.replace(compile=True), tiny, RunStore(tmp_path), "cpu")


def train_in_a_process(recipe, dataset, root):
    fit(recipe, dataset, RunStore(root), "cpu")


def test_two_processes_never_train_the_same_run(tiny, quick, tmp_path, monkeypatch):
    recipe = quick.replace(epochs=20)
    events = tmp_path / "events.jsonl"
    monkeypatch.setenv("DAYBOOK_PROGRESS", str(events))
    context = multiprocessing.get_context("spawn")
    arguments = (recipe, tiny, tmp_path / "runs")
    processes = [context.Process(target=train_in_a_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    epochs = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert epochs.count("epoch") == 20


KILLED = """
import os, sys
from lib.data.dataset import load
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from lib.training.loop import fit
recipe = Recipe(width=4, epochs=30, batch_size=256)
for _ in sys.stdin:  # a line starts a process, the next one waits for its end
    process = os.fork()
    if process == 0:
        fit(recipe, load("digits"), RunStore(sys.argv[1]), "cpu")
        os._exit(0)
    print(process, flush=True)
    sys.stdin.readline()
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


@pytest.fixture
def training(tmp_path):
    """Trains in a process that is killed after so many seconds; returns its exit status."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as script:

        def train(seconds=None):
            script.stdin.write("\n")
            process = int(script.stdout.readline())
            if seconds is not None:
                time.sleep(seconds)
                os.kill(process, signal.SIGKILL)
            script.stdin.write("\n")
            return int(script.stdout.readline())

        yield train
        script.stdin.close()


def test_a_killed_process_never_leaves_an_unfinished_run_as_finished(tmp_path, training):
    for delay in (0.1, 0.5, 1.0):
        training(delay)
        for finished in RunStore(tmp_path).finished():
            assert len(finished.history) == 30
    assert training() == 0
    (finished,) = RunStore(tmp_path).finished()
    assert len(finished.history) == 30


@pytest.mark.parametrize("policy", POLICIES)
def test_every_augmentation_trains(tiny, quick, tmp_path, policy):
    run = fit(quick.replace(augmentation=policy, epochs=2), tiny, RunStore(tmp_path), "cpu")
    assert np.isfinite(run.history["train_loss"]).all()


def test_a_loss_that_explodes_is_one_line_with_the_remedy(tiny, quick, tmp_path):
    with pytest.raises(UserError, match=r"the loss is .* lower lr"):
        fit(quick.replace(lr=100.0, weight_decay=10.0, epochs=9), tiny, RunStore(tmp_path), "cpu")


def test_a_store_that_cannot_be_written_is_one_line(tiny, quick, tmp_path):
    (tmp_path / "runs").write_text("a file, not a folder")
    with pytest.raises(UserError, match="cannot write"):
        fit(quick, tiny, RunStore(tmp_path / "runs"))


RECORD = ["checkpoint.pt", "history.csv", "model.safetensors", "predictions.npz", "summary.json"]


def test_links_planted_in_a_runs_folder_are_not_followed(run, tiny, quick, tmp_path):
    (tmp_path / "precious").write_text("old")
    begun = RunStore(tmp_path / "runs").run(quick, tiny)
    for name in RECORD:
        for guess in (f".{name}.{os.getpid()}", f".{name}", f"{name}.tmp", f"{name}.new"):
            (begun.path / guess).symlink_to(tmp_path / "precious")
    trained = fit(quick, tiny, RunStore(tmp_path / "runs"), "cpu")
    assert (tmp_path / "precious").read_text() == "old"
    pd.testing.assert_frame_equal(trained.history[UNTIMED], run.history[UNTIMED])


def test_a_link_in_the_locks_place_is_refused_in_one_line(tiny, quick, tmp_path):
    (tmp_path / "precious").write_text("old")
    begun = RunStore(tmp_path / "runs").run(quick, tiny)
    begun.lock.symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match=r"cannot lock .*\.lock: it is a link; remove it") as raised:
        fit(quick, tiny, RunStore(tmp_path / "runs"), "cpu")
    assert "\n" not in str(raised.value)
    assert (tmp_path / "precious").read_text() == "old"


class Opens:
    """Unpickled without care, creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["code", "empty", "text", "cut off", "another's", "keys"])
def test_a_checkpoint_that_will_not_do_is_one_line_and_runs_no_code(tiny, quick, tmp_path, kind):
    checkpoint = RunStore(tmp_path / "runs").run(quick, tiny).path / "checkpoint.pt"
    state = steps.begin(quick, tiny, RunStore(), torch.device("cpu"))
    if kind == "code":
        torch.save(state.state_dict() | {"history": Opens(tmp_path / "made")}, checkpoint)
    elif kind == "another's":
        other = steps.begin(quick.replace(width=16), tiny, RunStore(), torch.device("cpu"))
        torch.save(other.state_dict(), checkpoint)
    elif kind == "keys":
        torch.save({"model": {}}, checkpoint)
    else:
        torch.save(state.state_dict(), checkpoint)
        whole = checkpoint.read_bytes()
        cut = whole[: len(whole) // 2]
        checkpoint.write_bytes({"empty": b"", "text": b"hello", "cut off": cut}[kind])
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a checkpoint of this run") as raised:
        fit(quick, tiny, RunStore(tmp_path / "runs"), "cpu")
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith("; delete it to start the run again")
    assert not (tmp_path / "made").exists()


def test_rarer_validation_trains_to_the_same_network(tiny, quick, run, tmp_path):
    rare = fit(quick.replace(val_every=4), tiny, RunStore(tmp_path), "cpu")
    often = run.history.set_index("epoch")
    assert rare.history["epoch"].tolist() == [4, 6]
    for epoch, row in rare.history.set_index("epoch").iterrows():
        assert row["val_loss"] == often.loc[epoch, "val_loss"]
    means = [often.loc[1:4, "train_loss"].mean(), often.loc[5:6, "train_loss"].mean()]
    assert rare.history["train_loss"].tolist() == pytest.approx(means)
    assert rare.summary["best_epoch"] in (4, 6)


@pytest.mark.parametrize(("share", "saved"), [(1e-9, [1]), (math.inf, [1, 2, 3, 4, 5, 6])])
def test_checkpoints_take_no_more_than_a_share_of_the_time(
    tiny, quick, tmp_path, monkeypatch, share, saved
):
    epochs, save = [], torch.save

    def noted(state, file):
        epochs.append(state["history"][-1]["epoch"])
        save(state, file)

    monkeypatch.setattr(loop, "SAVING", share)
    monkeypatch.setattr(loop.torch, "save", noted)
    fit(quick, tiny, RunStore(tmp_path), "cpu")
    assert epochs == saved


@pytest.mark.parametrize(("every", "epochs"), [(1, [1, 2, 3]), (2, [2, 3]), (3, [3]), (9, [3])])
def test_the_last_epoch_is_always_validated(every, epochs):
    assert Recipe(epochs=3, val_every=every).validated == epochs


def test_an_epochs_loss_and_accuracy_are_means_over_pictures(tiny, quick):
    recipe = quick.replace(augmentation="none", label_smoothing=0.0)
    state = steps.begin(recipe, tiny, RunStore(), torch.device("cpu"))
    pixels, labels = tiny.train.images / 255, tiny.train.labels
    targets = F.one_hot(labels, 3).float()
    batches = [(pixels[:60], targets[:60]), (pixels[60:], targets[60:])]
    with torch.no_grad():
        state.model.train()
        losses = [F.cross_entropy(state.model(x), y) for x, y in batches]
    state = steps.begin(recipe, tiny, RunStore(), torch.device("cpu"))
    figures = steps.train_steps(state, state.model, batches, [0.0, 0.0], recipe)
    expected = (60 * losses[0] + 36 * losses[1]) / 96
    assert math.isclose(figures["train_loss"], expected, rel_tol=1e-4)


def test_mixed_precision_trains_to_about_the_same_loss(run, tiny, quick, tmp_path):
    mixed = fit(quick.replace(precision="bf16"), tiny, RunStore(tmp_path), "cpu")
    assert mixed.summary["precision"] == "bf16"
    assert mixed.history["train_loss"].iloc[-1] == pytest.approx(
        run.history["train_loss"].iloc[-1], abs=0.1
    )


def first_pictures(dataset, count, side=8):
    """The dataset with `count` training pictures, and all pictures `side` pixels wide."""

    def split(part, end):
        images = F.interpolate(part.images[:end].float(), (side, side)).to(torch.uint8)
        return dataclasses.replace(
            part, images=images, labels=part.labels[:end], ids=part.ids[:end]
        )

    return dataclasses.replace(
        dataset,
        train=split(dataset.train, count),
        val=split(dataset.val, 1),
        test=split(dataset.test, 1),
    )


SMALL_CNN, RESNET = {"width": 4}, {"model": "resnet18"}
HEAD = {**RESNET, "strategy": "head"}


@pytest.mark.parametrize(
    ("choices", "side", "sizes"),
    [
        (SMALL_CNN, 8, [3, 2]),  # its last maps are one pixel wide
        (SMALL_CNN, 2, [3, 2]),
        (SMALL_CNN, 10, [2, 2, 1]),  # two pixels wide: a picture alone has always trained
        ({**SMALL_CNN, "image_size": 10}, 8, [2, 2, 1]),
        (RESNET, 8, [3, 2]),
        ({**RESNET, "strategy": "last_stage"}, 8, [3, 2]),
        ({**RESNET, "strategy": "last_block"}, 8, [3, 2]),
        ({**RESNET, "image_size": 33}, 8, [2, 2, 1]),
        (HEAD, 8, [2, 2, 1]),  # no batch norm of it trains
        ({**HEAD, "views": 0}, 8, [2, 2, 1]),
    ],
)
def test_a_picture_left_over_joins_the_batch_before_where_it_could_not_train_alone(
    tiny, tmp_path, monkeypatch, choices, side, sizes
):
    met, cross_entropy = [], F.cross_entropy

    def look(logits, *arguments, **options):
        met.append(len(logits))
        return cross_entropy(logits, *arguments, **options)

    dataset = first_pictures(tiny, 5, side)
    recipe = Recipe(epochs=1, batch_size=2, lr=0.01, **choices)
    with monkeypatch.context() as patch:
        patch.setattr(loop.F, "cross_entropy", look)
        run = fit(recipe, dataset, RunStore(tmp_path), "cpu")
    assert met[: len(sizes)] == sizes
    assert math.isfinite(run.summary["test_loss"])


@pytest.mark.parametrize("policy", POLICIES)
def test_every_augmentation_trains_with_a_picture_left_over(tiny, tmp_path, policy):
    recipe = Recipe(width=4, epochs=2, batch_size=2, lr=0.01, augmentation=policy)
    assert fit(recipe, first_pictures(tiny, 3), RunStore(tmp_path), "cpu").finished


@pytest.mark.parametrize(
    ("pictures", "batch_size"), [(96, 2), (95, 3), (96, 95), (4, 3), (3, 3), (2, 2)]
)
def test_no_other_number_of_pictures_changes_its_batches(tiny, pictures, batch_size):
    dataset = first_pictures(tiny, pictures)
    recipe = Recipe(width=4, batch_size=batch_size)
    model = build(recipe, 3, tiny.mean, tiny.std)
    expected = math.ceil(len(dataset.train) / batch_size)
    assert steps.steps_per_epoch(recipe, dataset, model) == expected


@pytest.mark.parametrize(
    ("side", "choices"),
    [
        (1, {}),
        (8, {"image_size": 1}),
        (1, {"image_size": 16}),
        (1, {"whitening": False}),
        (8, {"early_size": 1}),
    ],
)
def test_pictures_too_small_for_a_small_cnn_are_one_line(tiny, tmp_path, side, choices):
    recipe = Recipe(width=4, epochs=1, batch_size=2, **choices)
    with pytest.raises(UserError, match=r"^image_size is 1, too small .* 2 pixels") as raised:
        fit(recipe, first_pictures(tiny, 4, side), RunStore(tmp_path), "cpu")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("side", "choices"),
    [(2, SMALL_CNN), (1, RESNET), (1, {"width": 4, "image_size": 4, "whitening": False})],
)
def test_the_smallest_pictures_that_a_network_takes_train(tiny, tmp_path, side, choices):
    recipe = Recipe(epochs=1, batch_size=2, lr=0.01, **choices)
    assert fit(recipe, first_pictures(tiny, 4, side), RunStore(tmp_path), "cpu").finished
