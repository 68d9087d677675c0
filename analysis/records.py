"""Keep a study's runs as reference runs: records that stand in for training.

python -m analysis.records cifar10-cpu                    into results/cifar10-cpu/
python -m analysis.records cifar10-cpu --into FOLDER      --weights 3 keeps files of up to 3 MiB
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from analysis import notebooks
from lib.errors import UserError, command, nearest
from lib.study import study
from lib.study.records import keep, keep_bundle
from lib.training.runs import WEIGHTS, RunStore


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the records and print what they come to."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.records", description=__doc__.splitlines()[0]
    )
    parser.add_argument("study", help="the name of a study that was run here")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="default: results/ and the study's address"
    )
    parser.add_argument(
        "--weights",
        type=float,
        default=3,
        metavar="MIB",
        help="the largest file of weights that is kept, of the best run of each setting and of the "
        "study's bundle (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    chosen = named(options.study)
    store = RunStore(notebooks.ROOT / "runs")
    runs = [store.get(run_id) for run_id in sorted(chosen.trained)]
    folder = options.into or notebooks.ROOT / "results" / chosen.address
    most = round(options.weights * 2**20)
    compared = set().union(*(page.compared for page in chosen.pages.values()))
    kept = keep(runs, folder, most, compared or chosen.trained)
    packed = keep_bundle(notebooks.ROOT / "models" / chosen.address, folder / "bundle", most)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    weights = sum((record / WEIGHTS).exists() for record in kept)
    what = f"{len(kept)} records, {weights} with weights{', and the bundle' if packed else ''}"
    print(f"{folder}: {what}; {size / 2**20:.1f} MiB in all")


def named(name: str) -> study.Study:
    """The study of that name, or at that address.

    Raises
    ------
    UserError   if there is none
    """
    studies = study.found(notebooks.ROOT)
    for candidate in studies:
        if name in (candidate.name, candidate.address):
            return candidate
    names = [candidate.name for candidate in studies]
    there = nearest(name, names) if names else "; there are none yet: `python -m analysis` runs one"
    raise UserError(f"no study {name!r}{there}")


if __name__ == "__main__":
    command(main)
