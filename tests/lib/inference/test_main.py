import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from lib.errors import UserError
from lib.inference.__main__ import main
from tests.imports import PROJECT
from tests.lib.inference.conftest import same


def ask(capsys, *arguments):
    """What the command prints, as text, with its exit status and what it complains of."""
    status = main(list(map(str, arguments)))
    output = capsys.readouterr()
    return status, output.out, output.err


def test_the_command_predicts_files_and_folders_as_the_run_did(capsys, bundle, files, run, tiny):
    status, out, err = ask(
        capsys, files, files / "00.png", "--bundle", bundle.path, "--json", "--top", 3
    )
    answers = json.loads(out)
    assert (status, err) == (0, "")
    assert [Path(answer["picture"]).stem for answer in answers] == [
        *(f"{number:02d}" for number in range(30)),
        "00",
    ]
    said = torch.from_numpy(run.predictions("test").logits / bundle.temperature).softmax(1)
    for answer, row in zip(answers, [*said, said[0]], strict=True):
        expected = dict(zip(tiny.classes, row.tolist(), strict=True))
        assert answer["probabilities"] == pytest.approx(expected, abs=1e-5)
        assert answer["confidence"] == next(iter(answer["probabilities"].values()))
        assert answer["label"] == next(iter(answer["probabilities"]))


def test_the_listing_has_a_line_a_picture_in_columns(capsys, bundle, files):
    _, out, _ = ask(capsys, files, "--bundle", bundle.path, "--top", 2)
    lines = out.splitlines()
    assert len(lines) == 30
    assert len({len(line) for line in lines}) == 1
    assert lines[0].startswith(str(files / "00.png"))
    assert lines[0].count(" %") == 2


