"""Studies of folders whose pictures change, through the real commands.

Whatever a page says is about the pictures that are there now, or it says that it is not.
"""

import json
import random
import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from lib.pages.wording import per_cent
from lib.study.study import Study
from tests import recount

PROFILE = """
image_size: 8
seeds: 2
batch_size: 16
width: 8
epochs: 4
diagnosed_pictures: 20
gallery_pictures: 0
"""
EASY, HARD = 20, 60  # pictures of a class that are told apart, and that are mere noise
TIMES = re.compile(r"[\d.,]+(\s|&nbsp;|\xa0)?(ms|s|min|per second)\b")
PICTURES = ("--study", "pictures")  # also where another one is the latest
pytestmark = pytest.mark.timeout(900)


def write_pictures(folder, kind, count, seed):
    """`count` pictures of each of two classes under `folder`: `easy` ones, or `hard` ones."""
    draw = random.Random(seed)
    for level, label in ((60, "dark"), (190, "bright")):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            centre = level if kind == "easy" else 128
            pixels = bytes(centre + draw.randint(-60, 60) for _ in range(8 * 8 * 3))
            image = Image.frombytes("RGB", (8, 8), pixels)
            image.save(folder / label / f"{kind}{number:03d}.png")


def command(root, *words):
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=root, capture_output=True, text=True, check=False
    )


def analysis(root, *words):
    done = command(root, "analysis", *words)
    assert done.returncode == 0, done.stderr
    return [line.split("  ")[0] for line in done.stdout.splitlines() if " made in " in line]


def quick_checkout(project_copy):
    """The project without the days that train more than one network: a study of a minute."""
    root = project_copy("analysis", "lib", "report", "_quarto.yml")
    for day in ("day1_augmentations", "day3_transfer"):
        (root / "analysis" / f"{day}.ipynb").unlink()
    (root / "quick.yaml").write_text(PROFILE)
    return root


def study_of(root, name="pictures"):
    return Study(root / "report" / "studies" / name)


def text_of(root, page, name="pictures"):
    """What a page shows, of a notebook its outputs; figures that are times are left out."""
    path = study_of(root, name).path
    if page == "model_card":
        text = (path / "model_card.md").read_text(encoding="utf-8")
    else:
        executed = json.loads((path / f"{page}.ipynb").read_text(encoding="utf-8"))
        outputs = [output for cell in executed["cells"] for output in cell.get("outputs", [])]
        text = "\n".join("".join(output["data"]["text/markdown"]) for output in outputs)
    return TIMES.sub("TIME", re.sub(r"sha256[^\n]*|\"seconds[^}]*", "", text))


def recounted(root, name="pictures"):
    """Of the best run that the home page compares: test accuracy, errors, number of pictures."""
    compared = study_of(root, name).pages["home"].compared
    (best, *_), *_ = recount.recipes(recount.Records(root / "runs").of(compared))
    wrong = ~best.correct()
    return 1 - wrong.mean(), int(wrong.sum()), len(wrong)


def assert_home_is_recounted(root, name="pictures"):
    accuracy, _, total = recounted(root, name)
    home = text_of(root, "home", name)
    assert f"<strong>{per_cent(accuracy)}</strong>" in home
    assert f"measured on {total} test pictures" in home


def outdated(root, name="pictures"):
    """The pages of the study that are about earlier pictures."""
    study = study_of(root, name)
    return [page for page in study.pages if study.outdated(page)]


def test_pictures_that_are_added_leave_no_figure_of_those_before(project_copy, monkeypatch):
    root = quick_checkout(project_copy)
    monkeypatch.chdir(root)
    write_pictures(root / "pictures", "easy", EASY, seed=0)
    about = ("--profile", "quick.yaml", "-p", "dataset", "pictures")
    assert len(analysis(root, *about)) == 4
    before = {page: text_of(root, page) for page in ("home", "day4_diagnostics", "model_card")}
    first_runs = study_of(root).trained
    assert outdated(root) == []

    write_pictures(root / "pictures", "hard", HARD, seed=1)
    assert analysis(root, "--only", "day2") == ["A CNN from scratch", "Vision Daybook"]
    assert_home_is_recounted(root)
    assert text_of(root, "home").count("about earlier pictures") == 2
    assert "2 runs" in text_of(root, "home")  # the two seeds on the present pictures
    assert outdated(root) == ["day4_diagnostics", "day5_artifacts"]
    assert command(root, "report", "--engine", "pandoc").returncode == 0
    site = root / "_site" / "report" / "studies" / "pictures"
    for page in ("day4_diagnostics", "day5_artifacts", "model_card", "gallery"):
        assert "This page is about earlier pictures" in (site / f"{page}.html").read_text("utf-8")
    assert "earlier pictures (content" not in (root / "_site" / "index.html").read_text("utf-8")
    listed = json.loads((root / "report/assets/generated/runs.json").read_text("utf-8"))
    marked = {run["id"] for run in listed if run["earlier"] == ["pictures"]}
    assert marked == first_runs
    assert not any(run["studies"] for run in listed if run["id"] in first_runs)

    assert len(analysis(root)) == 3
    assert outdated(root) == []
    accuracy, wrong, total = recounted(root)
    assert wrong > 0
    assert total > 2 * EASY // 5
    assert_home_is_recounted(root)
    for page in before:
        assert text_of(root, page) != before[page]
    assert f"{wrong} of {total} test pictures are misclassified" in text_of(
        root, "day4_diagnostics"
    )
    packed = text_of(root, "day5_artifacts").replace(" %", "\xa0%")
    assert f"on validation, {per_cent(accuracy)} (" in packed
    assert f"**{per_cent(accuracy)}" in text_of(root, "model_card")
    gallery = (study_of(root).path / "gallery" / "gallery.js").read_text(encoding="utf-8")
    assert f'"tested":{total},"mistakes":{wrong},' in gallery

    # Every other figure is the same as where the earlier pictures were never seen.
    figures = ("home", "day4_diagnostics", "day5_artifacts", "model_card")
    after = {page: text_of(root, page) for page in figures}
    present = study_of(root).trained
    for path in (study_of(root).path, root / "models"):
        shutil.rmtree(path)
    for run in (root / "runs").iterdir():
        if run.name not in present:
            shutil.rmtree(run)
    assert len(analysis(root, *about)) == 4
    assert {page: text_of(root, page) for page in after} == after


