import io
import json
import os
import sys

import pytest
from jupyter_client.manager import start_new_kernel

from lib import progress
from tests.imports import PROJECT


@pytest.fixture
def events(tmp_path, monkeypatch):
    """Reads what was reported since the test began."""
    path = tmp_path / "events"
    monkeypatch.setenv(progress.VARIABLE, str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


def test_an_event_is_a_line_with_its_facts(events):
    progress.report("sweep", runs=2)
    progress.report("epoch", run_id="a", epoch=1)
    assert events() == [
        {"event": "sweep", "runs": 2},
        {"event": "epoch", "run_id": "a", "epoch": 1},
    ]


def test_what_another_process_appends_is_passed_on_once_and_in_whole_lines(events, tmp_path):
    other = tmp_path / "other"
    other.write_text('{"event": "run"}\n{"event": "ep')
    read = progress.pass_on(other, 0)
    assert events() == [{"event": "run"}]
    with other.open("a") as file:
        file.write('och"}\n')
    read = progress.pass_on(other, read)
    assert progress.pass_on(other, read) == read == other.stat().st_size
    assert events() == [{"event": "run"}, {"event": "epoch"}]


def test_without_the_variable_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    progress.report("sweep", runs=2)
    assert list(tmp_path.iterdir()) == []


def test_what_is_reported_during_a_block_is_heard_at_its_end(events):
    progress.report("before")
    with progress.heard() as heard:
        progress.report("run", run_id="a")
        assert heard == []
    progress.report("after")
    assert heard == [{"event": "run", "run_id": "a"}]


def test_without_the_variable_nothing_is_heard(monkeypatch):
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    with progress.heard() as heard:
        progress.report("run", run_id="a")
    assert heard == []


COUNTING = """
import time
from lib import progress
with progress.bar("counting", 3, " sheep", wanted={wanted}) as bar:
    for _ in range(3):
        time.sleep(0.15)  # a bar is drawn ten times a second at most
        bar.update()
"""


def texts_under_a_cell(code, **variables):
    """What a notebook's reader sees under a cell with this code, one text after the other."""
    manager, client = start_new_kernel(
        cwd=str(PROJECT), env={**os.environ, "PYTHONPATH": str(PROJECT), **variables}
    )
    messages = []
    try:
        client.execute_interactive(code, timeout=60, output_hook=messages.append)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert not [one for one in messages if one["msg_type"] == "error"]
    return [
        text
        for one in messages
        for text in (one["content"].get("text"), one["content"].get("data", {}).get("text/plain"))
        if text is not None
    ]


def test_a_bar_moves_under_a_cell_and_leaves_nothing(monkeypatch):
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    texts = texts_under_a_cell(COUNTING.format(wanted=True))
    assert [f"{n}/3" in " ".join(texts) for n in range(4)] == [True] * 4
    assert texts[-1] == ""


@pytest.mark.parametrize("wanted", [True, False])
def test_a_notebook_whose_events_are_read_has_no_bar_nor_has_who_wants_none(tmp_path, wanted):
    variables = {progress.VARIABLE: str(tmp_path / "events")} if wanted else {}
    assert texts_under_a_cell(COUNTING.format(wanted=wanted), **variables) == []


def test_a_bar_is_drawn_in_a_terminal_and_not_in_a_pipe(monkeypatch):
    for terminal in (True, False):
        stream = io.StringIO()
        stream.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.bar("counting", 3, " sheep") as bar:
            bar.update(3)
        assert ("3/3" in stream.getvalue()) is terminal
