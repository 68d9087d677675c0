"""Accuracy under the common corruptions of `lib.diagnosis.corruptions`."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from lib.diagnosis.corruptions import CORRUPTIONS, corrupted
from lib.diagnosis.robustness import accuracy_columns, drawn_seed, generator_on
from lib.intervals import Interval, mean_interval
from lib.models.parts import device_of, predict

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class UnderCorruption:
    """Which pictures a network classifies correctly under each corruption and severity.

    Parameters
    ----------
    names : str (C,)
    severities : int (S,)
    correct : bool (C, S, N)
    """

    names: tuple[str, ...]
    severities: tuple[int, ...]
    correct: NDArray[np.bool_]

    @property
    def table(self) -> pd.DataFrame:
        """One row per corruption and severity: corruption, severity, accuracy, low, high, n."""
        total = self.correct.shape[2]
        return pd.DataFrame(
            {"corruption": name, "severity": severity}
            | accuracy_columns(int(self.correct[i, j].sum()), total)
            for i, name in enumerate(self.names)
            for j, severity in enumerate(self.severities)
        )

    @property
    def mean(self) -> Interval:
        """The mean accuracy over all of them, with Student's t over the pictures."""
        interval = mean_interval(self.correct.mean(axis=(0, 1)))
        return Interval(interval.value, max(interval.low, 0.0), min(interval.high, 1.0))

    @property
    def distinct_ends(self) -> tuple[str | None, str | None]:
        """The corruptions of lowest and of highest mean accuracy over the severities.

        None in place of one that does not differ from its neighbour: the same pictures under both,
        each with its mean over the severities, by Student's t over pictures at 5 %. An end need not
        be corrected for having been picked (Hung & Fithian 2019).
        """
        if len(self.names) < 2:
            return None, None
        by_picture = self.correct.mean(axis=1)
        order = np.argsort(by_picture.mean(axis=1), kind="stable")

        def distinct(end: int, neighbour: int) -> str | None:
            gap = mean_interval(by_picture[end] - by_picture[neighbour])
            return self.names[end] if gap.clear else None

        return distinct(order[0], order[1]), distinct(order[-1], order[-2])


def under_corruption(
    models: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    generator: Generator,
    names: Sequence[str] = CORRUPTIONS,
    severities: Sequence[int] = SEVERITIES,
    batch_size: int = 512,
) -> list[UnderCorruption]:
    """What each of the networks, on one device, makes of the same corrupted pictures.

    The severities of a corruption share their random numbers, and a generator of the same seed
    gives the same pictures whatever else is asked for: what differs is not the draw's doing.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)
    labels : int64 (N,)
    generator : Generator   on any device
    """
    if not models:
        return []
    device, seed = device_of(models[0]), drawn_seed(generator)
    truth = labels.cpu().numpy()
    correct = np.zeros((len(models), len(names), len(severities), len(images)), dtype=bool)
    for i, name in enumerate(names):
        for j, severity in enumerate(severities):
            # Not Python's hash of the name, which differs between processes.
            local = generator_on(device, seed + zlib.crc32(name.encode()))
            for start in range(0, len(images), batch_size):
                part = slice(start, start + batch_size)
                batch = corrupted(images[part].to(device), name, severity, local)
                for model, of_model in zip(models, correct, strict=True):
                    predicted = predict(model, batch, batch_size).argmax(axis=1)
                    of_model[i, j, part] = predicted == truth[part]
    return [UnderCorruption(tuple(names), tuple(severities), one) for one in correct]
