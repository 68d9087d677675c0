"""From a folder of pictures without labels to a served model, by the README's commands alone."""

import csv
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from labeler.recording import save_digits, virtual_display

PICTURES = 140
QUICK = """
seeds: 1
batch_size: 16
width: 16
epochs: 20
ablation_epochs: 1
pretraining_epochs: 1
transfer_epochs: 1
transfer_seeds: 1
label_draws: 1
head_seeds: 1
diagnosed_pictures: 20
"""


@pytest.fixture(scope="module")
def person():
    """A labeler's user, on a display of their own: what their commands need in the environment."""
    for program in ("Xvfb", "xdotool"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: nobody can press the labeler's keys")
    pytest.importorskip("tkinter", reason="Python was built without Tk")
    with virtual_display() as display:
        yield {**os.environ, "DISPLAY": display}


def command(root, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def label_all(root, environment, digits):
    """Press a for a three and b for an eight until every picture of `pictures` is labelled."""
    start = [sys.executable, "-m", "labeler", "pictures", "--classes", "three,eight"]
    with subprocess.Popen(start, cwd=root, env=environment) as labeler:

        def xdotool(*arguments):
            pressed = subprocess.run(
                ["xdotool", *arguments], env=environment, capture_output=True, text=True, timeout=60
            )
            return pressed.stdout

        window = xdotool("search", "--sync", "--name", "of [0-9]+ labelled").split()[0]
        xdotool("windowfocus", "--sync", window)

        def labelled():
            return int(re.match(r".*?(\d+) of", xdotool("getwindowname", window))[1])

        for number, digit in enumerate(digits):
            end = time.monotonic() + 20
            xdotool("key", "a" if digit == 3 else "b")
            while labelled() == number:
                assert time.monotonic() < end, f"the key for picture {number + 1} had no effect"
        xdotool("key", "ctrl+q")
        assert labeler.wait(60) == 0


@contextmanager
def serving(root):
    """The address of `python -m api` with the bundle that the study packed."""
    start = [sys.executable, "-m", "api", "--bundle", "models/pictures", "--port", "0"]
    with subprocess.Popen(start, cwd=root, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield re.search(r"http://\S+", server.stdout.readline())[0]
        finally:
            server.terminate()
            server.stdout.read()
    assert server.returncode == 0


@pytest.mark.timeout(900)
def test_the_loop_closes(person, project_copy):
    root = project_copy("analysis", "lib", "report", "labeler", "api", "_quarto.yml")
    pictures = root / "pictures"
    pictures.mkdir()
    digits = save_digits(pictures)[:PICTURES]
    for path in sorted(pictures.iterdir())[PICTURES:]:
        path.unlink()
    label_all(root, person, digits)
    command(root, "labeler.splits", "pictures", "--ratios", ".7", ".15", ".15")

    with (pictures / "splits.csv").open(newline="") as lines:
        splits = {row["filename"]: row["split"] for row in csv.DictReader(lines)}
    damaged = next(name for name, split in splits.items() if split == "train")
    (pictures / damaged).write_bytes((pictures / damaged).read_bytes()[:60])

    (root / "quick.yaml").write_text(QUICK + "unreadable: skip\n")
    chosen = ["-p", "dataset", "pictures", "-p", "image_size", "16"]
    command(root, "analysis", "--profile", "quick.yaml", *chosen)
    command(root, "report")
    days = root / "_site" / "report" / "studies" / "pictures"
    assert "three" in (days / "day4_diagnostics.html").read_text()
    for page in ("day1_augmentations", "model_card"):
        text = re.sub("<[^>]*>", "", (days / f"{page}.html").read_text())
        assert damaged in text, f"{page} does not name the picture that was left out"

    names = sorted(path.name for path in pictures.glob("*.png"))
    shown = dict(zip(names, digits, strict=True))
    test = [name for name, split in splits.items() if split == "test"]
    assert len(test) > 15
    with serving(root) as url:
        files = [("file", (name, (pictures / name).read_bytes())) for name in test]
        answer = httpx.post(f"{url}/predict", files=files[:16]).raise_for_status().json()
    said = {picture["file"]: picture["label"] for picture in answer["predictions"]}
    right = sum(said[name] == {3: "three", 8: "eight"}[shown[name]] for name in said)
    assert right / len(said) > 0.8
