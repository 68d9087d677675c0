import io

import pytest

from analysis.lines import Lines


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(clock):
    shown = Lines(io.StringIO(), clock)
    shown.begin("Day")
    return shown


def written(lines):
    """What was written since the last time, line by line."""
    text = lines.stream.getvalue()
    lines.stream.seek(0)
    lines.stream.truncate()
    assert text == "" or text.endswith("\n")
    return text.splitlines()


def sweep(runs):
    return {"event": "sweep", "runs": runs}


def begin(run_id, label="mixup", epochs=8):
    return {"event": "run", "run_id": run_id, "label": label, "epochs": epochs}


def epoch(run_id, number, val_accuracy=0.931):
    progress = {"epoch": number, "before": number - 1, "val_accuracy": val_accuracy}
    return {"event": "epoch", "run_id": run_id, **progress}


def finish(run_id):
    return {"event": "finished", "run_id": run_id}


def after(lines, clock, seconds, *events):
    """What is written when these events have come and that time has passed."""
    for event in events:
        lines.show(event)
    clock.now += seconds
    lines.look()
    return written(lines)


def test_a_notebook_has_a_line_when_it_starts_and_when_it_is_done(lines):
    assert written(lines) == ["Day: started"]
    lines.done("Day", 61.7)
    assert written(lines) == ["Day: done in 62 s"]


def test_a_line_comes_every_ten_seconds_and_not_sooner(lines, clock):
    written(lines)
    lines.show(sweep(3))
    lines.show(begin("a"))
    for tenth in range(1, 301):  # half a minute, looked at as often as the command looks
        clock.now = 100 + tenth / 10
        lines.look()
        if tenth % 100 == 0:
            assert written(lines) == ["Day: mixup, run 1 of 3, epoch 1 of 8"]
        else:
            assert written(lines) == []


def test_a_line_tells_run_epoch_accuracy_and_time_left(lines, clock):
    written(lines)
    after(lines, clock, 6, sweep(3), begin("a"))
    after(lines, clock, 1, finish("a"), begin("b", "cutout"))
    assert after(lines, clock, 2, epoch("b", 1)) == []
    found = after(lines, clock, 1, epoch("b", 2))  # two epochs in 3 s, and 1 s since
    assert found == ["Day: cutout, run 2 of 3, epoch 2 of 8, val 93.1%, 8 s left in this run"]
    found = after(lines, clock, 100)  # it takes longer than it should
    assert found == ["Day: cutout, run 2 of 3, epoch 2 of 8, val 93.1%, 0 s left in this run"]
    found = after(lines, clock, 10, epoch("b", 8, 1.0))
    assert found == ["Day: cutout, run 2 of 3, epoch 8 of 8, val 100.0%"]


def test_a_resumed_run_is_timed_by_what_it_trained_here(lines, clock):
    after(lines, clock, 4, sweep(1), begin("a"))
    found = after(lines, clock, 10, epoch("a", 6))[-1]  # one epoch took 4 s, two are left
    assert found == "Day: mixup, run 1 of 1, epoch 6 of 8, val 93.1%, 0 s left in this run"
    clock.now = 100
    again = Lines(io.StringIO(), clock)
    again.begin("Day")
    after(again, clock, 12, begin("a"))
    assert after(again, clock, 10, epoch("a", 6))[-1].endswith("val 93.1%, 14 s left in this run")


def test_stored_runs_and_unknown_ones_leave_no_trace(lines, clock):
    events = [sweep(2), begin("a"), finish("a"), epoch("x", 3), finish("x"), begin("b")]
    assert after(lines, clock, 10, *events)[-1] == "Day: mixup, run 2 of 2, epoch 1 of 8"


def test_a_run_outside_a_sweep_has_no_number(lines, clock):
    assert after(lines, clock, 10, begin("a"))[-1] == "Day: mixup, epoch 1 of 8"
    events = [finish("a"), sweep(1), begin("b"), finish("b"), begin("c")]
    assert after(lines, clock, 10, *events)[-1] == "Day: mixup, epoch 1 of 8"


def test_of_runs_side_by_side_the_last_to_report_is_told(lines, clock):
    events = [sweep(3), begin("a", "mixup"), begin("b", "cutout"), epoch("a", 3)]
    found = after(lines, clock, 10, *events)[-1]
    assert found.startswith("Day: mixup, run 1 of 3, epoch 3 of 8, val 93.1%, ")
    assert found.endswith(", 2 runs at once")
    found = after(lines, clock, 10, begin("a", "mixup"))[-1]  # after its worker died
    assert found == "Day: mixup, run 1 of 3, epoch 1 of 8, 2 runs at once"


def test_decoding_is_told_until_it_is_over(lines, clock):
    decode = {"event": "decode", "dataset": "photos", "done": 12000, "total": 60000}
    assert after(lines, clock, 10, decode)[-1] == "Day: decoding photos: 12,000 of 60,000"
    decode["done"] = 60000
    assert after(lines, clock, 10, decode) == ["Day: at work for 20 s"]


def test_nothing_is_written_while_nothing_is_under_way(lines, clock):
    lines.done("Day", 1.0)
    written(lines)
    assert after(lines, clock, 100) == []
    fresh = Lines(io.StringIO(), clock)
    assert after(fresh, clock, 100) == []


def test_the_next_notebook_knows_nothing_of_the_last_ones_runs(lines, clock):
    lines.show(begin("a"))
    lines.done("Day", 1.0)
    lines.begin("Next")
    found = after(lines, clock, 10, epoch("a", 3), finish("a"))
    assert found[-1] == "Next: at work for 10 s"


def test_a_name_with_control_characters_stays_within_its_line(lines, clock):
    name = "a\nb\x1b[2J\udce9 été"
    decode = {"event": "decode", "dataset": name, "done": 1, "total": 2}
    found = after(lines, clock, 10, decode)[-1]
    assert found == "Day: decoding a\\nb\\x1b[2J\\udce9 été: 1 of 2"


def test_each_line_is_written_at_once(tmp_path, clock):
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        Lines(stream, clock).begin("Day")
        assert (tmp_path / "log").read_text() == "Day: started\n"
