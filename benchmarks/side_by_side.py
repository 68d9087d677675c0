"""Training many small networks on one machine: side by side against one after another.

    python -m benchmarks.side_by_side [--dataset digits] [--size 16] [--pictures 100] [--width 16]
                                      [--batch 32] [--epochs 25] [--seeds 2] [--rounds 3]

The defaults are the ablation of the demo's first day. Every way trains the same runs into an empty
store, in a process of its own, in turns; seconds are medians over rounds and count from the first
run's start, with pictures loaded, until the last run's end, so that they hold the workers' start.
Threads of one run that wait for each other do so asleep (OMP_WAIT_POLICY=PASSIVE) or awake. Runs
with one thread must come out the same to the last digit, which `same records` tells.

Two idle cores of an AMD EPYC, PyTorch 2.14.1, 2 rounds: one after another with one thread 26.3 s,
with two that wait asleep 49.4 s, awake 24.2 s; side by side 17.6 s, of which the start of the two
workers takes about 4.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import pandas as pd
import torch

from lib.data.dataset import load
from lib.training import side_by_side, sweep, threads
from lib.training.augment import POLICIES
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

WAYS = {  # name: threads of a run, how threads wait, whether runs train side by side
    "one after another, one thread": (1, "PASSIVE", False),
    "one after another, all cores, asleep": (0, "PASSIVE", False),
    "one after another, all cores, awake": (0, "ACTIVE", False),
    "side by side": (1, "PASSIVE", True),
}


def main() -> None:
    """Train by every way in turns and print the table."""
    options = parse()
    if options.way:
        print(json.dumps(trained(options)))
        return
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    records: dict[str, set[str]] = {way: set() for way in WAYS}
    for _ in range(options.rounds):
        for way, (_, waiting, _) in WAYS.items():
            command = [sys.executable, "-m", "benchmarks.side_by_side", *sys.argv[1:], "--way", way]
            environment = {**os.environ, "OMP_WAIT_POLICY": waiting}
            done = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, check=True, text=True
            )
            answer = json.loads(done.stdout)
            taken[way].append(answer["seconds"])
            records[way].add(answer["records"])
    first, *_ = WAYS
    seconds = {way: median(values) for way, values in taken.items()}
    table = pd.DataFrame(
        {
            "way": way,
            "seconds": seconds[way],
            "times the first way": seconds[first] / seconds[way],
            "same records": records[way] == records[first],
        }
        for way in WAYS
    )
    runs = len(POLICIES) * options.seeds
    print(f"{runs} runs of {options.dataset}, {torch.get_num_threads()} cores")
    print(table.to_string(index=False, float_format="{:.3g}".format))


def trained(options: argparse.Namespace) -> dict[str, float | str]:
    """Train all runs by one way: the seconds that it took, and a digest of what came out."""
    per_run, _, beside = WAYS[options.way]
    dataset = load(options.dataset, options.size, train_limit=options.pictures)
    base = Recipe(width=options.width, batch_size=options.batch, epochs=options.epochs, lr=0.1)
    recipes = [
        base.replace(augmentation=policy, seed=seed)
        for policy in POLICIES
        for seed in range(options.seeds)
    ]
    threads.SMALL = float("inf") if per_run else 0.0
    if not beside:
        side_by_side.WORKER_MEMORY = sys.maxsize  # more than there is
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        runs = sweep.train(recipes, dataset, RunStore(Path(folder) / "runs"), "cpu")
        seconds = time.perf_counter() - started
        figures = [[run.run_id, run.summary["val_loss"], run.summary["test_loss"]] for run in runs]
    digest = hashlib.sha256(json.dumps(figures).encode()).hexdigest()
    return {"seconds": seconds, "records": digest}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--size", type=int, default=16, help="side of the pictures in pixels")
    parser.add_argument("--pictures", type=int, default=100, help="for training; 0: all")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=2, help="runs of each augmentation")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
