"""Export a finished run as a bundle that others can use.

`export` turns a finished run into a bundle: the temperature is fitted on val, every figure measured
on test, and the ONNX network compared with the PyTorch one before anything is put in place.
"""

import dataclasses
import hashlib
import re
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from lib.data.dataset import Dataset
from lib.diagnosis.calibration import Calibration, calibrate, softmax
from lib.diagnosis.mistakes import per_class
from lib.errors import UserError
from lib.files import replacing_folder, sha256, write_json, write_text
from lib.inference.bundle import CARD, FACTS, ONNX, SCHEMA_VERSION, WEIGHTS, Bundle
from lib.intervals import accuracy_interval
from lib.models import parts, weights
from lib.models.parts import predict
from lib.training.predictions import Predictions
from lib.training.runs import Run

TOLERANCE = 1e-4  # of ONNX against PyTorch: in probabilities, and in logits relative to the largest
RECORD_TOLERANCE = 0.02  # in probabilities, which on a GPU come of shorter floats
COMPARED = 256  # pictures at most
OUTPUTS = ["logits", "probabilities"]
UNDECOMPOSED = str.maketrans(  # Latin letters that Unicode does not take apart into letter and mark
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O"}
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i"}
)


class Served(nn.Module):
    """What ONNX holds: uint8 pictures to logits and calibrated probabilities."""

    def __init__(self, model: parts.Classifier, temperature: float):
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model(images.float() / 255)
        return logits, (logits / self.temperature).softmax(dim=1)


def export(run: Run, dataset: Dataset, path: str | Path, name: str | None = None) -> Bundle:
    """Write the run's bundle into the folder `path`, in place of the bundle that lies there.

    The folder is replaced once all of the new one is written and checked; until then nothing there
    changes.

    Parameters
    ----------
    dataset : Dataset   the one that the run was trained on; ONNX is checked on its val pictures
    name : str          what servers call the model; `<dataset>-<network>` when left out

    Raises
    ------
    UserError    if `path` holds something other than a bundle or cannot be written, ONNX does not
                 agree with PyTorch to `TOLERANCE`, or PyTorch not with what the run recorded
    ValueError   if the run saw other val pictures than the dataset's
    """
    target = Path(path)
    if tuple(run.predictions("val").ids) != dataset.val.ids:
        raise ValueError(f"run {run.run_id} was not validated on these pictures of {dataset.name}")
    if not _replaceable(target):
        raise UserError(f"{target}: holds something other than a bundle; name another folder")
    with replacing_folder(target) as folder:
        write(run, dataset.val.images[:COMPARED], folder, name)
    return Bundle.load(target)


def _replaceable(target: Path) -> bool:
    """Whether nothing but a bundle would go."""
    if not target.exists() or (target / FACTS).is_file():
        return True
    return target.is_dir() and not any(target.iterdir())


def write(run: Run, images: Tensor, folder: Path, name: str | None = None) -> None:
    """Write the files of the run's bundle into an empty folder, the facts last.

    `images` are uint8 (N, 3, S, S), on which ONNX must agree with PyTorch.
    """
    model, facts = run.load_model(), run.dataset
    val, test = run.predictions("val"), run.predictions("test")
    scaled = calibrate(val.logits, val.labels, test.logits, test.labels)
    (folder / WEIGHTS).write_bytes(weights.to_safetensors(model.state_dict()))
    check_record(run, model, images)
    onnx = write_onnx(folder / ONNX, model, scaled.temperature, images)
    bundle = Bundle(
        path=folder,
        schema_version=SCHEMA_VERSION,
        name=slug(name or f"{facts['name']}-{run.recipe.model}"),
        run_id=run.run_id,
        recipe=run.recipe,
        classes=tuple(facts["classes"]),
        image_size=facts["image_size"],
        mean=tuple(model.mean.flatten().tolist()),
        std=tuple(model.std.flatten().tolist()),
        temperature=scaled.temperature,
        metrics=metrics(test, facts["classes"], scaled),
        dataset=facts,
        training=run.summary,
        environment=run.environment,
        onnx=onnx,
        sha256={name: sha256(folder / name) for name in (WEIGHTS, ONNX)},
    )
    write_json(folder / FACTS, bundle.to_dict())


