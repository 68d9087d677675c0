"""Usage errors of `python -m api`: one line, exit status 2."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from api import cores
from api.__main__ import bind, check, main, parser, read_token
from lib.errors import UserError
from lib.inference import Predictor
from tests.api.service import ROOT


def ended(*flags, **environment):
    """The one line of a service that does not start."""
    command = [sys.executable, "-m", "api", "--port", "0", *flags]
    process = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, timeout=120
    )
    assert process.returncode == 2, process.stderr.decode()
    assert process.stdout == b""
    assert process.stderr.count(b"\n") == 1
    return process.stderr.decode()


def test_a_missing_bundle_is_one_line(tmp_path):
    command = [sys.executable, "-m", "api", "--port", "0", "--bundle", str(tmp_path / "none")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"error: {tmp_path / 'none'}: no bundle")
    assert ended.stderr.count("\n") == 1


def test_another_bundle_than_the_pinned_one_is_one_line(bundle):
    command = [sys.executable, "-m", "api", "--port", "0", "--bundle", str(bundle)]
    command += ["--bundle-sha256", "0" * 64]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: {bundle / 'bundle.json'}: its SHA-256 is ")
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_named(server):
    with pytest.raises(UserError, match=f"{server.port}: Address already in use; choose another"):
        bind("127.0.0.1", server.port)
    for port in (-1, 70_000):
        with pytest.raises(UserError, match=f"{port}: "):
            bind("127.0.0.1", port)


def test_a_token_is_read_from_where_it_should_be(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("secret\n")
    monkeypatch.setenv("SOME_TOKEN", "other")
    assert read_token(None, None) is None
    assert read_token(None, file) == "secret"
    assert read_token("SOME_TOKEN", None) == "other"


def test_a_token_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="NO_SUCH_TOKEN contains no token"):
        read_token("NO_SUCH_TOKEN", None)
    with pytest.raises(UserError, match="lost: cannot read the token: No such file"):
        read_token(None, tmp_path / "lost")


NO_TOKENS = {
    "empty": b"",
    "blank": b" \n\t\n",
    "mark": b"\xef\xbb\xbf\n",
    "binary": bytes(range(256)),
    "nul": b"secret\0token",
    "latin": "sécret".encode("latin-1"),
    "utf-16": "secret".encode("utf-16"),
    "accents": "sécret".encode(),
    "lines": b"secret\ntoken\n",
    "long": b"x" * 10_000,
}


@pytest.mark.parametrize("kind", NO_TOKENS)
def test_a_file_without_a_token_is_refused_and_not_shown(tmp_path, monkeypatch, kind):
    file = tmp_path / kind
    file.write_bytes(NO_TOKENS[kind])
    with pytest.raises(UserError, match=f"{kind} contains no token") as refused:
        read_token(None, file)
    assert "secret" not in str(refused.value)
    if b"\0" not in NO_TOKENS[kind]:
        monkeypatch.setitem(os.environb, b"SOME_TOKEN", NO_TOKENS[kind])
        with pytest.raises(UserError, match="SOME_TOKEN contains no token"):
            read_token("SOME_TOKEN", None)


def test_a_token_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "token").write_bytes(b"\xef\xbb\xbfsecret\r\n")
    assert read_token(None, tmp_path / "token") == "secret"


def test_a_file_that_is_no_token_ends_the_command_in_one_line(bundle, tmp_path):
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for path, says in [(tmp_path, "Is a directory"), (tmp_path / "binary", "contains no token")]:
        line = ended("--bundle", str(bundle), "--token-file", str(path))
        assert line.startswith(f"error: {path}")
        assert says in line


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--max-queue", "31"], "--max-queue 31 is less than --max-files 32"),
        (["--max-files", "257"], "--max-queue 256 is less than --max-files 257"),
        (["--grace", "0"], "--grace 0 is not a number above 0"),
        (["--grace", "nan"], "--grace nan is not"),
        (["--request-seconds", "inf"], "--request-seconds inf is not"),
        (["--threads", "0"], "--threads 0 is not"),
        (["--max-head-kb", "-1"], "--max-head-kb -1 is not"),
    ],
)
def test_values_that_no_service_can_work_with_are_refused(flags, says):
    with pytest.raises(UserError, match=says):
        main(flags)


def test_limits_that_exclude_each_other_end_the_command_in_one_line(bundle):
    line = ended("--bundle", str(bundle), "--max-queue", "2", "--max-files", "3")
    assert line.startswith("error: --max-queue 2 is less than --max-files 3: ")


@pytest.mark.parametrize("name", ["a{b}c", "{", "a b", "50%", "ü?#", "", "a/b", "<img src=x>"])
def test_a_bundle_whose_name_is_no_part_of_an_address_is_refused(bundle, tmp_path, name):
    copy = shutil.copytree(bundle, tmp_path / "copy")
    facts = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(facts | {"name": name}))
    with pytest.raises(UserError, match="name = ") as refused:
        Predictor.load(copy, "cpu")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("usable", "threads"), [(8.0, 7), (2.5, 1), (1.0, 1)])
def test_the_threads_are_fewer_than_the_cores_that_may_be_used(monkeypatch, usable, threads):
    monkeypatch.setattr(cores, "usable", lambda: usable)
    assert parser().get_default("threads") == threads


def test_the_smallest_queue_holds_one_request():
    check(parser().parse_args(["--max-queue", "3", "--max-files", "3"]))


def test_every_limit_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for flag, default in [
        ("--max-connections N", 512),
        ("--max-connections-per-client N", 256),
        ("--max-head-kb N", 16),
        ("--max-headers N", 100),
        ("--head-seconds N", 10),
        ("--idle-seconds N", 15),
        ("--read-seconds N", 20),
        ("--request-seconds N", 120),
        ("--grace N", 20),
    ]:
        assert f"(default: {default})" in text.split("options:")[1].split(flag)[1].split(" --")[0]
