"""What the gallery page shows: test pictures of one run, what it says of each and why.

Day 4 leaves them in `report/days/gallery/`: `gallery.js`, which sets `daybook.gallery`, and beside
it the pictures that it names, each a PNG at its own size. The page reads a script because a browser
lets a page opened from a file read nothing else.

| of the gallery | is |
|---|---|
| `run` | `id`, `name` and `href` of the run |
| `classes`, `size` | the dataset's classes; the pictures' side in pixels |
| `tested`, `mistakes` | how many test pictures there are, how many of them are mistaken |
| `epsilon` | the attack's, in steps of 1/255 |
| `items` | the pictures, see below |

| of a picture | is |
|---|---|
| `id`, `true`, `predicted` | its name in the dataset, its class, the class it is taken for |
| `confidence`, `loss` | the probability of the predicted class, minus the log of the true one's |
| `image`, `adversarial` | its file; that of its twin after FGSM |
| `heat_predicted`, `heat_true` | Grad-CAM's file for either class, of mistakes for both |
| `adversarial_predicted` | the class that the twin is taken for |
| `top5_before`, `top5_after` | classes and probabilities before and after temperature scaling |
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from lib.data.dataset import Split
from lib.diagnosis.attribution import grad_cam
from lib.diagnosis.calibration import fit_temperature, softmax
from lib.diagnosis.heat import heat_png, png
from lib.diagnosis.robustness import fgsm
from lib.files import replacing_folder
from lib.models.parts import Classifier, predict
from lib.study.diagnostics import confusion_of
from lib.study.selection import setting_of
from lib.training.runs import Predictions, Run

FOLDER = Path("report") / "days" / "gallery"
EPSILON = 4  # of 255
DIGITS = 4  # of a probability
BATCH = 128  # pictures that are attacked at once


@dataclass(frozen=True)
class Gallery:
    """What a gallery shows: pictures of which run, in which cells (true, predicted)."""

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
        return table.assign(href=[address(*cell) if cell in self.cells else "" for cell in cells])


def address(true: str, predicted: str) -> str:
    """The gallery's page with the pictures of one cell of the confusion matrix."""
    return f"gallery.html#{urlencode({'true': true, 'predicted': predicted})}"


def write(run: Run, test: Split, most: int, folder: str | Path = FOLDER) -> Gallery:
    """Leave at most `most` (0: all) of the run's test pictures for the page, in a fresh folder.

    Raises
    ------
    UserError   if the folder cannot be written; the old gallery then stays
    """
    said = run.predictions("test")
    chosen = choose(said, most)
    items = describe(run, chosen)
    with replacing_folder(Path(folder)) as fresh:
        for item, index, seen in zip(items, chosen, look(run, test, chosen), strict=True):
            item["adversarial_predicted"] = seen.adversarial_predicted
            for kind, file in seen.files.items():
                item[kind] = f"{index}-{kind.replace('_', '-')}.png"
                (fresh / item[kind]).write_bytes(file)
        gallery = {
            "run": {
                "id": run.run_id,
                "name": setting_of(run),
                "href": f"runs.html#run={run.run_id}",
            },
            "classes": run.dataset["classes"],
            "size": run.dataset["image_size"],
            "tested": len(said.labels),
            "mistakes": int((said.logits.argmax(1) != said.labels).sum()),
            "epsilon": EPSILON,
            "items": items,
        }
        text = json.dumps(gallery, separators=(",", ":"))
        script = f"window.daybook = window.daybook || {{}};\ndaybook.gallery = {text};\n"
        (fresh / "gallery.js").write_text(script, encoding="utf-8")
    return Gallery(run.run_id, frozenset((item["true"], item["predicted"]) for item in items))


def choose(said: Predictions, most: int) -> NDArray[np.intp]:
    """Indices of the pictures to show: mistakes before right answers, at most `most` (0: all).

    Of either, the cells of the confusion matrix come in turns, so that each has its share; within a
    cell the worst mistakes come first, and right answers in the split's order.
    """
    predicted = said.logits.argmax(1)
    right = predicted == said.labels
    table = pd.DataFrame({"true": said.labels, "predicted": predicted, "right": right})
    table["rank"] = np.where(right, table.index, -losses(said))
    table = table.sort_values("rank", kind="stable")
    table["turn"] = table.groupby(["true", "predicted"]).cumcount()
    table = table.sort_values(["right", "turn"], kind="stable")
    return table.index.to_numpy(copy=True)[: most or None]


def losses(said: Predictions) -> NDArray[np.float64]:
    """Each picture's cross-entropy (N,), in nats."""
    return -log_softmax(said.logits.astype(float), axis=1)[np.arange(len(said.labels)), said.labels]


def describe(run: Run, chosen: NDArray[np.intp]) -> list[dict[str, Any]]:
    """What the run says of each chosen test picture as it is."""
    val, said, classes = run.predictions("val"), run.predictions("test"), run.dataset["classes"]
    before = softmax(said.logits)
    after = softmax(said.logits, fit_temperature(val.logits, val.labels))
    loss = losses(said)

    def top5(probabilities: NDArray[np.float64]) -> list[tuple[str, float]]:
        best = np.argsort(-probabilities, kind="stable")[:5]
        return [(classes[i], round(float(probabilities[i]), DIGITS)) for i in best]

    return [
        {
            "id": str(said.ids[i]),
            "true": classes[said.labels[i]],
            "predicted": classes[before[i].argmax()],
            "confidence": round(float(before[i].max()), DIGITS),
            "loss": round(float(loss[i]), DIGITS),
            "top5_before": top5(before[i]),
            "top5_after": top5(after[i]),
        }
        for i in chosen
    ]


@dataclass(frozen=True)
class Look:
    """A closer look at one picture: its files by what they show, and what its twin is taken for."""

    files: dict[str, bytes]
    adversarial_predicted: str


def look(run: Run, test: Split, chosen: NDArray[np.intp]) -> Iterator[Look]:
    """Each chosen test picture with its heatmaps and its attacked twin."""
    said, model, classes = run.predictions("test"), run.load_model(), run.dataset["classes"]
    images = test.images[torch.from_numpy(chosen)]
    true, predicted = (torch.from_numpy(a[chosen]) for a in (said.labels, said.logits.argmax(1)))
    heat_predicted, heat_true = (
        grad_cam(model, images / 255, targets).numpy() for targets in (predicted, true)
    )
    twins = attacked(model, images, true)
    twins_predicted = predict(model, twins).argmax(1)
    height, width = images.shape[-2:]
    for i, image in enumerate(images.numpy()):
        files = {
            "image": png(image),
            "adversarial": png(twins[i].numpy()),
            "heat_predicted": heat_png(heat_predicted[i], height, width),
        }
        if predicted[i] != true[i]:
            files["heat_true"] = heat_png(heat_true[i], height, width)
        yield Look(files, classes[twins_predicted[i]])


def attacked(model: Classifier, images: Tensor, labels: Tensor) -> Tensor:
    """The pictures' twins after FGSM, uint8 (N, 3, H, W) like the pictures."""
    batches = zip(images.split(BATCH), labels.split(BATCH), strict=True)
    twins = [fgsm(model, batch / 255, truth, EPSILON / 255) for batch, truth in batches]
    return torch.cat(twins).mul(255).round().byte()
