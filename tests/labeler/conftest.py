"""Folders of pictures, a small disk, a virtual display."""

import csv
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from labeler.recording import virtual_display

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root_folder():
    return ROOT


@pytest.fixture
def pictures(tmp_path):
    """Makes a folder of small pictures, each of another colour, with the given names."""

    def make(*names, folder=tmp_path / "pictures"):
        for number, name in enumerate(names or [f"{n}.png" for n in range(6)]):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 8), (10 * number % 256, 100, 200)).save(path)
        return folder

    return make


@pytest.fixture
def read_csv():
    """Rows of a CSV file, read by the standard library alone."""

    def read(path):
        with open(path, newline="", encoding="utf-8") as lines:
            return list(csv.reader(lines, strict=True))

    return read


@pytest.fixture
def descriptors():
    """Counts the files that this process has open."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("this system does not list a process's open files")
    return lambda: len(os.listdir(folder))


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 128 KiB, and what can be done to it: `fill()`, `free()`, `freeze()`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")

    class Disk:
        path = folder

        def fill(self):
            with open(folder / "ballast", "wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"x" * 1024)

        def free(self):
            (folder / "ballast").unlink()

        def freeze(self):
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)

    yield Disk()
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="session")
def display():
    """The name of a virtual display of 1280 × 900 pixels."""
    if not shutil.which("Xvfb"):
        pytest.skip("Xvfb is not installed: no window can be opened")
    pytest.importorskip("tkinter", reason="Python was built without Tk")
    with virtual_display((1280, 900)) as name:
        yield name
