"""The pictures of the gallery page: test pictures of one run with their predictions.

Day 4 writes them to `gallery/` in its study's folder: `gallery.js`, which sets `daybook.gallery`,
and beside it the pictures that it names, each a PNG at its own size. The page reads a script
because a browser lets a page opened from a file read nothing else.

| of the gallery | is |
|---|---|
| `run` | `id`, `name` and `href` of the run |
| `classes`, `size` | the dataset's classes; the pictures' side in pixels |
| `tested`, `mistakes` | number of test pictures, number of misclassified ones |
| `epsilon` | the attack's, in steps of 1/255 |
| `items` | the pictures, see below |

| of a picture | is |
|---|---|
| `id`, `true`, `predicted` | its name in the dataset, its true and its predicted class |
| `confidence`, `loss` | the probability of the predicted class, minus the log of the true one's |
| `image`, `adversarial` | its file; that of the picture after FGSM |
| `heat_predicted`, `heat_true` | file of the heatmap for that class; of errors alone for both |
| `adversarial_predicted` | the class predicted after FGSM |
| `top5_before`, `top5_after` | classes and probabilities before and after temperature scaling |
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.data.dataset import Split
from lib.diagnosis.attacks import fgsm
from lib.diagnosis.attribution import grad_cam
from lib.diagnosis.calibration import cross_entropy, fit_temperature, softmax
from lib.diagnosis.heat import heat_png, png
from lib.diagnosis.robustness import PICTURED
from lib.files import replacing_folder
from lib.models.parts import Classifier, predict
from lib.pages import links
from lib.study.diagnostics import confusion_of
from lib.study.selection import setting_of
from lib.training.predictions import Predictions
from lib.training.runs import Run

FOLDER = "gallery"  # in the study's folder
DIGITS = 4  # of a probability
BATCH = 128  # pictures that are attacked at once


@dataclass(frozen=True)
class Gallery:
    """Of which run a gallery has pictures, and in which cells (true, predicted)."""

    run_id: str
    cells: frozenset[tuple[str, str]]

    def confusion_of(self, run: Run) -> pd.DataFrame:
        """The run's confusion matrix; the cells that the gallery holds pictures of link to them.

        Columns: those of `lib.diagnosis.mistakes.confusion_matrix`; for its own run also `href`.
        """
        table = confusion_of(run)
        if run.run_id != self.run_id:
            return table
        cells = zip(table["true"], table["predicted"], strict=True)
        return table.assign(
            href=[links.gallery(*cell) if cell in self.cells else "" for cell in cells]
        )


def write(run: Run, test: Split, most: int, study: str | Path) -> Gallery:
    """Write at most `most` (0: all) of the run's test pictures for the page, into a new folder.

    Parameters
    ----------
    study : path   the study's folder; empty: there is no page, and nothing is written

    Raises
    ------
    UserError   if the folder cannot be written; the old gallery then stays
    """
    if not study:
        return Gallery(run.run_id, frozenset())
    test_predictions = run.predictions("test")
    chosen = choose(test_predictions, most)
    items = describe(run, chosen)
    with replacing_folder(Path(study) / FOLDER) as fresh:
        for item, index, detail in zip(items, chosen, details(run, test, chosen), strict=True):
            item["adversarial_predicted"] = detail.adversarial_predicted
            for kind, file in detail.files.items():
                item[kind] = f"{index}-{kind.replace('_', '-')}.png"
                (fresh / item[kind]).write_bytes(file)
        gallery = {
            "run": {
                "id": run.run_id,
                "name": setting_of(run),
                "href": links.run(run.run_id),
            },
            "classes": run.dataset["classes"],
            "size": run.dataset["image_size"],
            "tested": len(test_predictions.labels),
            "mistakes": int(wrong(test_predictions).sum()),
            "epsilon": PICTURED,
            "items": items,
        }
        text = json.dumps(gallery, separators=(",", ":"))
        script = f"window.daybook = window.daybook || {{}};\ndaybook.gallery = {text};\n"
        (fresh / "gallery.js").write_text(script, encoding="utf-8")
    return Gallery(run.run_id, frozenset((item["true"], item["predicted"]) for item in items))


def wrong(predictions: Predictions) -> NDArray[np.bool_]:
    """Which pictures (N,) are misclassified."""
    return predictions.logits.argmax(1) != predictions.labels


def choose(predictions: Predictions, most: int) -> NDArray[np.intp]:
    """Indices of the pictures to show: misclassified ones first, at most `most` (0: all).

    Of either, the cells of the confusion matrix come in turns, so that each has its share; within a
    cell the worst mistakes come first, and right answers in the split's order.
    """
    predicted, right = predictions.logits.argmax(1), ~wrong(predictions)
    loss = cross_entropy(predictions.logits, predictions.labels)
    table = pd.DataFrame({"true": predictions.labels, "predicted": predicted, "right": right})
    table["rank"] = np.where(right, table.index, -loss)
    table = table.sort_values("rank", kind="stable")
    table["turn"] = table.groupby(["true", "predicted"]).cumcount()
    table = table.sort_values(["right", "turn"], kind="stable")
    return table.index.to_numpy(copy=True)[: most or None]


def describe(run: Run, chosen: NDArray[np.intp]) -> list[dict[str, Any]]:
    """The predictions of each chosen test picture, before and after temperature scaling."""
    val, test, classes = run.predictions("val"), run.predictions("test"), run.dataset["classes"]
    before = softmax(test.logits)
    after = softmax(test.logits, fit_temperature(val.logits, val.labels))
    loss = cross_entropy(test.logits, test.labels)

    def top5(probabilities: NDArray[np.float64]) -> list[tuple[str, float]]:
        best = np.argsort(-probabilities, kind="stable")[:5]
        return [(classes[i], round(float(probabilities[i]), DIGITS)) for i in best]

    return [
        {
            "id": str(test.ids[i]),
            "true": classes[test.labels[i]],
            "predicted": classes[before[i].argmax()],
            "confidence": round(float(before[i].max()), DIGITS),
            "loss": round(float(loss[i]), DIGITS),
            "top5_before": top5(before[i]),
            "top5_after": top5(after[i]),
        }
        for i in chosen
    ]


@dataclass(frozen=True)
class Detail:
    """One picture's files by what they show, and the prediction for its adversarial picture."""

    files: dict[str, bytes]
    adversarial_predicted: str


