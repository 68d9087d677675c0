"""What GitHub runs: well-formed, pinned by commit, and with no more rights than needed."""

import os
import re
import shlex
import subprocess
import sys

import pytest
import yaml

from tests.imports import PROJECT

FOLDER = PROJECT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
WRITES = {  # the only rights to write that a job has
    ("publish.yml", "deploy"): {"pages": "write", "id-token": "write"},
}


def jobs():
    """Each file's name with the name and the content of each of its jobs."""
    for file in FILES:
        for name, job in yaml.safe_load(file.read_text())["jobs"].items():
            yield file.name, name, job


def steps():
    return [step for _, _, job in jobs() for step in job["steps"]]


def linted(*files):
    """What the linter says in `make check`, of these files instead."""
    (line,) = re.findall(r"^\tjactionlint (.*) \S+$", (PROJECT / "Makefile").read_text(), re.M)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    command = ["jactionlint", *shlex.split(line), *map(str, files)]
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_linter_finds_nothing():
    done = linted(*FILES)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("written", "instead", "words"),
    [
        ("runs-on: ubuntu-24.04", "run-on: ubuntu-24.04", "run-on"),
        ("steps.quarto.outputs", "steps.quatro.outputs", "quatro"),
        ("branches: [main]", "branch: [main]", "branch"),
        ("cache: pip", "cash: pip", "cash"),
    ],
)
def test_the_linter_finds_a_slip(tmp_path, written, instead, words):
    slip = tmp_path / "slip.yml"
    slip.write_text((FOLDER / "test.yml").read_text().replace(written, instead))
    done = linted(slip)
    assert done.returncode == 1
    assert words in done.stdout


def test_every_action_is_pinned_by_its_commit_with_the_release_in_a_comment():
    used = [line for file in FILES for line in file.read_text().splitlines() if "uses:" in line]
    assert len(used) == sum("uses" in step for step in steps())
    pins = {}
    for line in used:
        pinned = re.fullmatch(r"\s*(?:- )?uses: ([\w./-]+)@([0-9a-f]{40}) # (v[\d.]+)", line)
        assert pinned, line
        pins.setdefault(pinned[1], set()).add(pinned[2])
    assert all(len(commits) == 1 for commits in pins.values()), pins


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_workflow_may_read_the_code_and_no_more(file):
    assert yaml.safe_load(file.read_text())["permissions"] == {"contents": "read"}


def test_only_the_deployment_may_write_and_only_pages():
    given = {(file, name): job["permissions"] for file, name, job in jobs() if "permissions" in job}
    assert given == WRITES
    for file, name, job in jobs():
        if (file, name) in WRITES:  # and no code of the project runs with these rights
            assert [step["uses"].split("@")[0] for step in job["steps"]] == ["actions/deploy-pages"]
            assert job["if"] == "github.ref == 'refs/heads/main'"


def test_no_step_leaves_or_takes_a_secret():
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == 2
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    for file in FILES:
        assert "secrets." not in file.read_text()
        assert "pull_request_target" not in file.read_text()


def test_no_expression_is_pasted_into_a_shell():
    assert not [step["run"] for step in steps() if "${{" in step.get("run", "")]


def test_every_job_ends_in_time_and_a_newer_push_ends_the_tests_of_the_older():
    assert all(job["timeout-minutes"] <= 60 for _, _, job in jobs())
    test, publish = (
        yaml.safe_load((FOLDER / f"{name}.yml").read_text())["concurrency"]
        for name in ("test", "publish")
    )
    assert test["cancel-in-progress"] is True
    assert publish["cancel-in-progress"] is False


def test_quarto_is_the_version_that_is_pinned(tmp_path):
    (pinned,) = re.findall(r"^quarto-cli==([\d.]+)", (PROJECT / "quarto.txt").read_text(), re.M)
    reading = [step["run"] for step in steps() if step.get("id") == "quarto"]
    assert len(reading) == 2
    for number, script in enumerate(reading):
        output = tmp_path / str(number)
        variables = os.environ | {"GITHUB_OUTPUT": str(output)}
        subprocess.run(["bash", "-e", "-c", script], check=True, cwd=PROJECT, env=variables)
        assert output.read_text() == f"version={pinned}\n"


def test_the_workflows_run_what_a_developer_runs():
    commands = [step["run"] for step in steps() if "run" in step and step.get("id") != "quarto"]
    assert commands == ["make site", "sudo tests/install-system-packages", "make test"]
