import json
import os
import shutil
import subprocess
import sys
import traceback
from html import escape
from pathlib import Path

import pypandoc
import pytest
from PIL import Image

from analysis import __main__ as command
from analysis import notebooks
from lib.data.dataset import load
from lib.errors import UserError
from lib.study.study import STUDIES
from lib.training.recipe import Recipe
from lib.training.runs import RunStore, run_id
from tests.analysis.samples import PARAMETERS, write_notebook

PROJECT = notebooks.ROOT
SWEEP = """
import sys
from lib.training import sweep
from lib.data.dataset import load
from lib.study.study import STUDIES
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
recipes = [Recipe(width=4, epochs=factor, seed=seed) for seed in (1, 0)]
trained = sweep.train(recipes, load(dataset, 8, train_limit=100), RunStore())
print([run.run_id for run in trained], "ray" in sys.modules)
"""


def output(root, study="demo"):
    """What the first day's executed copy printed."""
    notebook = notebooks.read_notebook(root / "report" / "studies" / study / "day1_first.ipynb")
    return "".join(notebook["cells"][-1]["outputs"][0]["data"]["text/plain"])


def states(capsys):
    """The closing table's second column."""
    lines = capsys.readouterr().out.splitlines()
    return ["unchanged" if "unchanged" in line else "made" for line in lines]


def test_a_fresh_study_is_made_and_a_second_call_executes_nothing(small_study, capsys, monkeypatch):
    command.main([])
    assert output(small_study) == "digits 63\n"
    assert states(capsys) == ["made", "made"]
    monkeypatch.setattr(notebooks, "execute", lambda *_: pytest.fail("executed again"))
    command.main([])
    assert states(capsys) == ["unchanged", "unchanged"]


def test_a_parameter_a_profile_and_a_changed_source_each_make_a_day_due(small_study, capsys):
    command.main([])
    command.main(["--only", "day1", "-p", "factor", "5"])
    assert output(small_study) == "digits 105\n"
    command.main([])  # keeps what the copy was made with
    assert output(small_study) == "digits 105\n"
    command.main(["--profile", "other", "--study", "demo"])
    assert output(small_study) == "digits 84\n"
    capsys.readouterr()
    write_notebook(small_study / "analysis" / "day1_first.ipynb", "Renamed day")
    command.main([])
    assert states(capsys) == ["made", "made"]  # home sums the day up
    command.main(["--only", "day1", "--force"])
    assert states(capsys)[0] == "made"


def test_a_change_anywhere_in_lib_makes_every_day_due(small_study):
    (small_study / "lib").unlink()
    shutil.copytree(PROJECT / "lib", small_study / "lib")
    command.main([])

    def due():
        return [job.due for job in command.plan(command.parse([])).jobs]

    assert due() == [False, False]
    rooms = {path.parent for path in (small_study / "lib").rglob("*.py")}
    assert small_study / "lib" / "data" in rooms
    for room in rooms:
        module = next(room.glob("*.py"))
        before = module.read_text()
        module.write_text(before + "# changed\n")
        assert due() == [True, True], room
        module.write_text(before)
    assert due() == [False, False]


def test_a_day_that_sums_up_the_runs_of_others_follows_them(small_study, capsys):
    write_notebook(small_study / "analysis" / "day4_sums_up.ipynb", "Sums up")
    command.main(["--only", "day4"])
    capsys.readouterr()
    command.main([])  # there is a first day now
    assert states(capsys) == ["made", "made", "made"]
    command.main(["--only", "day1", "-p", "factor", "5"])
    assert states(capsys) == ["made", "unchanged", "made"]
    command.main([])
    assert states(capsys) == ["unchanged", "made", "made"]


def test_a_bundle_that_was_deleted_is_made_again(small_study, capsys):
    body = """
from pathlib import Path
Path(bundle).mkdir(parents=True)
Path(bundle, "bundle.json").write_text("{}")
"""
    parameters = PARAMETERS + 'bundle = "models/best"\n'
    write_notebook(small_study / "analysis" / "day5_last.ipynb", "Last day", parameters, body)
    command.main([])
    command.main([])
    assert states(capsys)[3:] == ["unchanged", "unchanged", "unchanged"]
    shutil.rmtree(small_study / "models")
    command.main([])
    assert states(capsys) == ["unchanged", "made", "unchanged"]
    assert (small_study / "models" / "demo" / "bundle.json").exists()


