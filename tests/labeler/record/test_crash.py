"""Killed 200 times at random moments while it labels, a session loses nothing it acknowledged.

A killed process leaves the operating system's caches alone, so this shows that the order of writes
is right; that each label is flushed as well is shown in `test_journal.py`.
"""

import csv
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labeler.record.session import Session

SCRIPT = Path(__file__).with_name("script_that_labels.py")
KILLS = 200


def load_steps():
    spec = importlib.util.spec_from_file_location("script_that_labels", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.step_at


def advance(state, history, step):
    """The state, {file: class, or None for a skip}, after one more step."""
    action, name, label = step
    before = dict(state)
    if action == "undo":
        return history.pop() if history else before
    if action == "label":
        state = {**state, name: label}
    elif action == "skip" and name not in state:
        state = {**state, name: None}
    elif action == "clear" and name in state:
        state = {key: value for key, value in state.items() if key != name}
    elif action in ("clear",) or state.get(name) is not None:
        return before  # nothing to clear, or a label that a skip leaves alone: no step to undo
    history.append(before)
    return state


def read_as_documented(folder):
    """The state on the disk, read by the docstring of labeler.record.journal alone."""
    state, skipped = {}, set()
    table = folder / "labels.csv"
    if table.exists():
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.reader(lines, strict=True))
        assert rows[0] == ["filename", "label"]
        assert all(len(row) == 2 and row[1] in "012" for row in rows[1:])
        assert len({row[0] for row in rows}) == len(rows)
        state = dict(rows[1:])
    journal = folder / ".labels.journal"
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    entries = [json.loads(line) for line in lines]
    saved = max((entry.get("saved", 0) for entry in entries), default=0)
    for number, entry in enumerate(entries):
        if "file" in entry:
            if entry.get("skip"):
                skipped.add(entry["file"])
            else:
                skipped.discard(entry["file"])
            if number >= saved:
                state.pop(entry["file"], None)
                if entry.get("label"):
                    state[entry["file"]] = entry["label"]
    return {**dict.fromkeys(skipped), **state}


@pytest.fixture
def labelling(tmp_path):
    """Labels `tmp_path` from a step on, in a process killed so many seconds after its start.

    With `begun`, the seconds count from its first step. Returns how many steps it acknowledged.
    """
    script = subprocess.Popen(
        [sys.executable, SCRIPT, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[3])},
    )

    def run_and_kill(first, seconds, begun):
        print(first, file=script.stdin, flush=True)
        process, acknowledged, killed = 0, 0, False
        for line in script.stdout:
            word, number = line.split()
            if word == "dead":
                return acknowledged
            process = int(number) if word == "process" else process
            acknowledged += word == "step"
            if process and not killed and (acknowledged or not begun):
                time.sleep(seconds)
                os.kill(process, signal.SIGKILL)
                killed = True
        raise AssertionError("the script ended by itself")

    yield run_and_kill
    script.stdin.close()
    script.wait()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
def test_killed_at_any_moment_every_acknowledged_label_is_there(tmp_path, labelling):
    chance = random.Random(7)
    step_at = load_steps()
    state, number, acknowledged_in_all = {}, 0, 0
    for kill in range(KILLS):
        acknowledged = labelling(number, chance.uniform(0, 0.02), begun=kill % 8 > 0)
        history = []
        for _ in range(acknowledged):
            state = advance(state, history, step_at(number))
            number += 1
        on_disk = read_as_documented(tmp_path)
        if on_disk != state:  # one more may have reached the disk before it was acknowledged
            state = advance(state, history, step_at(number))
            number += 1
        assert on_disk == state, f"kill {kill} after step {number}"
        acknowledged_in_all += acknowledged
        if kill % 5 == 0:
            session = Session(tmp_path)
            assert {**dict.fromkeys(session.skipped), **session.labels} == state
            session.close()
    assert acknowledged_in_all > KILLS
