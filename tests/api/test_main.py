"""Usage errors of `python -m api`: one line, exit status 2."""

import subprocess
import sys

import pytest

from api.__main__ import bind, read_token
from lib.errors import UserError
from tests.api.service import ROOT


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
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(UserError, match="empty contains no token"):
        read_token(None, tmp_path / "empty")