def details(run: Run, test: Split, chosen: NDArray[np.intp]) -> Iterator[Detail]:
    """Each chosen test picture with its heatmaps and its adversarial picture."""
    predictions, classes = run.predictions("test"), run.dataset["classes"]
    model = run.load_model()
    images = test.images[torch.from_numpy(chosen)]
    true, predicted = (
        torch.from_numpy(a[chosen]) for a in (predictions.labels, predictions.logits.argmax(1))
    )
    heat_predicted, heat_true = (
        grad_cam(model, images / 255, targets).numpy() for targets in (predicted, true)
    )
    adversarial = attacked(model, images, true)
    adversarial_predicted = predict(model, adversarial).argmax(1)
    height, width = images.shape[-2:]
    for i, image in enumerate(images.numpy()):
        files = {
            "image": png(image),
            "adversarial": png(adversarial[i].numpy()),
            "heat_predicted": heat_png(heat_predicted[i], height, width),
        }
        if predicted[i] != true[i]:
            files["heat_true"] = heat_png(heat_true[i], height, width)
        yield Detail(files, classes[adversarial_predicted[i]])


def attacked(model: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """The pictures after FGSM, uint8 (N, 3, H, W) like the pictures."""
    batches = zip(images.split(BATCH), labels.split(BATCH), strict=True)
    parts = [fgsm(model, batch / 255, truth, PICTURED / 255) for batch, truth in batches]
    return torch.cat(parts).mul(255).round().byte()
