import io
import itertools
import sys
import time

from analysis.lines import Lines
from analysis.terminal import Progress, following, shown_here
from lib import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def begin(run_id, label):
    return {"event": "run", "run_id": run_id, "label": label, "epochs": 10}


def epoch(run_id, number):
    progress = {"epoch": number, "before": number - 1, "val_accuracy": 0.5}
    return {"event": "epoch", "run_id": run_id, **progress}


def finish(run_id):
    return {"event": "finished", "run_id": run_id}


def shown(*events):
    """The bars after a sweep of three runs has begun and reported these events."""
    bars = Progress(1)
    for event in [{"event": "sweep", "runs": 3}, *events]:
        bars.show(event)
    return bars


def rows(bars):
    """Run id to the row of its bar on the terminal, from the top."""
    return {run_id: abs(bar.pos) for run_id, bar in bars.epochs.items()}


def test_each_run_at_work_has_a_row_with_its_label_and_epoch(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bars = shown(begin("a", "mixup"), begin("b", "cutout"), epoch("b", 2), epoch("a", 4))
    assert rows(bars) == {"a": 2, "b": 3}
    text = {run_id: str(bar) for run_id, bar in bars.epochs.items()}
    assert text["a"].startswith("    mixup ")
    assert "4/10, val 50.0%  " in text["a"]
    assert text["b"].startswith("    cutout ")
    assert "2/10, val 50.0%  " in text["b"]
    bars.close()


def test_a_finished_run_leaves_its_row_to_the_next(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bars = shown(begin("a", "mixup"), begin("b", "cutout"), finish("a"))
    assert rows(bars) == {"b": 3}
    assert bars.runs.n == 1
    bars.show(begin("c", "cutmix"))
    assert rows(bars) == {"b": 3, "c": 2}
    bars.close()


def test_a_run_taken_up_again_keeps_its_row_and_times_only_what_is_left(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bars = shown(begin("a", "mixup"), epoch("a", 1), begin("a", "mixup"), epoch("a", 8))
    assert rows(bars) == {"a": 2}
    assert (bars.epochs["a"].initial, bars.epochs["a"].n) == (7, 8)
    bars.close()


def decoded(done, dataset="photos"):
    return {"event": "decode", "dataset": dataset, "done": done, "total": 60000}


def test_decoding_and_embedding_have_a_bar_until_they_are_over(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bars = shown(decoded(64), decoded(12000))
    assert rows(bars) == {"decoding photos": 2}
    assert "12000/60000" in str(bars.epochs["decoding photos"])
    embedded = {"event": "embedding", "engine": "PyTorch", "done": 5, "pictures": 10, "left": 1.0}
    bars.show(embedded)
    assert "5/10" in str(bars.epochs["embedding by PyTorch"])
    bars.show(decoded(60000))
    assert rows(bars) == {"embedding by PyTorch": 3}
    bars.close()


def test_a_folders_name_commands_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bars = shown(decoded(64, dataset="\x1b[2J\nphotos"))
    bars.close()
    assert "\\x1b[2J\\nphotos" in sys.stderr.getvalue()
    assert "\x1b[2J" not in sys.stderr.getvalue()


def test_without_a_terminal_nothing_is_drawn(capsys):
    bars = shown(begin("a", "mixup"), epoch("a", 1), finish("a"), begin("b", "cutout"))
    bars.close()
    assert capsys.readouterr().err == ""


def test_bars_are_for_a_terminal_and_lines_for_the_rest(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    bars = shown_here(1)
    assert isinstance(bars, Progress)
    bars.begin("Day")
    bars.done("Day", 61.7)
    bars.close()
    assert "Day: 62 s" in sys.stderr.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(shown_here(1), Lines)


def test_lines_follow_the_events_as_they_are_appended(tmp_path, monkeypatch):
    path = tmp_path / "events"
    monkeypatch.setenv(progress.VARIABLE, str(path))
    lines = Lines(io.StringIO(), itertools.count(step=5).__next__)  # each look is 5 s later
    with following(path, lines):
        lines.begin("Day")
        progress.report("decode", dataset="photos", done=64, total=128)
        for _ in range(600):
            if "decoding" in lines.stream.getvalue():
                break
            time.sleep(0.1)
    assert "Day: decoding photos: 64 of 128\n" in lines.stream.getvalue()
