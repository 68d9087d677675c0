"""From a fresh checkout to a website: every notebook with tiny parameters, through every engine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TINY = """
dataset: digits
image_size: 8
seeds: 1
batch_size: 128
width: 4
epochs: 1
ablation_epochs: 1
ablation_pictures: 100
pretraining_pictures: 60
pretraining_epochs: 1
transfer_pictures: 60
transfer_epochs: 1
transfer_seeds: 1
head_epochs: 1
head_seeds: 1
diagnosed_pictures: 40
gallery_pictures: 50
"""
pytestmark = pytest.mark.timeout(900)  # the first test waits for the study
PAGES = [
    "day1_augmentations",
    "day2_from_scratch",
    "day3_transfer",
    "day4_diagnostics",
    "day5_artifacts",
]


def run(root, *arguments):
    command = [sys.executable, "-m", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(project_copy):
    """A copy of the sources whose study has run with the tiny profile."""
    root = project_copy("analysis", "lib", "report", "_quarto.yml")
    (root / "tiny.yaml").write_text(TINY)
    run(root, "analysis", "--profile", "tiny.yaml")
    return root


def test_a_second_study_executes_nothing(checkout):
    lines = run(checkout, "analysis").splitlines()
    assert len(lines) == len(PAGES) + 1
    assert all("unchanged" in line for line in lines)


def test_the_study_leaves_a_bundle_that_predicts(checkout):
    picture = checkout / "picture.png"
    Image.new("RGB", (20, 20), "white").save(picture)
    answers = json.loads(run(checkout, "lib.inference", picture, "--json", "--top", "10"))
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1)
    assert set(answers[0]["probabilities"]) == set("0123456789")
    assert (checkout / "models" / "best" / "README.md").is_file()


@pytest.mark.parametrize("engine", ["pandoc", "quarto"])
def test_the_site_has_home_and_every_day_with_charts(checkout, engine):
    if engine == "quarto" and not shutil.which("quarto"):
        pytest.skip("quarto is not on PATH")
    said = run(checkout, "report", "--engine", engine)
    assert f"with {engine.capitalize()}" in said
    site = checkout / "_site"
    assert "Test accuracy" in (site / "index.html").read_text()
    for page in PAGES:
        text = (site / "report" / "days" / f"{page}.html").read_text()
        assert "daybook-spec" in text
        assert "Traceback" not in text
    days = site / "report" / "days"
    assert len(list((days / "gallery").glob("*-image.png"))) == 50
    matrices = (days / "day4_diagnostics_charts").glob("confusion-*.js")
    assert any("gallery.html#true=" in path.read_text() for path in matrices)
