"""Which run won, by how much, and what does its bundle cost? What day 5 puts together."""

import time
from collections.abc import Iterable

import numpy as np
import pandas as pd
from torch import Tensor

from lib.data.dataset import Split
from lib.diagnosis.calibration import softmax
from lib.inference import Predictor
from lib.inference.bundle import CARD, FACTS, ONNX, WEIGHTS, Bundle
from lib.intervals import Interval, bootstrap_interval
from lib.pages.palette import label
from lib.pages.wording import as_one_word, count, duration, file_size, per_cent, points, signed
from lib.study.selection import best_by, setting_of, tested
from lib.training.hardware import environment
from lib.training.runs import Run, validation_rank

HOLDS = {
    WEIGHTS: "the weights",
    FACTS: "what they are: classes, sizes, temperature, figures, hashes",
    ONNX: "the same network for other runtimes, calibration included",
    CARD: "the model card",
}


def candidates(runs: Iterable[Run]) -> dict[str, Run]:
    """The best run of each setting, by name, in the order of `validation_rank`."""
    best = best_by(runs, setting_of)
    ranked = sorted(best, key=lambda name: validation_rank(best[name].summary), reverse=True)
    return {name: best[name] for name in ranked}


def standings(competing: dict[str, Run]) -> pd.DataFrame:
    """A row a candidate, with the 95 % interval of its test accuracy and the address of its run."""
    return pd.DataFrame(
        {
            "candidate": name,
            "val_accuracy": run.summary["val_accuracy"],
            "test_accuracy": as_one_word(str(tested(run))),
            "parameters": run.summary["parameters"],
            "training": as_one_word(duration(run.summary["seconds"])),
            "page": f"runs.html#run={run.run_id}",
        }
        for name, run in competing.items()
    )


def lead(first: Run, second: Run) -> Interval:
    """By how much the first is right more often than the second, on the same test pictures.

    The bootstrap draws pictures, each with both answers, so what is hard for both cancels out.
    """
    right = [
        (said.logits.argmax(1) == said.labels).astype(float)
        for said in (first.predictions("test"), second.predictions("test"))
    ]
    return bootstrap_interval(lambda differences: float(differences.mean()), right[0] - right[1])


def winner_sentence(competing: dict[str, Run]) -> str:
    """Who is best on val, how good on test, and how far ahead of the runner-up there."""
    (name, winner), *others = competing.items()
    val = per_cent(winner.summary["val_accuracy"])
    text = (
        f"Best on validation, with {val}: {name}. Of the test split it gets {tested(winner)} right"
    )
    if not others:
        return f"{text}."
    runner_up, gap = others[0][0], lead(winner, others[0][1])
    if gap.low <= 0 <= gap.high:
        span = f"{signed(gap.low)} to {signed(gap.high)} points"
        return f"{text}, not clearly more or less than the runner-up, {runner_up} ({span})."
    least, most = sorted((abs(gap.low), abs(gap.high)))
    by = f"{points(gap.value)} ({100 * least:.1f} to {100 * most:.1f})"
    return f"{text}, {by} {'more' if gap.low > 0 else 'less'} than the runner-up, {runner_up}."


def agreement_sentence(predictor: Predictor, run: Run, test: Split) -> str:
    """Whether the bundle says of the test pictures what its run said, in words."""
    said = softmax(run.predictions("test").logits, predictor.bundle.temperature)
    found = predictor.probabilities(test.images).numpy()
    same = int((said.argmax(1) == found.argmax(1)).sum())
    furthest = np.format_float_positional(abs(said - found).max(), 1, fractional=False)
    return (
        f"The bundle names the class that its run named for {same:,} of "
        f"{count(len(test), 'test picture')}; no probability differs by more than {furthest}."
    )


def contents(bundle: Bundle) -> pd.DataFrame:
    """A row a file of the bundle: file, holds, size."""
    files = {bundle.path / name: holds for name, holds in HOLDS.items()}
    return pd.DataFrame(
        {"file": path.name, "holds": holds, "size": as_one_word(file_size(path.stat().st_size))}
        for path, holds in files.items()
        if path.exists()
    )


def costs(predictor: Predictor, images: Tensor, batch: int = 64, repeats: int = 20) -> pd.DataFrame:
    """What it took to train, and takes to predict on this machine: what, cost.

    Times are medians over `repeats`, of decoded pictures uint8 (N, 3, S, S) as they are given.
    """
    facts = predictor.bundle.training
    alone = median_seconds(predictor, images[:1], repeats)
    many = images.repeat(-(-batch // len(images)), 1, 1, 1)[:batch]
    together = median_seconds(predictor, many, repeats) / batch
    rows = {
        "Parameters": f"{facts['parameters']:,} ({label(predictor.bundle.recipe.model)})",
        "Training": f"{duration(facts['seconds'])} on {predictor.bundle.environment['device']}",
        "One picture": f"{1e3 * alone:.2g} ms",
        f"{batch} pictures at once": f"{1e3 * together:.2g} ms each, {1 / together:,.0f} a second",
        "Predicted on": environment(predictor.device)["device"],
    }
    return pd.DataFrame(rows.items(), columns=["what", "cost"])


def median_seconds(predictor: Predictor, images: Tensor, repeats: int) -> float:
    """Seconds that the probabilities of these pictures take; a first time is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        predictor.probabilities(images)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[1:])[repeats // 2]