def add_card(bundle: Bundle, text: str) -> Bundle:
    """Write the model card into the bundle's folder, and its hash into `bundle.json`.

    Raises
    ------
    UserError   if one of the two cannot be written
    """
    write_text(bundle.path / CARD, text)
    hashes = bundle.sha256 | {CARD: sha256(bundle.path / CARD)}
    listed = dataclasses.replace(bundle, sha256=hashes)
    write_json(bundle.path / FACTS, listed.to_dict())
    return listed


def check_record(run: Run, model: parts.Classifier, images: Tensor) -> None:
    """Make sure that the network says of val pictures (N, 3, S, S) what the run recorded of them.

    Raises
    ------
    UserError   if it does not: the code of the networks is another one than the run's
    """
    recorded = run.predictions("val").logits[: len(images)]
    difference = np.abs(softmax(recorded) - softmax(predict(model, images))).max()
    if not difference <= RECORD_TOLERANCE:
        raise UserError(
            f"{run.path}: its weights do not give its predictions (off by {difference:.2g}), so "
            "another version of this program made it; train it again"
        )


def slug(name: str) -> str:
    """The name in characters that need no escaping in an address: `A-Z a-z 0-9 . _ -`.

    Accents are dropped (compatibility decomposition, Unicode Standard Annex 15), and blanks and
    slashes become hyphens; names that differ in these alone share one. The name neither begins nor
    ends with a hyphen or a dot. If anything else is lost, the first eight digits of the original's
    SHA-256 follow, so that `кошки` and `собаки` remain apart.
    """
    letters = unicodedata.normalize("NFKD", name).translate(UNDECOMPOSED)
    unaccented = "".join(letter for letter in letters if not unicodedata.combining(letter))
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", unaccented).strip("-.")
    if kept and kept == re.sub(r"[\s/\\]+", "-", unaccented):
        return kept
    # Of the composed form, since file systems differ in the form that they give back.
    composed = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
    return f"{kept or 'model'}-{hashlib.sha256(composed).hexdigest()[:8]}"


def metrics(test: Predictions, classes: Sequence[str], scaled: Calibration) -> dict[str, Any]:
    """What the test predictions are worth, with 95 % intervals.

    accuracy (Wilson's interval); per_class, the rows of `lib.diagnosis.mistakes.per_class`;
    calibration: each measure of `lib.diagnosis.calibration.calibration_table`, before and after
    scaling.
    """
    predicted = test.logits.argmax(1)
    accuracy = accuracy_interval(int((predicted == test.labels).sum()), len(test.labels))
    calibration: dict[str, Any] = {}
    for row in scaled.metrics.to_dict("records"):
        interval = {name: row[name] for name in ("value", "low", "high")}
        calibration.setdefault(row["metric"], {})[row["scaling"]] = interval
    return {
        "split": "test",
        "pictures": len(test.labels),
        "accuracy": dataclasses.asdict(accuracy),
        "per_class": per_class(test.labels, predicted, classes).to_dict("records"),
        "calibration": calibration,
    }


def write_onnx(
    file: Path, model: parts.Classifier, temperature: float, images: Tensor
) -> dict[str, Any]:
    """Write the network as ONNX, and compare it with PyTorch on pictures uint8 (N, 3, S, S).

    Raises
    ------
    UserError   if they differ by more than `TOLERANCE`
    """
    served = Served(model, temperature).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        torch.onnx.export(
            served,
            (images[:2],),
            file,
            input_names=["images"],
            output_names=OUTPUTS,
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = served(images)
    onnx_outputs = session.run(OUTPUTS, {"images": images.numpy()})
    difference = max(
        float(np.abs(theirs - ours.numpy()).max() / max(1, np.abs(theirs).max()))
        for ours, theirs in zip(expected, onnx_outputs, strict=True)
    )
    if not difference <= TOLERANCE:  # nor NaN
        raise UserError(
            f"ONNX and PyTorch differ by {difference:.1e} on {len(images)} pictures, more than "
            f"{TOLERANCE:.0e}, so nothing was exported; try another version of onnxruntime"
        )
    return {
        "inputs": ["images"],
        "outputs": OUTPUTS,
        "compared_pictures": len(images),
        "largest_difference": difference,
    }
