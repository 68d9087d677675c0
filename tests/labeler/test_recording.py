import os
import subprocess
from itertools import pairwise
from types import SimpleNamespace

import pytest
from PIL import Image

from labeler import recording
from labeler.errors import LabelerError
from labeler.recording import CLASSES, SECONDS, Actor, main, perform, save_digits, virtual_display


def test_the_digits_are_written_in_the_order_of_their_names(tmp_path):
    pytest.importorskip("sklearn")
    digits = save_digits(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == len(digits) > 300
    assert set(digits) == set(CLASSES)
    with Image.open(files[0]) as first:
        assert (first.size, first.mode) == ((8, 8), "L")
        assert first.getextrema()[1] > 200


def test_the_steps_fit_into_the_video(monkeypatch):
    clock, keys = [0.0], []
    monkeypatch.setattr(
        recording,
        "time",
        SimpleNamespace(
            sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds),
            monotonic=lambda: clock[0],
        ),
    )
    monkeypatch.setattr(recording, "xdotool", lambda _, *arguments: keys.append(arguments))
    actor = Actor({}, [3, 8] * 200, started=0.0)
    perform(actor, SECONDS)
    assert clock[0] == pytest.approx(SECONDS)
    starts = [start for start, _ in actor.captions]
    assert all(later - earlier > 2 for earlier, later in pairwise(starts))
    assert keys[0] == ("key", "a")
    assert ("key", "ctrl+e") in keys


def test_a_virtual_display_lasts_as_long_as_its_context(display):
    with virtual_display((320, 200)) as name:
        assert name != display
        socket = f"/tmp/.X11-unix/X{name.removeprefix(':')}"
        assert os.path.exists(socket)
    assert not os.path.exists(socket)


def test_a_missing_program_is_one_line_and_exit_status_2(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subprocess, "Popen", None)
    assert main([str(tmp_path / "labeler.webm")]) == 2
    assert capsys.readouterr().err == (
        "error: xdotool is not installed: install it with your system's package manager.\n"
    )
    with pytest.raises(LabelerError, match="Xvfb is not installed"), virtual_display():
        pass
    assert list(tmp_path.iterdir()) == []