def test_an_executed_copy_is_the_same_every_time_and_free_of_noise(small_study):
    def copy():
        notebook = notebooks.read_notebook(small_study / STUDIES / "demo" / "day1_first.ipynb")
        del notebook["metadata"]["daybook"]["seconds"]
        return notebook

    command.main([])
    first = copy()
    command.main(["--force"])
    assert copy() == first
    outputs = [output for cell in first["cells"] for output in cell.get("outputs", [])]
    assert "noise" not in json.dumps(outputs)
    assert "papermill" not in json.dumps([cell["metadata"] for cell in first["cells"]])
    assert first["metadata"]["daybook"]["command"].startswith("python -m analysis --profile demo")


def test_what_a_cell_prints_and_a_parameter_holds_is_text_for_every_edition():
    name = "</code>{{< env HOME >}}\n```\n<b>"
    cell = {
        "cell_type": "code",
        "metadata": {"tags": ["injected-parameters"]},
        "source": f"dataset = {name!r}",
        "outputs": [{"output_type": "stream", "name": "stdout", "text": [name]}],
    }
    notebooks.tidy({"metadata": {}, "cells": [cell]}, {})
    source = "".join(cell["source"])
    values: dict[str, str] = {}
    exec(source, values)
    assert values["dataset"] == name
    shown = pypandoc.convert_text(cell["outputs"][0]["data"]["text/markdown"], "html", "markdown")
    assert shown.strip() == f"<pre><code>{escape(name)}</code></pre>"
    assert "{{<" not in source + shown


def test_a_failing_day_leaves_the_old_copy_and_says_why_in_one_line(small_study):
    command.main([])
    with pytest.raises(UserError, match=r"^day1_first: the moon is full$"):
        command.main(["--only", "day1", "-p", "message", "the moon is full"])
    with pytest.raises(UserError, match=r"^day1_first: cannot read a\.png: truncated$"):
        command.main(["--only", "day1", "-p", "message", "damaged"])
    assert output(small_study) == "digits 63\n"
    files = ["day1_first.ipynb", "home.ipynb", "study.json"]
    assert sorted(os.listdir(small_study / STUDIES / "demo")) == files


