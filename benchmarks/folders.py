"""Seconds and peak memory of listing, decoding and opening a folder of many small pictures.

    python -m benchmarks.folders [--pictures 100000] [--classes 1000]

The folder is made for it: PNGs of 32 x 32 pixels, eight different ones per class and hard links to
them. Every row is a process of its own, which starts one decoding process per core:

* list: names, classes and splits, by `lib.data.folders.scan` (which also asks for size and time of
  every file) and by torchvision's ImageFolder;
* decode: `lib.data.dataset.load` from the listing to the cache on disk, with exact copies found and
  splits made; the peer is one pass of a DataLoader with two workers over ImageFolder to uint8
  tensors, which are dropped;
* open: `load` again, from the cache.

Memory is the largest sum over the process and its workers, looked at 50 times per second:
`resident` as the system counts it, and `held` without the pages of files, which the system takes
back when memory is short. Every row has the interpreter, PyTorch and torchvision in it: 865 MiB
resident, 400 held.

20,000 pictures of 200 classes, two idle cores of an AMD EPYC:

                   step  seconds  pictures/s  resident MiB  held MiB
                   list      0.1   151,238.9         864.2     407.9
      list, torchvision      0.0   545,407.8         863.2     402.8
                 decode      2.8     7,027.4         963.7     564.5
    decode, torchvision      1.9    10,709.8       1,603.3   1,216.3
                   open      0.2   115,563.8         869.7     407.9

1,000,000 pictures of 1,000 classes, with much other work on the cores: list 1,078 MiB resident and
741 held, by torchvision 1,014 and 554. Without torchvision, which `load` does not need (578 and 314
before it begins): decode 1,116 and 790 MiB, in 13 minutes; open 920 and 657 MiB, in half a minute.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

from lib.data.dataset import load
from lib.data.folders import scan

DISTINCT = 8  # different pictures of a class
SIDE = 32
WORKERS, BATCH = 2, 512


def main() -> None:
    """Measure every step in its own process and print the table; with --step, take that one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--step", nargs=3, metavar=("STEP", "FOLDER", "ROOT"))
    options = parser.parse_args()
    if options.step:
        step, folder, root = options.step
        print(json.dumps(timed(STEPS[step], Path(folder), Path(root))))
        return
    table = []
    with TemporaryDirectory() as scratch:
        folder, root = Path(scratch) / "pictures", Path(scratch) / "data"
        print(f"writing {options.pictures:,} pictures ...", file=sys.stderr)
        write_pictures(folder, options.pictures, options.classes)
        for step in STEPS:
            command = ["-m", "benchmarks.folders", "--step", step, str(folder), str(root)]
            table.append({"step": step, **measure(command)})
            print(table[-1], file=sys.stderr)
    print(pd.DataFrame(table).to_string(index=False, float_format="{:,.1f}".format))


def write_pictures(folder: Path, pictures: int, classes: int) -> None:
    """Class folders with so many smooth random pictures altogether."""
    random = np.random.default_rng(0)
    for label in range(classes):
        own = folder / f"{label:04d}"
        own.mkdir(parents=True)
        for number in range(label, pictures, classes):
            path, place = own / f"{number:07d}.png", number // classes
            if place < DISTINCT:
                coarse = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
                coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
            else:
                first = label + place % DISTINCT * classes
                os.link(own / f"{first:07d}.png", path)


def list_here(folder: Path, root: Path) -> int:
    return len(scan(folder).ids)


def list_by_torchvision(folder: Path, root: Path) -> int:
    return len(ImageFolder(folder))


def load_here(folder: Path, root: Path) -> int:
    dataset = load(folder, SIDE, root=root)
    return len(dataset.train) + len(dataset.val) + len(dataset.test)


def decode_by_torchvision(folder: Path, root: Path) -> int:
    pictures = ImageFolder(folder, transform=pil_to_tensor)
    return sum(len(pixels) for pixels, _ in DataLoader(pictures, BATCH, num_workers=WORKERS))


STEPS: dict[str, Callable[[Path, Path], int]] = {
    "list": list_here,
    "list, torchvision": list_by_torchvision,
    "decode": load_here,
    "decode, torchvision": decode_by_torchvision,
    "open": load_here,
}


def timed(step: Callable[[Path, Path], int], folder: Path, root: Path) -> dict[str, float]:
    """A step's seconds, without those of starting the process."""
    start = time.perf_counter()
    pictures = step(folder, root)
    seconds = time.perf_counter() - start
    return {"pictures": pictures, "seconds": seconds, "pictures/s": pictures / seconds}


def measure(command: list[str]) -> dict[str, float]:
    """What a process of this interpreter prints, and the most memory of it and its workers."""
    resident = held = 0
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                parts = [watched, *watched.children(recursive=True)]
                memory = [one.memory_info() for one in parts]
                resident = max(resident, sum(part.rss for part in memory))
                held = max(held, sum(part.rss - part.shared for part in memory))
            time.sleep(0.02)
        answer = json.loads(process.communicate()[0].splitlines()[-1])
    return {**answer, "resident MiB": resident / 2**20, "held MiB": held / 2**20}


if __name__ == "__main__":
    main()
