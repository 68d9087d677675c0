"""The selected model and its bundle: what day 5 puts together."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown
from torch import Tensor

from lib.data.dataset import Split
from lib.diagnosis.calibration import softmax
from lib.inference import Predictor
from lib.inference.bundle import CARD, FACTS, ONNX, WEIGHTS, Bundle
from lib.intervals import Interval, paired_accuracies, recipe_difference
from lib.pages.claims import size_of
from lib.pages.markdown import python_string, shell_word
from lib.pages.palette import label
from lib.pages.wording import as_one_word, count, duration, file_size, per_cent, signed
from lib.study.ranking import mean_validation
from lib.study.selection import accuracy_of, accuracy_over_seeds, budget_of, correct_by_seed
from lib.training.hardware import environment
from lib.training.runs import Run

CONTENTS = {
    WEIGHTS: "the weights",
    FACTS: "classes, sizes, temperature, figures, hashes",
    ONNX: "the same network for other runtimes, calibration included",
    CARD: "the model card",
}


def standings(competing: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """One row per candidate: means over its seeds, and the figures of the run that stands for it.

    `competing` is of `lib.study.selection.candidates`. Test accuracies have their 95 % intervals.
    """
    return pd.DataFrame(
        {
            "candidate": name,
            "training_pictures": budget_of(group[0])[0],
            "epochs": budget_of(group[0])[1],
            "seeds": len(group),
            "val_accuracy": mean_validation(group),
            "test_accuracy": as_one_word(str(accuracy_over_seeds(group))),
            "best_seed": as_one_word(str(accuracy_of(group[0]))),
            "parameters": group[0].summary["parameters"],
            "training_time": as_one_word(duration(group[0].summary["seconds"])),
            "run_id": group[0].run_id,
        }
        for name, group in competing.items()
    )


def lead(first: Sequence[Run], second: Sequence[Run]) -> Interval:
    """The test accuracy of one recipe less that of another, on the same pictures.

    With several seeds of both, seeds and pictures vary; with one of either, pictures alone, and the
    difference is one of the two runs that stand for the recipes.
    """
    if min(len(first), len(second)) > 1:
        return recipe_difference(correct_by_seed(first), correct_by_seed(second))
    return paired_accuracies(*correct_by_seed([first[0], second[0]])).difference


def selection_sentence(competing: Mapping[str, Sequence[Run]]) -> str:
    """The selected recipe, its test accuracy, and how it compares with the second-best.

    A lead is stated over a model that learned from as many pictures for as many epochs: otherwise
    the two differ in more than their settings.
    """
    (name, first), *others = competing.items()
    several = len(first) > 1
    mean, over = ("mean ", f" over {len(first)} seeds") if several else ("", "")
    text = (
        f"Highest {mean}validation accuracy: {name}, {per_cent(mean_validation(first))}{over}. "
        f"Its {mean}test accuracy is {accuracy_over_seeds(first)}"
    )
    if not others:
        return f"{text}."
    second, rivals = others[0]
    gap = lead(first, rivals)
    between = f"{signed(gap.low)} to {signed(gap.high)} percentage points"
    if not gap.clear:
        return (
            f"{text}, not significantly different from the second-best model, {second} "
            f"(difference {between})."
        )
    if budget_of(first[0]) != budget_of(rivals[0]):
        (pictures, epochs), (fewer, shorter) = budget_of(first[0]), budget_of(rivals[0])
        return (
            f"{text}. The second-best model, {second}, differs by {between}, and it learned from "
            f"{count(fewer, 'picture')} in {count(shorter, 'epoch')} instead of {pictures:,} in "
            f"{epochs}: the difference is not that of the settings alone."
        )
    side = "higher" if gap.low > 0 else "lower"
    return f"{text}, {size_of(gap)} {side} than that of the second-best model, {second}."


def packed_sentence(group: Sequence[Run]) -> str:
    """Which run of the selected recipe is packed, and that its figures are one seed's."""
    run = group[0]
    if len(group) == 1:
        return "The recipe was trained with one seed; how much the result varies is not known."
    return (
        f"Packed is the seed with the highest validation accuracy, {run.recipe.seed}: "
        f"{per_cent(run.summary['val_accuracy'])} on validation, {accuracy_of(run)} on test."
    )


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