@pytest.fixture(scope="module")
def executed(project_copy):
    """A checkout whose day 2 was executed for the folder `pictures`."""
    root = quick_checkout(project_copy)
    write_pictures(root / "pictures", "easy", EASY, seed=0)
    write_pictures(root / "pictures", "hard", EASY, seed=0)
    about = ("--profile", "quick.yaml", "-p", "dataset", "pictures")
    assert len(analysis(root, "--only", "day2", *about)) == 2
    return root


@pytest.fixture
def studied(executed, monkeypatch):
    """That checkout as the test before leaves it: its study is about the present pictures."""
    monkeypatch.chdir(executed)
    assert outdated(executed) in ([], ["day4_diagnostics"])
    return executed


def test_two_studies_of_one_folder_keep_to_their_own_runs(studied):
    first = study_of(studied).trained
    about = ("--profile", "quick.yaml", "-p", "dataset", "pictures", "-p", "epochs", "1")
    assert len(analysis(studied, "--study", "short", "--only", "day2", *about)) == 2
    short = study_of(studied, "short")
    assert short.trained == short.pages["home"].compared
    assert not short.trained & first
    assert study_of(studied).pages["home"].compared == first
    assert_home_is_recounted(studied)
    assert_home_is_recounted(studied, "short")
    assert command(studied, "report", "--engine", "pandoc").returncode == 0
    listed = json.loads((studied / "report/assets/generated/runs.json").read_text("utf-8"))
    used = {run["id"]: run["studies"] for run in listed}
    assert {run_id for run_id, names in used.items() if names == ["pictures"]} == first
    assert {run_id for run_id, names in used.items() if names == ["short"]} == short.trained
    assert used.keys() == first | short.trained


def test_pictures_mended_in_place_are_other_pictures(studied):
    first_runs = study_of(studied).trained
    write_pictures(studied / "pictures", "easy", EASY, seed=7)
    write_pictures(studied / "pictures", "hard", EASY, seed=7)
    for day in ("day4", "day5"):
        done = command(studied, "analysis", *PICTURES, "--only", day)
        assert done.returncode == 2
        assert "no finished run on these pictures" in done.stderr
        assert "run days 1 to 3 on them first" in done.stderr
    assert analysis(studied, *PICTURES, "--only", "day2") == [
        "A CNN from scratch",
        "Vision Daybook",
    ]
    assert not study_of(studied).trained & first_runs
    assert_home_is_recounted(studied)
    assert "Diagnostics and robustness" in analysis(studied, *PICTURES, "--only", "day4")
    _, wrong, total = recounted(studied)
    assert f"{wrong} of {total} test pictures" in text_of(studied, "day4_diagnostics")


def rename_a_class(root):
    (root / "pictures" / "dark").rename(root / "pictures" / "night")


def change_the_splits(root):
    pictures = root / "pictures"
    for label in sorted(path.name for path in pictures.iterdir()):
        for split in ("train", "test"):
            (pictures / split / label).mkdir(parents=True)
        for number, path in enumerate(sorted((pictures / label).glob("*.png"))):
            path.rename(pictures / ("train" if number % 2 else "test") / label / path.name)
        (pictures / label).rmdir()


@pytest.mark.parametrize(
    ("change", "words", "same_files"),
    [
        (rename_a_class, (), False),
        (change_the_splits, (), False),
        (lambda root: None, ("-p", "image_size", "12"), True),
    ],
    ids=["a class renamed", "splits changed", "another size"],
)
def test_what_makes_other_pictures_of_them_leaves_their_runs_behind(
    studied, change, words, same_files
):
    first_runs = study_of(studied).trained
    change(studied)
    assert ("day2_from_scratch" in outdated(studied)) is not same_files
    assert len(analysis(studied, *PICTURES, "--only", "day2", *words)) == 2
    study = study_of(studied)
    assert study.pages["home"].compared == study.pages["day2_from_scratch"].trained
    assert not study.trained & first_runs
    assert_home_is_recounted(studied)


def test_a_folder_moved_elsewhere_is_the_same_study_and_is_not_trained_again(studied):
    (studied / "elsewhere").mkdir()
    shutil.move(studied / "pictures", studied / "elsewhere" / "photos")
    (studied / "link").symlink_to(studied / "elsewhere" / "photos")
    runs = {path: path.stat().st_mtime_ns for path in (studied / "runs").rglob("*")}
    trained = study_of(studied).trained
    made = analysis(studied, "--only", "day2", "-p", "dataset", "link")
    assert made == ["A CNN from scratch", "Vision Daybook"]
    assert study_of(studied).trained == trained
    assert {path: path.stat().st_mtime_ns for path in runs} == runs
    studies = {path.name for path in (studied / "report" / "studies").glob("*/")}
    assert studies == {"pictures", "short"}
    spelling = "elsewhere/../elsewhere/./photos"
    assert analysis(studied, "--only", "day2", "-p", "dataset", spelling) == []