def test_an_unreadable_picture_costs_only_its_own_line(capsys, bundle, files, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    given = [files / "00.png", tmp_path / "bad.png", tmp_path / "gone.png", files / "01.png"]
    status, out, err = ask(capsys, *given, "--bundle", bundle.path)
    assert status == 2
    assert [line.split()[0] for line in out.splitlines()] == [str(given[0]), str(given[3])]
    assert err.splitlines() == [
        f"error: cannot read {given[1]}: not a picture in a format that is read",
        f"error: cannot read {given[2]}: No such file or directory",
    ]


def test_a_hidden_file_and_one_that_is_no_picture_are_passed_over(capsys, bundle, files, tmp_path):
    shown = (files / "00.png").read_bytes()
    for name in ("a.PNG", ".b.png", ".thumbs/c.png", "notes.txt", "deep/er/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(shown)
    _, out, _ = ask(capsys, tmp_path, "--bundle", bundle.path)
    assert [line.split()[0] for line in out.splitlines()] == [
        str(tmp_path / "a.PNG"),
        str(tmp_path / "deep/er/d.jpg"),
    ]


def test_a_real_process_reads_standard_input_and_draws_an_explanation(bundle, predictor, files):
    drawn = bundle.path.parent / "heat.png"
    command = [sys.executable, "-m", "lib.inference", "-", "--bundle", bundle.path, "--json"]
    shown = (files / "05.png").read_bytes()
    done = subprocess.run(
        [*command, "--explain", drawn], cwd=PROJECT, input=shown, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    answer = json.loads(done.stdout)[0]
    assert answer["picture"] == "-"
    said = predictor.predict([shown])[0]
    assert answer["probabilities"] == pytest.approx(said.probabilities)
    assert same(Image.open(drawn), predictor.explain(shown))


@pytest.mark.parametrize(
    ("ending", "format"),
    [
        *((".png", "PNG"), (".PNG", "PNG"), (".jpg", "JPEG"), (".jpeg", "JPEG"), (".JPG", "JPEG")),
        *((".webp", "WEBP"), (".gif", "GIF"), (".bmp", "BMP"), (".tif", "TIFF")),
    ],
)
def test_an_explanation_has_the_format_that_its_name_ends_in(
    capsys, bundle, predictor, files, tmp_path, ending, format
):
    drawn = tmp_path / f"heat{ending}"
    shown = files / "05.png"
    assert ask(capsys, shown, "--bundle", bundle.path, "--explain", drawn)[0] == 0
    with Image.open(drawn) as image:
        assert image.format == format
        assert image.size == predictor.explain(shown).size
    assert os.listdir(tmp_path) == [drawn.name]


@pytest.mark.parametrize("name", ["heat", "heat.", ".png", "heat.txt", "heat.psd", "heat.xbm"])
def test_an_explanation_that_cannot_be_written_is_refused_before_the_prediction(
    bundle, files, tmp_path, name
):
    command = [sys.executable, "-m", "lib.inference", files / "05.png", "--bundle", bundle.path]
    done = subprocess.run(
        [*command, "--explain", tmp_path / name], cwd=PROJECT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: --explain {tmp_path / name}: no picture can be written in that format; choose a "
        "name that ends in .png, .jpg or .webp\n"
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii:strict"}, rb"caf\xe9"),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, rb"caf\udcc3\udca9"),
        ({"PYTHONIOENCODING": "utf-8:strict"}, "café".encode()),
    ],
)
@pytest.mark.parametrize("json_too", [False, True])
def test_names_that_standard_output_cannot_encode_are_escaped(
    bundle, files, tmp_path, settings, shown, json_too
):
    names = [os.fsencode(tmp_path) + b"/" + name for name in (b"caf\xe9.png", b"caf\xc3\xa9.png")]
    for name in names:
        shutil.copyfile(os.fsencode(files / "05.png"), name)
    gone = os.fsencode(tmp_path) + b"/gone\xe9.png"
    command = [sys.executable, "-m", "lib.inference", *names, gone, "--bundle", bundle.path]
    done = subprocess.run(
        [*command, "--json"] if json_too else command,
        cwd=PROJECT,
        env=os.environ | settings,
        capture_output=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: cannot read " + os.fsencode(tmp_path))
    assert rb"gone\udce9.png: No such file" in done.stderr
    assert done.stderr.count(b"\n") == 1
    if json_too:
        first, second = (answer["picture"] for answer in json.loads(done.stdout))
        assert os.path.basename(first) == "caf\udce9.png"
        assert "/caf" in second
        return
    lines = done.stdout.splitlines()
    assert rb"/caf\udce9.png " in lines[0]
    assert b"/" + shown + b".png " in lines[1]


def start(*words):
    command = [sys.executable, "-m", "lib.inference", *map(str, words)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)


def test_the_digest_that_it_prints_pins_the_bundle(bundle, files, tmp_path):
    copy = shutil.copytree(bundle.path, tmp_path / "copy")
    printed = start("--digest", "--bundle", copy)
    assert (printed.returncode, printed.stderr) == (0, "")
    pinned = ["--bundle", copy, "--bundle-sha256", printed.stdout.strip()]
    assert start(files / "00.png", *pinned).returncode == 0
    facts = (copy / "bundle.json").read_text()
    (copy / "bundle.json").write_text(facts + "\n")
    for words in ([files / "00.png"], ["--digest"]):
        done = start(*words, *pinned)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {copy / 'bundle.json'}: its SHA-256 is ")
        assert done.stderr.count("\n") == 1


def test_a_bundle_with_a_file_too_many_has_no_digest(bundle, tmp_path):
    copy = shutil.copytree(bundle.path, tmp_path / "copy")
    (copy / "more").touch()
    done = start("--digest", "--bundle", copy)
    assert (done.returncode, done.stdout) == (2, "")
    assert "(not listed: more)" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["a.png", "--digest"]])
def test_pictures_and_digest_exclude_each_other(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "name pictures, or --digest alone" in capsys.readouterr().err


def test_a_folder_says_what_it_passes_over(bundle, files, tmp_path, capsys):
    shutil.copyfile(files / "05.png", tmp_path / "1.png")
    (tmp_path / "2.heic").touch()
    (tmp_path / "again").symlink_to(tmp_path)
    try:
        shutil.copyfile(files / "05.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system has only names that are text")
    assert main([str(tmp_path), "--bundle", str(bundle.path)]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert said.err == (
        f"{tmp_path}: passed over: 1 name that is not UTF-8, such as caf\\xe9.png\n"
        f"{tmp_path}: passed over: 1 file in a format that is not read (.heic), such as 2.heic\n"
        f"{tmp_path}: passed over: 1 link to a folder that is read already, such as again\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["x.png", "--bundle", "nowhere"],
            "nowhere: no bundle.json in this folder; `python -m analysis`",
        ),
        (["a.png", "b.png", "--explain", "heat.png"], r"--explain takes one picture \(got 2\)"),
        (["a.png", "--top", "0"], r"--top must be at least 1 \(got 0\)"),
        (["."], r"\.: no picture in that folder"),
    ],
)
def test_a_mistake_is_one_line_with_the_remedy(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words) as raised:
        main(arguments)
    assert "\n" not in str(raised.value)
