"""How does a run become something that others can use?

`export` turns a finished run into a bundle: the temperature is fitted on val, every figure measured
on test, and the ONNX network compared with the PyTorch one before anything is put in place.
"""

import os
import re
import shutil
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib import models
from lib.bundle import FACTS, ONNX, SCHEMA_VERSION, WEIGHTS, Bundle, file_digest
from lib.calibration import calibrate
from lib.data import Dataset
from lib.errors import UserError
from lib.evaluation import accuracy_interval, per_class
from lib.files import write_json
from lib.runs import Run

TOLERANCE = 1e-4  # of ONNX against PyTorch, in logits and in probabilities
COMPARED = 256  # pictures at most


class Served(nn.Module):
    """What ONNX holds: uint8 pictures to logits and calibrated probabilities."""

    def __init__(self, model: models.Classifier, temperature: float):
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model(images.float() / 255)
        return logits, (logits / self.temperature).softmax(dim=1)


def export(
    run: Run, dataset: Dataset, path: str | Path = "models/best", name: str | None = None
) -> Bundle:
    """Write the run's bundle into the folder `path`, in place of the bundle that lies there.

    The folder is replaced once all of the new one is written and checked; until then nothing there
    changes.

    Parameters
    ----------
    dataset : Dataset   the one that the run was trained on; ONNX is checked on its val pictures
    name : str          what servers call the model; `<dataset>-<network>` when left out

    Raises
    ------
    UserError    if `path` holds something other than a bundle, cannot be written, or ONNX does not
                 agree with PyTorch to 1e-4
    ValueError   if the run saw other val pictures than the dataset's
    """
    target = Path(path)
    if target.exists() and not (target / FACTS).is_file() and any(target.iterdir()):
        raise UserError(f"{target}: holds something other than a bundle; name another folder")
    if tuple(run.predictions("val").ids) != dataset.val.ids:
        raise ValueError(f"run {run.run_id} was not validated on the pictures of {dataset.name}")
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        _fill(temporary, run, dataset, name)
        _swap(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {target}: {reason}; make room or name another") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Bundle.load(target)


def _fill(folder: Path, run: Run, dataset: Dataset, name: str | None) -> None:
    """Write every file of the bundle, the facts last."""
    model = run.load_model()
    val, test = run.predictions("val"), run.predictions("test")
    calibration = calibrate(val.logits, val.labels, test.logits, test.labels)
    shutil.copyfile(run.path / "model.safetensors", folder / WEIGHTS)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "name": re.sub(r"[^\w.-]+", "-", name or f"{run.dataset['name']}-{run.recipe.model}"),
        "run_id": run.run_id,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": run.recipe.to_dict(),
        "classes": run.dataset["classes"],
        "image_size": run.dataset["image_size"],
        "mean": model.mean.flatten().tolist(),
        "std": model.std.flatten().tolist(),
        "temperature": calibration.temperature,
        "metrics": _metrics(run, calibration.metrics),
        "dataset": run.dataset,
        "training": run.summary,
        "environment": run.environment,
        "sha256": file_digest(folder / WEIGHTS),
        "onnx": write_onnx(
            folder / ONNX, model, calibration.temperature, dataset.val.images[:COMPARED]
        ),
    }
    write_json(folder / FACTS, facts)


def _metrics(run: Run, calibration: Any) -> dict[str, Any]:
    """Of test: accuracy, per_class, and each measure of calibration before and after."""
    test = run.predictions("test")
    predicted = test.logits.argmax(1)
    right, total = int((predicted == test.labels).sum()), len(test.labels)
    accuracy = accuracy_interval(right, total)
    measures: dict[str, Any] = {}
    for row in calibration.itertuples():
        interval = {"value": row.value, "low": row.low, "high": row.high}
        measures.setdefault(row.metric, {})[row.scaling] = interval
    return {
        "split": "test",
        "pictures": total,
        "accuracy": {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high},
        "per_class": per_class(test.labels, predicted, run.dataset["classes"]).to_dict("records"),
        "calibration": measures,
    }


def write_onnx(
    file: Path, model: models.Classifier, temperature: float, images: Tensor
) -> dict[str, Any]:
    """Write the network as ONNX and compare it with PyTorch on pictures uint8 (N, 3, S, S).

    Raises
    ------
    UserError   if logits or probabilities differ by more than 1e-4
    """
    import onnxruntime

    served = Served(model, temperature).eval()
    outputs = ["logits", "probabilities"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            served,
            (images[:2],),
            file,
            input_names=["images"],
            output_names=outputs,
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = [values.numpy() for values in served(images)]
    found = session.run(outputs, {"images": images.numpy()})
    difference = max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))
    if not difference <= TOLERANCE:
        raise UserError(
            f"ONNX and PyTorch differ by {difference:.1e} on {len(images)} val pictures, more than "
            f"{TOLERANCE:.0e}; nothing was exported"
        )
    return {
        "sha256": file_digest(file),
        "input": "images",
        "outputs": outputs,
        "compared_pictures": len(images),
        "largest_difference": difference,
    }


def _swap(new: Path, target: Path) -> None:
    """Put the folder `new` in the place of `target`."""
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    with suppress(FileNotFoundError):
        os.rename(target, old)
    try:
        os.rename(new, target)
    except OSError:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)
