"""Seconds and peak memory of an epoch, against the number of pictures and the network's width.

    python -m benchmarks.scaling [--dataset cifar10] [--precision auto]

Every row is a process of its own, so that its peak memory is its own: the whole process's, with the
interpreter and PyTorch. Both should grow in proportion to the pictures, memory by their 3 KB each.

Two cores of an AMD EPYC, torch 2.14.1, --precision bf16:

    pictures   width   parameters   seconds an epoch   ms a picture   peak memory
       1,000      32      498,104               0.53           0.53     1,258 MiB
       5,000      32      498,104               2.33           0.47     1,276 MiB
      20,000      32      498,104               9.57           0.48     1,281 MiB
      45,000      32      498,104              21.01           0.47     1,470 MiB
       5,000      16      127,096               1.09           0.22     1,186 MiB
       5,000      64    1,972,792               7.55           1.51     1,626 MiB
"""

import argparse
import json
import subprocess
import sys
from tempfile import TemporaryDirectory

import pandas as pd

from lib.data.dataset import load
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

PICTURES = (1000, 5000, 20000, 45000)
WIDTHS = (16, 32, 64)


def main() -> None:
    """Train every row in its own process and print the table; with --row, train that one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--row", type=int, nargs=2, metavar=("PICTURES", "WIDTH"))
    options = parser.parse_args()
    if options.row:
        print(json.dumps(measure(options.dataset, options.precision, *options.row)))
        return

    rows = [(pictures, 32) for pictures in PICTURES]
    rows += [(5000, width) for width in WIDTHS if width != 32]
    command = [sys.executable, "-m", "benchmarks.scaling", "--dataset", options.dataset]
    command += ["--precision", options.precision, "--row"]
    table = []
    for row in rows:
        done = subprocess.run(
            [*command, *map(str, row)], check=True, capture_output=True, text=True
        )
        table.append(json.loads(done.stdout.splitlines()[-1]))
    print(pd.DataFrame(table).to_string(index=False, float_format="{:.2f}".format))


def measure(dataset: str, precision: str, pictures: int, width: int) -> dict[str, float]:
    """The second of two epochs, validation apart, and the process's peak memory after the run."""
    recipe = Recipe(width=width, epochs=2, precision=precision)
    with TemporaryDirectory() as folder:
        run = fit(recipe, load(dataset, train_limit=pictures), RunStore(folder))
        taken = run.dataset["pictures"]["train"]
        seconds = taken / float(run.history["images_per_second"].iloc[-1])
        return {
            "pictures": taken,
            "width": width,
            "parameters": run.summary["parameters"],
            "seconds an epoch": seconds,
            "ms a picture": 1000 * seconds / taken,
            "peak memory MiB": run.summary["peak_memory_mib"],
        }


if __name__ == "__main__":
    main()
