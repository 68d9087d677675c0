"""What is asked of runs that others trained: their events, and whether they came out the same."""

import json

import pandas as pd
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
