"""The image is not built here; what it is built from is held to the project."""

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "Containerfile").read_text()


def test_it_installs_what_is_pinned():
    [packages] = re.findall(r"--constraint constraints.txt \\\n(.*?)\n\n", TEXT, re.DOTALL)
    pinned = re.findall(r"^([\w-]+)==", (PROJECT / "constraints.txt").read_text(), re.M)
    names = {name.lower().replace("_", "-") for name in pinned}
    assert set(re.findall(r"[\w-]+", packages)) <= names
    assert not {"altair", "ipython"} & set(packages.split())


def test_requirements_and_constraints_pin_the_same_versions():
    def pins(name):
        text = (PROJECT / name).read_text()
        found = re.findall(r"^([\w-]+)(?:\[\w+\])?==([^\s;]+)", text, re.M)
        return {name.lower().replace("_", "-"): version for name, version in found}

    direct, resolved = pins("requirements.txt"), pins("constraints.txt")
    assert direct.items() <= resolved.items()


def test_it_copies_what_is_there_and_leaves_root():
    copied = re.findall(r"^COPY (\S+)", TEXT, re.M)
    made = {"models/best"}
    assert all((PROJECT / name).exists() for name in set(copied) - made)
    admitted = (PROJECT / ".containerignore").read_text()
    assert all(f"!{name}\n" in admitted for name in copied)
    assert re.search(r"^USER 10001$", TEXT, re.M)
    assert "/readyz" in TEXT