def test_home_is_about_the_pictures_of_the_day_that_was_asked_for(small_study):
    (small_study / "analysis" / "profiles" / "other.yaml").write_text("dataset: digits\nfactor: 3")
    command.main(["--profile", "other", "--only", "day1"])
    home = notebooks.read_notebook(small_study / STUDIES / "other" / "home.ipynb")
    assert home["metadata"]["daybook"]["profile"] == "other"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "demmo"], "no profile 'demmo'; did you mean 'demo'"),
        (["--only", "day9"], "no notebook 'day9'"),
        (["-p", "faktor", "3"], "-p: unknown parameter 'faktor'; did you mean 'factor'"),
        (["-p", "factor", "three"], "-p: factor = 'three' should be a whole number"),
        (["--share", "0"], "--share: 0 runs cannot share a GPU"),
    ],
)
def test_a_mistake_in_the_command_is_one_line_with_the_remedy(small_study, arguments, words):
    with pytest.raises(UserError, match=words) as raised:
        command.main(arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "notebook", notebooks.in_order(Path("study")), ids=lambda notebook: notebook.name
)
def test_the_notebooks_hold_no_outputs_and_have_a_heading_and_parameters(notebook):
    cells = notebooks.read_notebook(notebook.source)["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    assert notebook.title != notebook.name
    assert "dataset" in notebook.defaults()


def test_with_ray_a_day_trains_on_a_cluster_that_lasts_as_long(small_study):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    write_notebook(small_study / "analysis" / "day1_first.ipynb", "First day", body=SWEEP)
    command.main(["--ray", "--only", "day1"])
    pictures = load("digits", 8, train_limit=100)
    recipe = Recipe(width=4, epochs=3, precision="fp32")
    runs = [run_id(recipe.replace(seed=seed), pictures) for seed in (1, 0)]
    assert output(small_study) == f"{runs} True\n"
    assert all(RunStore("runs").get(name).finished for name in runs)
    assert not ray.is_initialized()
    assert not any(name.startswith("DAYBOOK") for name in os.environ)


def test_a_cluster_that_does_not_answer_is_one_line(small_study):
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    with pytest.raises(UserError, match=r"^no Ray cluster answers at '127.0.0.1:1'") as raised:
        command.main(["--ray", "127.0.0.1:1"])
    assert "\n" not in str(raised.value)
    assert not (small_study / "report").exists()


def test_ray_that_is_not_installed_is_one_line(small_study, monkeypatch):
    monkeypatch.delitem(sys.modules, "lib.training.cluster", raising=False)
    monkeypatch.delattr("lib.training.cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it fails
    with pytest.raises(UserError, match=r"^Ray is not installed: pip install ray") as raised:
        command.main(["--ray"])
    assert "\n" not in str(raised.value)
    assert not (small_study / "report").exists()


def run_study(*arguments, cwd=PROJECT):
    return subprocess.run(
        [sys.executable, "-m", "analysis", *arguments], cwd=cwd, capture_output=True, text=True
    )


def test_the_command_exits_with_2_and_one_line():
    done = run_study("--profile", "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no profile 'nothing'")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("name", [b"ant/caf\xe9 1.png", b"caf\xe9/1.png", b"../\xe9/ant/1.png"])
def test_a_name_that_is_not_utf8_ends_the_command_with_one_line(tmp_path, name):
    folder = os.fsencode(tmp_path / "pictures")
    os.makedirs(folder)
    try:
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
    except OSError:
        pytest.skip("this file system has only names that are text")
    if name.startswith(b".."):
        folder = os.path.dirname(folder) + b"/\xe9"
    for path in (os.path.join(folder, b"cat", b"1.png"), os.path.join(folder, b"ant", b"2.png")):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Image.new("RGB", (8, 8)).save(os.fsdecode(path))
    Image.new("RGB", (8, 8)).save(os.fsdecode(os.path.join(folder, name)))
    done = run_study("-p", "dataset", os.fsdecode(folder))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "e9" in done.stderr
    assert "rename" in done.stderr


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise ValueError('two\\nlines')", "cell 3: ValueError: two lines"),
        ("1 / 0", "cell 3: ZeroDivisionError: division by zero"),
        ("x ==== 3", "cell 3: SyntaxError: invalid syntax"),
        ("import os; os._exit(3)", "cell 3: DeadKernelError: Kernel died"),
    ],
)
def test_another_error_keeps_its_traceback_and_ends_with_its_place(small_study, body, line):
    write_notebook(small_study / "analysis" / "day1_first.ipynb", "First day", body=body)
    with pytest.raises(Exception) as raised:  # noqa: PT011, papermill's or the kernel's
        command.main(["--only", "day1"])
    text = "".join(traceback.format_exception(raised.value)).splitlines()
    assert text[0].startswith("Traceback")
    assert text[-1].startswith(f"day1_first, {line}")


@pytest.mark.parametrize(
    "body",
    [
        "open('copy', 'w', encoding='utf-8').write('caf\\udce9')",
        "'caf\\udce9'.encode()",
        # the kernel cannot send this one's traceback
        "exec(compile(\"'caf\\\\udce9'.encode()\", 'caf\\udce9.py', 'exec'))",
    ],
)
def test_a_name_that_is_not_in_utf_8_is_one_line(small_study, body):
    write_notebook(small_study / "analysis" / "day1_first.ipynb", "First day", body=body)
    with pytest.raises(UserError, match=r"^day1_first: .*udce9.* rename the file") as raised:
        command.main(["--only", "day1"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("where", ["dataset", "profile"])
def test_a_copy_that_cannot_be_written_in_utf_8_is_one_line(small_study, where):
    notebook, _ = notebooks.in_order(small_study / STUDIES / "demo")
    parameters = {"dataset": "caf\udce9"} if where == "dataset" else {}
    record = {"profile": "caf\udce9.yaml"} if where == "profile" else {}
    with pytest.raises(UserError, match=r"^day1_first: .*udce9.* rename the file") as raised:
        notebooks.execute(notebook, parameters, record)
    assert "\n" not in str(raised.value)
    assert not notebook.executed.exists()


@pytest.mark.parametrize(
    ("notebook", "name", "value"), [("day1_augmentations", "seeds", "0"), ("home", "runs", "")]
)
def test_a_notebook_run_by_papermill_alone_checks_its_parameters(tmp_path, notebook, name, value):
    source = PROJECT / "analysis" / f"{notebook}.ipynb"
    words = [sys.executable, "-m", "papermill", str(source), str(tmp_path / "out.ipynb")]
    done = subprocess.run(
        [*words, "-p", name, value], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"UserError: {name} = {value if value else repr(value)} should be ")
