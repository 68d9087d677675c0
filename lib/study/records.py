"""A study's runs as reference runs: records that stand in for training, small enough to commit."""

import shutil
from collections.abc import Sequence, Set
from pathlib import Path

from lib.files import replacing, replacing_folder
from lib.study.selection import best_by, naming
from lib.training import predictions
from lib.training.runs import MEASURED, PREDICTIONS, RECORD, WEIGHTS, Run, RunStore


def keep(runs: Sequence[Run], folder: Path, most: int, compared: Set[str]) -> list[Path]:
    """Write a record of each run to `folder/<run_id>/`, and say where they are.

    Weights are kept of the run that is the best of its setting, and of the run that its backbone
    comes from, where their file is small: days 4 and 5 need the networks of those.

    Parameters
    ----------
    most : int       bytes that a file of weights may have
    compared : set   ids of the runs among which days 4 and 5 choose

    Raises
    ------
    UserError   if a run's record is damaged, or the folder cannot be written
    """
    records = [_keep(run, folder / run.run_id) for run in runs]
    # chosen by what is kept, as days 4 and 5 will choose
    store = RunStore(folder / "runs", reference=folder)
    chosen_from = [store.get(run.run_id) for run in runs if run.run_id in compared]
    best = best_by(chosen_from, naming(chosen_from)).values()
    sources = {run.recipe.weights.removeprefix("run:") for run in best}
    needed = {run.run_id for run in best} | sources
    for run, record in zip(runs, records, strict=True):
        weights = run.path / WEIGHTS
        if run.run_id in needed and weights.exists() and weights.stat().st_size <= most:
            with replacing(record / WEIGHTS) as file:
                file.write(weights.read_bytes())
    return records


def _keep(run: Run, record: Path) -> Path:
    said = {split: run.predictions(split) for split in predictions.SPLITS}
    with replacing_folder(record) as new:
        for name in RECORD:
            if name != PREDICTIONS:
                shutil.copyfile(run.path / name, new / name)
        for name in MEASURED:
            if file := run.measured(name):
                shutil.copyfile(file, new / name)
        predictions.save_smaller(new / PREDICTIONS, record.parent, said)
    return record


def keep_bundle(bundle: Path, target: Path, most: int) -> bool:
    """Copy a study's bundle, if there is one and none of its files is larger than `most` bytes."""
    files = [path for path in bundle.glob("*") if path.is_file()]
    if not files or any(file.stat().st_size > most for file in files):
        return False
    with replacing_folder(target) as new:
        for file in files:
            shutil.copyfile(file, new / file.name)
    return True
