import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import __main__ as command
from analysis import notebooks
from lib.errors import UserError
from lib.files import read_json
from tests.analysis.samples import write_notebook

NAMES = [
    "plain",
    "a blank",
    "two  blanks",
    " blanks around ",
    "it's",
    'a "quote"',
    "$HOME ${PATH} $(id)",
    "`id`",
    "line\nbreak",
    "tab\tstop",
    "now! !1",
    "back\\slash\\",
    "a;b|c&d>e",
    "*?[a]{b,c}~#",
    "-leading",
    "été 日本",
]


def write_dataset(folder):
    """A folder whose pictures are listed, but never opened."""
    for name in ("a/1.png", "b/1.png"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()


def words_of(line):
    """The words that a shell makes of a command which begins with `python`."""
    script = 'python() { printf "%s\\0" "$@"; }\n' + line
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("name", NAMES)
def test_the_command_that_makes_a_copy_again_reads_the_same_in_a_shell(small_study, name):
    write_dataset(small_study / name)
    profile = f"{name}.yaml"
    (small_study / profile).write_text("factor: 4\n")
    changes = ["-p", "dataset", name, "-p", "factor", "1e1", "-p", "message", f"{name}!"]
    job, _ = command.plan(command.parse([f"--profile={profile}", "--only", "day1", *changes])).jobs
    module, package, *words = words_of(job.record["command"])
    assert (module, package) == ("-m", "analysis")
    again, _ = command.plan(command.parse(words)).jobs
    assert again.parameters == {"dataset": name, "factor": 10, "message": f"{name}!"}
    assert again.record == job.record
    assert again.due


@pytest.fixture
def quick_project(project_copy):
    """A copy of the project with a quick day and a home page alone."""
    root = project_copy("analysis", "lib")
    for notebook in (root / "analysis").glob("*.ipynb"):
        notebook.unlink()
    write_notebook(root / "analysis" / "day1_first.ipynb", "First day")
    write_notebook(root / "analysis" / "home.ipynb", "Home")
    return root


def test_a_real_shell_makes_the_copy_again_with_the_same_key(quick_project):
    root = quick_project
    name = '-it\'s "$HOME" `id`\n!1 \\ été'
    write_dataset(root / name)
    (root / f"{name}.yaml").write_text("factor: 4\n")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def study(*words):
        done = subprocess.run(words, cwd=root, env={**os.environ, "PATH": path}, text=True)
        assert done.returncode == 0
        copy = read_json(next((root / "report" / "studies").glob("*/day1_first.ipynb")))
        shutil.rmtree(root / "report")
        return copy

    options = [f"--profile={name}.yaml", "--only", "day1", "-p", "dataset", name]
    first = study(sys.executable, "-m", "analysis", *options)
    again = study("sh", "-c", first["metadata"]["daybook"]["command"])
    for copy in (first, again):
        assert "".join(copy["cells"][-1]["outputs"][0]["data"]["text/plain"]) == f"{name} 84\n"
        del copy["metadata"]["daybook"]["seconds"]
    assert again == first


@pytest.mark.parametrize("value", ["-1", "-1e-3", "-.5", "--force", "-p"])
def test_a_value_may_begin_with_a_hyphen(value):
    assert command.parse(["-p", "lr", value, "--force"]).p == [("lr", value)]


def test_a_change_without_a_value_is_a_mistake_of_usage(capsys):
    with pytest.raises(SystemExit) as raised:
        command.parse(["-p", "lr"])
    assert raised.value.code == 2
    assert "-p" in capsys.readouterr().err


@pytest.fixture
def no_kernel(monkeypatch):
    """The study's own notebooks, none of which may be started."""
    monkeypatch.setattr(notebooks, "execute", lambda *_: pytest.fail("a notebook was started"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("seeds", "0", "seeds = 0 should be a whole number from 1 to 1,000"),
        ("seeds", "-1", "seeds = -1 should be a whole number from 1 to 1,000"),
        ("image_size", "1", "image_size = 1 should be a whole number from 2 to 1,024"),
        ("lr", "1e3", "lr = 1000.0 should be a number from 1e-08 to 100"),
        ("epochs", "0", "epochs = 0 should be a whole number from 1 to 10,000"),
        ("ablation_pictures", "-3", "ablation_pictures = -3 should be a whole number from 1 to"),
        ("gallery_pictures", "-1", "gallery_pictures = -1 should be"),
        ("batch_size", "1", "batch_size = 1 should be a whole number from 2 to"),
        ("augmentation", "flip", "augmentation = 'flip' should be one of none, flip_crop"),
    ],
)
def test_a_value_outside_its_limits_is_refused_before_a_notebook_starts(
    no_kernel, tmp_path, name, text, words
):
    with pytest.raises(UserError) as raised:
        command.main(["-p", name, text])
    assert str(raised.value).startswith(f"-p: {words}")
    (tmp_path / "own.yaml").write_text(f"{name}: {text}\n")
    with pytest.raises(UserError) as raised:
        command.main(["--force", "--profile", str(tmp_path / "own.yaml")])
    assert str(raised.value).startswith(f"profile {tmp_path / 'own.yaml'}: {words}")
    assert "\n" not in str(raised.value)


def test_a_change_that_the_day_does_not_take_is_checked_too(no_kernel):
    with pytest.raises(UserError, match=r"^-p: ablation_pictures = -3 should be"):
        command.main(["--only", "day2", "-p", "ablation_pictures", "-3"])


def test_one_and_one_point_nought_are_the_same_number(small_study):
    parameters = 'dataset = "digits"\nrate = 0.1\n'
    write_notebook(small_study / "analysis" / "day1_first.ipynb", "First day", parameters)
    plans = [command.plan(command.parse(["-p", "rate", text])) for text in ("1", "1.0", "1e0")]
    jobs = [planned.jobs[0] for planned in plans]
    assert len({job.record["key"] for job in jobs}) == 1
    stored = {"rate": 1}  # as a copy may have it that was made when `-p rate 1` was a whole number
    assert jobs[0].notebook.parameters(stored) == {"rate": 1.0}
    assert isinstance(jobs[0].notebook.parameters(stored)["rate"], float)


def test_a_pipe_has_a_line_at_once_when_a_notebook_starts(quick_project):
    (quick_project / "own.yaml").write_text("factor: 4\n")
    study = subprocess.Popen(
        [sys.executable, "-m", "analysis", "--profile", "own.yaml"],
        cwd=quick_project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = study.stderr.readline()
    assert study.poll() is None  # its kernel has not even started
    output, rest = study.communicate()
    assert study.returncode == 0
    assert first == "First day: started\n"
    ends = [line.rpartition(" in ")[0] or line for line in rest.splitlines()]
    ends = [line for line in ends if ": at work for " not in line]  # on a busy machine
    assert ends == ["First day: done", "Home: started", "Home: done"]
    assert (first + rest).replace("\n", "").isprintable()
    assert [line.split()[0] for line in output.splitlines()] == ["First", "Home"]
