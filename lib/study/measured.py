"""Accuracy under attack and corruption, measured once: it is stored with the run.

What is stored counts if it is of as many test pictures, which are always the first ones, and of
this `VERSION`. Otherwise it is measured anew, with the same draws.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.data.dataset import Split
from lib.diagnosis.corruption_accuracy import SEVERITIES, UnderCorruption, under_corruption
from lib.diagnosis.robustness import SEED, STEPS, accuracy_under_attacks
from lib.files import replacing
from lib.training.hardware import best_device
from lib.training.runs import CORRUPTIONS, UNREADABLE, Run

VERSION = 1  # raised when the same network comes to other figures on the same pictures


def attacks(run: Run, test: Split, *, replace: bool = True) -> pd.DataFrame:
    """FGSM and PGD at every epsilon of `STEPS`: see `accuracy_under_attacks`.

    Parameters
    ----------
    replace : bool   whether new figures take the place of those that are stored
    """
    stored = run.attacks
    if stored is not None and "version" in stored:  # which records of earlier code lack
        told = stored[["version", "n"]].drop_duplicates().to_numpy().tolist()
        if told == [[VERSION, len(test)]]:
            return stored.drop(columns="version")
    model, generator = run.load_model(best_device()), torch.Generator().manual_seed(SEED)
    table = accuracy_under_attacks(model, test.images, test.labels, STEPS, generator)
    if replace or stored is None:
        run.save_attacks(table.assign(version=VERSION))
    return table


def corruptions(
    runs: Sequence[Run],
    test: Split,
    severities: Sequence[int] = SEVERITIES,
    *,
    replace: bool = True,
) -> list[UnderCorruption | None]:
    """What each run's network makes of the same corrupted pictures.

    None stands for a run that nothing is stored of and that has no weights.

    Parameters
    ----------
    replace : bool   whether new figures take the place of those that are stored
    """
    found = {run.run_id: _stored(run, len(test), severities) for run in runs}
    lacking = [run for run in runs if found[run.run_id] is None and run.has_weights]
    device = best_device()
    measured = under_corruption(
        [run.load_model(device) for run in lacking],
        test.images,
        test.labels,
        torch.Generator().manual_seed(SEED),
        severities=severities,
    )
    for run, under in zip(lacking, measured, strict=True):
        if replace or run.measured(CORRUPTIONS) is None:
            _store(run.writable / CORRUPTIONS, under)
        found[run.run_id] = under
    return [found[run.run_id] for run in runs]


def _stored(run: Run, pictures: int, severities: Sequence[int]) -> UnderCorruption | None:
    """What is stored of these severities, if anything that counts is; a damaged file does not."""
    file = run.measured(CORRUPTIONS)
    if file is None:
        return None
    try:
        with np.load(file) as arrays:
            names, there = arrays["names"].tolist(), arrays["severities"].tolist()
            if int(arrays["version"]) != VERSION or int(arrays["pictures"]) != pictures:
                return None
            places = [there.index(severity) for severity in severities]
            correct = np.unpackbits(arrays["correct"][:, places], axis=2, count=pictures)
    except UNREADABLE:  # ValueError, too, where a severity is not there
        return None
    return UnderCorruption(tuple(names), tuple(severities), correct.astype(bool))


def _store(file: Path, under: UnderCorruption) -> None:
    with replacing(file) as opened:
        np.savez_compressed(
            opened,
            version=VERSION,
            names=under.names,
            severities=under.severities,
            pictures=under.correct.shape[2],
            correct=np.packbits(under.correct, axis=2),
        )
