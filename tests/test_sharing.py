"""Several processes share a suite, and keep together what shares something expensive."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.imports import PROJECT
from tests.sharing import LONGEST, WHOLE, WITH

pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install pytest-xdist")

TEST = """
import os, time
import pytest

@pytest.mark.parametrize("number", range(9))
def test_it(number, request):
    time.sleep(0.05)  # the other process has time to take something too
    with open("log", "a") as log:
        print(request.node.nodeid.partition("::")[0], os.getpid(), file=log)
"""
FILES = [
    *("tests/lib/test_a.py", "tests/lib/test_b.py", "tests/report/test_c.py"),
    *("tests/report/test_d.py", "tests/report/inner/test_e.py"),
]


@pytest.fixture
def suite(tmp_path):
    """Runs a suite of 45 tests with these options; returns file and process of each, in order."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    shutil.copyfile(PROJECT / "tests" / "sharing.py", tmp_path / "tests" / "conftest.py")

    def run(*options):
        command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", *options]
        mine = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST")}
        done = subprocess.run(command, cwd=tmp_path, env=mine, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return [tuple(line.split()) for line in (tmp_path / "log").read_text().splitlines()]

    return run


def test_a_file_or_a_whole_folder_stays_in_one_process(suite):
    ran = suite("-n", "2")
    assert len(ran) == 9 * len(FILES)
    assert len({process for _, process in ran}) == 2
    for name in FILES:
        assert len({process for file, process in ran if file == name}) == 1
    assert len({process for file, process in ran if "/report/" in file}) == 1
    assert "/report/" in ran[0][0] or "/report/" in ran[1][0]  # one of the longest, begun first


def test_one_process_runs_all_in_the_usual_order(suite):
    ran = suite()
    assert [file for file, _ in ran] == [name for name in sorted(FILES) for _ in range(9)]
    assert len({process for _, process in ran}) == 1


def test_the_groups_are_of_files_and_folders_that_exist():
    for name in {*WHOLE, *WITH, *LONGEST}:
        assert (PROJECT / "tests" / name).exists(), name
    assert set(WITH.values()) <= set(WHOLE)
