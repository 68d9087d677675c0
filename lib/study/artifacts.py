"""The selected model and its bundle: what day 5 puts together."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown
from torch import Tensor

from lib.data.dataset import Split
from lib.diagnosis.calibration import softmax
from lib.inference import Predictor
from lib.inference.bundle import CARD, FACTS, ONNX, WEIGHTS, Bundle
from lib.intervals import Paired, paired_accuracies
from lib.pages.markdown import python_string, shell_word
from lib.pages.palette import label
from lib.pages.wording import as_one_word, count, duration, file_size, per_cent, points, signed
from lib.study.selection import (
    accuracy_of,
    best_by,
    budget_of,
    correct_by_seed,
    naming,
    ranked,
)
from lib.training.hardware import environment
from lib.training.runs import Run

CONTENTS = {
    WEIGHTS: "the weights",
    FACTS: "classes, sizes, temperature, figures, hashes",
    ONNX: "the same network for other runtimes, calibration included",
    CARD: "the model card",
}


def candidates(runs: Iterable[Run]) -> dict[str, Run]:
    """The best run of each setting and budget, by name, in the order of `validation_rank`."""
    finished = list(runs)
    name = naming(finished)
    return {name(run): run for run in ranked(best_by(finished, name).values())}


def standings(competing: dict[str, Run]) -> pd.DataFrame:
    """One row per candidate, with the 95 % interval of its test accuracy, and its run's id."""
    return pd.DataFrame(
        {
            "candidate": name,
            "training_pictures": budget_of(run)[0],
            "epochs": budget_of(run)[1],
            "val_accuracy": run.summary["val_accuracy"],
            "test_accuracy": as_one_word(str(accuracy_of(run))),
            "parameters": run.summary["parameters"],
            "training_time": as_one_word(duration(run.summary["seconds"])),
            "run_id": run.run_id,
        }
        for name, run in competing.items()
    )


def accuracy_gain(first: Run, second: Run) -> Paired:
    """The first run's test accuracy less the second's, on the same test pictures."""
    return paired_accuracies(*correct_by_seed([first, second]))


def selection_sentence(competing: dict[str, Run]) -> str:
    """The selected model, its test accuracy, and how it compares with the second-best.

    A lead is stated over a model that learned from as many pictures for as many epochs: otherwise
    the two differ in more than their settings.
    """
    (name, first), *others = competing.items()
    val = per_cent(first.summary["val_accuracy"])
    text = f"Highest validation accuracy: {name}, {val}. Its test accuracy is {accuracy_of(first)}"
    if not others:
        return f"{text}."
    second, run = others[0]
    compared = accuracy_gain(first, run)
    gap = compared.difference
    between = f"{signed(gap.low)} to {signed(gap.high)} percentage points"
    if not compared.clear:
        return (
            f"{text}, not significantly different from the second-best model, {second} "
            f"(difference {between})."
        )
    if budget_of(first) != budget_of(run):
        (pictures, epochs), (fewer, shorter) = budget_of(first), budget_of(run)
        return (
            f"{text}. The second-best model, {second}, differs by {between}, and it learned from "
            f"{count(fewer, 'picture')} in {count(shorter, 'epoch')} instead of {pictures:,} in "
            f"{epochs}: the difference is not that of the settings alone."
        )
    least, most = sorted((abs(gap.low), abs(gap.high)))
    by = f"{points(gap.value)} ({100 * least:.1f} to {100 * most:.1f})"
    side = "higher" if gap.low > 0 else "lower"
    return f"{text}, {by} {side} than that of the second-best model, {second}."


def agreement_sentence(predictor: Predictor, run: Run, test: Split) -> str:
    """Whether the bundle predicts the same classes of the test pictures as its training run."""
    recorded = softmax(run.predictions("test").logits, predictor.bundle.temperature)
    predicted = predictor.probabilities(test.images).numpy()
    same = int((recorded.argmax(1) == predicted.argmax(1)).sum())
    largest = np.format_float_positional(abs(recorded - predicted).max(), 1, fractional=False)
    return (
        f"The bundle predicts the same class as the training run for {same:,} of "
        f"{count(len(test), 'test picture')}; no probability differs by more than {largest}."
    )


def contents(bundle: Bundle) -> pd.DataFrame:
    """One row per file of the bundle: file, contents, size."""
    files = {bundle.path / name: holds for name, holds in CONTENTS.items()}
    return pd.DataFrame(
        {"file": path.name, "contents": holds, "size": as_one_word(file_size(path.stat().st_size))}
        for path, holds in files.items()
        if path.exists()
    )


def usage(bundle: str | Path) -> Markdown:
    """The commands that use the bundle in a folder."""
    folder = place(Path(bundle))
    word, string = shell_word(folder), python_string(folder)
    return Markdown(f"""\
On the command line, for files, folders and standard input; `--explain` writes a Grad-CAM heatmap:

```bash
python -m lib.inference photo.jpg holiday/ --bundle {word}
python -m lib.inference - --json --explain heat.png --bundle {word} < photo.jpg
```

In Python:

```python
from lib.inference import Predictor

predictor = Predictor.load({string})
print(predictor.predict(["photo.jpg"])[0].top(3))
```

As a service, for single pictures, many at once, and clients of the Open Inference Protocol; and as
a page to try it on:

```bash
python -m api --bundle {word}
streamlit run api/streamlit_app.py -- --bundle {word}
```

And to label more pictures, those with the least confident predictions first:

```bash
python -m labeler my-pictures --suggest {word}
```
""")


def place(bundle: Path) -> str:
    """The bundle's folder as commands name it; never a path of one machine alone."""
    folder = f"models/{bundle.name}" if bundle.is_absolute() else bundle.as_posix()
    return f"./{folder}" if folder.startswith("-") else folder  # not an option


def costs(predictor: Predictor, images: Tensor, batch: int = 64, repeats: int = 20) -> pd.DataFrame:
    """Size, training time and latency on this machine: measure, value.

    Times are medians over `repeats`, of decoded pictures uint8 (N, 3, S, S) as they are given.
    """
    facts, machine = predictor.bundle.training, predictor.bundle.environment["device"]
    alone = median_seconds(predictor, images[:1], repeats)
    many = images.repeat(-(-batch // len(images)), 1, 1, 1)[:batch]
    together = median_seconds(predictor, many, repeats) / batch
    rows = {
        "Parameters": f"{facts['parameters']:,} ({label(predictor.bundle.recipe.model)})",
        "Training time": f"{duration(facts['seconds'])} on {machine}",
        "Latency, batch of 1": f"{1e3 * alone:.2g} ms",
        f"Latency per picture, batch of {batch}": (
            f"{1e3 * together:.2g} ms (throughput: {1 / together:,.0f} per second)"
        ),
        "Device": environment(predictor.device)["device"],
    }
    return pd.DataFrame(rows.items(), columns=["measure", "value"])


def median_seconds(predictor: Predictor, images: Tensor, repeats: int) -> float:
    """Seconds that the probabilities of these pictures take; a first time is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        predictor.probabilities(images)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[1:])[repeats // 2]
