import json

import pytest

from lib import progress


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
