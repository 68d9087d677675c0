"""The image is not built here; what it is built from is held to the project."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "Containerfile").read_text()


def pins(name):
    """What a list of requirements pins: version by name."""
    text = (PROJECT / name).read_text()
    found = re.findall(r"^([\w.-]+)(?:\[\w+\])?==([^\s;]+)", text, re.M)
    return {re.sub(r"[._]", "-", name.lower()): version for name, version in found}


def test_it_installs_wheels_by_their_hashes_alone():
    [words] = re.findall(r"^RUN pip install (.*)$", TEXT, re.M)
    assert words.split()[-2:] == ["-r", "requirements.txt"]
    assert {"--require-hashes", "--only-binary"} <= set(words.split())
    assert "COPY api/requirements.txt ." in TEXT


def test_the_service_installs_what_its_list_names_at_the_tested_versions():
    locked, tested = pins("api/requirements.txt"), pins("constraints.txt")
    wanted = re.findall(r"^[\w-]+", (PROJECT / "api/requirements.in").read_text(), re.M)
    assert set(wanted) <= locked.keys()
    assert locked.items() <= tested.items()
    assert not {"altair", "ipython", "ray", "pytest"} & locked.keys()


@pytest.mark.parametrize("name", ["api/requirements.txt", "constraints.txt", "quarto.txt"])
def test_every_pinned_package_has_hashes_and_no_list_names_a_place(name):
    text = (PROJECT / name).read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[\w.\[\]-]+==\S+ ", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry
    assert not re.search(r"://|^-|\s--(?!hash)|\s@\s", text, re.M)


def test_the_base_can_be_pinned_by_its_digest():
    base, image = re.findall(r"^(?:ARG BASE=|FROM )(.*)$", TEXT, re.M)
    assert base.startswith("python:3")
    assert image == "${BASE}"


def test_requirements_and_constraints_pin_the_same_versions():
    direct, resolved = pins("requirements.txt"), pins("constraints.txt")
    assert direct.items() <= resolved.items()


def test_it_copies_what_is_there_and_leaves_root():
    copied = re.findall(r"^COPY (\S+)", TEXT, re.M)
    made = {"models/${STUDY}"}
    assert all((PROJECT / name).exists() for name in set(copied) - made)
    admitted = (PROJECT / ".containerignore").read_text()
    assert all(
        f"!{name}\n" in admitted or f"!{name.partition('/')[0]}\n" in admitted for name in copied
    )
    assert re.search(r"^USER 10001$", TEXT, re.M)
    assert "/readyz" in TEXT
