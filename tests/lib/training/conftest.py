"""What is asked of runs that others trained: their events, and whether they came out the same."""

import json
import signal
import threading
import time

import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

TIMED = ["images_per_second", "seconds"]
FIGURES = ["best_epoch", "val_accuracy", "val_loss", "test_accuracy", "test_loss", "precision"]


@pytest.fixture
def events(tmp_path, monkeypatch):
    """Reads the events that were reported since the test began."""
    path = tmp_path / "events"
    monkeypatch.setenv("DAYBOOK_PROGRESS", str(path))
    return lambda: pd.DataFrame(json.loads(line) for line in path.read_text().splitlines())


@pytest.fixture
def assert_alike():
    """Compares runs pair by pair, to the last digit of histories, figures and weights."""

    def assert_alike(there, here):
        assert [run.run_id for run in there] == [run.run_id for run in here]
        for one, other in zip(there, here, strict=True):
            histories = (run.history.drop(columns=TIMED) for run in (one, other))
            pd.testing.assert_frame_equal(*histories)
            for name in FIGURES:
                assert one.summary[name] == other.summary[name], name
            weights, expected = (load_file(run.path / "model.safetensors") for run in (one, other))
            assert all(torch.equal(weights[name], expected[name]) for name in expected)

    return assert_alike


@pytest.fixture
def killer(tmp_path):
    """Kills the worker that first writes a checkpoint in the test's folder."""
    thread = threading.Thread(target=kill_the_first_to_checkpoint, args=[tmp_path])
    thread.start()
    yield
    thread.join()


def kill_the_first_to_checkpoint(folder):
    deadline = time.monotonic() + 120
    while not (checkpoints := list(folder.glob("*/checkpoint.pt"))):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    lock = str(checkpoints[0].with_name(".lock"))
    for child in psutil.Process().children(recursive=True):
        if lock in [file.path for file in child.open_files()]:
            child.send_signal(signal.SIGKILL)
