"""What a run leaves on disk, and how it is found again.

A run is the folder `runs/<run_id>/`:

| file | holds |
|---|---|
| `recipe.json`, `dataset.json` | what was asked, of which pictures |
| `environment.json` | the machine and the versions |
| `history.csv` | one row per validation |
| `model.safetensors` | the weights of the epoch that was best on val; see `Run.save_weights` |
| `predictions.npz` | of val and test, by those weights: see `lib.training.predictions` |
| `checkpoint.pt` | the state after one of the last validations, while the run is unfinished |
| `summary.json` | the figures; written last, so a run that has it is finished |
| `attacks.csv` | accuracy under attack, once it has been measured: the table of
  `lib.diagnosis.robustness.accuracy_under_attacks`, in records of earlier code without its counts |
| `corruptions.npz` | which test pictures it classifies correctly under corruption, once that has
  been measured: see `lib.study.measured` |

A run's id is a hash of the recipe, the dataset's fingerprint and `VERSION`: the same choices on the
same pictures are the same run, whatever the code that trains looks like.

Reference runs are the same folders at any depth under `results/`, carried out elsewhere and only
read. A store finds them as if they had been trained here, after its own; see `RunStore`.
"""

import csv
import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd
import torch
from torch import Tensor

from lib.data.dataset import Dataset
from lib.embeddings.store import EmbeddingStore
from lib.errors import UserError
from lib.files import read_json, replacing, write_json, write_text
from lib.models import weights
from lib.models.parts import Classifier
from lib.training import backbones, predictions
from lib.training.network import build
from lib.training.predictions import Predictions
from lib.training.recipe import Recipe

VERSION = 1  # raised when the same recipe on the same dataset comes to train to another result
WEIGHTS, PREDICTIONS = "model.safetensors", "predictions.npz"
MEASURED = ATTACKS, CORRUPTIONS = "attacks.csv", "corruptions.npz"  # after training
RECORD = (  # what a reference run must have; its weights may be missing
    "recipe.json",
    "dataset.json",
    "environment.json",
    "history.csv",
    PREDICTIONS,
    "summary.json",
)
UNREADABLE = OSError, ValueError, KeyError, EOFError, csv.Error, BadZipFile, zlib.error


@dataclass(frozen=True)
class Run:
    """A recipe carried out on a dataset, read from its folder when asked.

    Parameters
    ----------
    path : Path           the folder of its record
    found_by : RunStore   the store that it belongs to; default: the one of the folder around it

    Raises
    ------
    UserError   from whatever reads a file that is missing or damaged
    """

    path: Path
    found_by: "RunStore | None" = field(default=None, compare=False, repr=False)

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def store(self) -> "RunStore":
        """Where other runs are found, such as the one that its backbone comes from."""
        return self.found_by or RunStore(self.path.parent)

    @property
    def writable(self) -> Path:
        """Where what is measured later is stored: `runs/<run_id>/`, for a reference run too."""
        return self.store.root / self.run_id

    @property
    def is_reference(self) -> bool:
        """Whether it was carried out elsewhere, so that its own folder is only read."""
        return self.path != self.writable

    @property
    def finished(self) -> bool:
        return (self.path / "summary.json").exists()

    @property
    def has_weights(self) -> bool:
        """Whether its weights are kept, and what its frozen part comes from is still there.

        ImageNet's weights are not looked for, since they can be downloaded.
        """
        if not (self.path / WEIGHTS).exists():
            return False
        source = weights.metadata_of(self.path / WEIGHTS).get("frozen_source", "imagenet")
        if source == "imagenet":
            return True
        try:
            self.load_model()
        except UserError:
            return False
        return True

    @cached_property
    def recipe(self) -> Recipe:
        return Recipe.from_dict(self._choices)

    @cached_property
    def _choices(self) -> dict[str, Any]:
        """The fields of its recipe, which may have names that recipes no longer have."""
        return self._read("recipe.json")

    @cached_property
    def dataset(self) -> dict[str, Any]:
        """The dataset's facts: name, classes, sizes, mean, std, flip, fingerprint, skipped."""
        return self._read("dataset.json")

    @cached_property
    def environment(self) -> dict[str, Any]:
        return self._read("environment.json")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The figures; see `lib.training.loop.fit` for their names."""
        return self._read("summary.json")

    @property
    def history(self) -> pd.DataFrame:
        """One row per validation; `seconds` counts from the run's start."""
        with self._reading("history.csv") as file:
            return pd.read_csv(file)

    @property
    def curves(self) -> dict[str, list[float]]:
        """The columns of `history` as plain lists, which thousands of runs give in a second."""
        with self._reading("history.csv") as file, file.open(newline="", encoding="utf-8") as lines:
            names, *rows = filter(None, csv.reader(lines))
            columns = zip(*rows, strict=True)
            return {
                name: [int(cell) if cell.isdecimal() else float(cell or "nan") for cell in column]
                for name, column in zip(names, columns, strict=True)
            }

    @property
    def attacks(self) -> pd.DataFrame | None:
        """Accuracy under attack, if it has been measured; `save_attacks` stores it."""
        file = self.measured(ATTACKS)
        return None if file is None else pd.read_csv(file)

    def save_attacks(self, table: pd.DataFrame) -> None:
        """Store the table of `lib.diagnosis.robustness.accuracy_under_attacks` with the run."""
        write_text(self.writable / ATTACKS, table.to_csv(index=False))

    def measured(self, name: str) -> Path | None:
        """The file of what was measured after training: here, or else where it was trained."""
        files = (folder / name for folder in (self.writable, self.path))
        return next((file for file in files if file.exists()), None)

    def predictions(self, split: str) -> Predictions:
        """The best weights' predictions of the pictures of `split`, which is val or test."""
        with self._reading(PREDICTIONS) as file:
            return predictions.read(file, split)

    def save_weights(self, model: Classifier) -> None:
        """Store the network's weights.

        A frozen part is left out where it comes from weights that have a name: the file's metadata
        then has that name as `frozen_source`, and as `frozen_sha256` the digest of what was left
        out (`lib.models.weights.digest`). A frozen part with random weights is stored.
        """
        tensors, metadata = model.state_dict(), {}
        if model.frozen and self.recipe.weights != "none":
            tensors = model.trainable_state_dict()
            metadata["frozen_source"] = self.recipe.weights
            metadata["frozen_sha256"] = weights.digest(model.frozen_state_dict())
        with replacing(self.path / WEIGHTS) as file:
            file.write(weights.to_safetensors(tensors, metadata))

    def load_model(self, device: str | torch.device = "cpu") -> Classifier:
        """The network with its best weights, in evaluation mode, its filters channels last.

        Raises
        ------
        UserError   if the weights are missing, damaged or of another network, or the frozen part
                    cannot be had from its source or is another one there
        """
        facts, file = self.dataset, self.path / WEIGHTS
        if self.is_reference and not file.exists():
            raise UserError(
                f"{self.path}: a reference run without weights; remove that folder to train the "
                "run here"
            )
        tensors, metadata = weights.read_file(file), weights.metadata_of(file)
        model = build(self.recipe, len(facts["classes"]), facts["mean"], facts["std"])
        if "frozen_sha256" in metadata:
            self._load_frozen(model, metadata)
            tensors = model.frozen_state_dict() | tensors
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            wrong = str(error).splitlines()[-1].strip()
            raise UserError(f"{file}: not the weights of the run's recipe ({wrong})") from error
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model.eval()

    def _load_frozen(self, model: Classifier, metadata: Mapping[str, str]) -> None:
        """Give the network the frozen part that its file of weights names but does not hold."""
        file, source = self.path / WEIGHTS, metadata.get("frozen_source", "")
        try:
            backbones.load_into(model, self.recipe.model, source, self.store.weights)
        except UserError as error:
            raise UserError(f"{file}: its frozen part is that of {source}: {error}") from error
        if weights.digest(model.frozen_state_dict()) != metadata["frozen_sha256"]:
            raise UserError(
                f"{file}: the weights of {source} are not those of its frozen part (SHA-256); "
                f"bring them back, or remove {self.path} to train the run again"
            )

    @property
    def lock(self) -> Path:
        """The file that is locked while the run trains, so that two processes never train it."""
        return self.path / ".lock"

    def _read(self, name: str) -> dict[str, Any]:
        with self._reading(name) as file:
            value = read_json(file)
            if not isinstance(value, dict):
                raise ValueError("not a mapping")
            return value

    @contextmanager
    def _reading(self, name: str) -> Iterator[Path]:
        """The path of a file of the record; an error while it is read becomes the user's."""
        file = self.path / name
        try:
            yield file
        except UNREADABLE as error:
            why = getattr(error, "strerror", None) or weights.reason(error)
            raise UserError(
                f"{file}: cannot be read ({why}); remove {self.path} to train the run again"
            ) from error


class RunStore:
    """The folder of the runs, which every process that uses it shares, and reference runs.

    A reference run counts as finished if it has all of `RECORD` and is named by the id that its
    recipe and dataset have today; others are passed over, being partial or of earlier code. It need
    not have weights: its figures and predictions are found without training, and what needs the
    network asks for `Run.has_weights` first. Nothing is written beside it.

    Parameters
    ----------
    root : Path        the folder of the runs, `runs/` of the working directory by default
    reference : Path   the folder of the reference runs; default: `results/` beside `root`
    """

    def __init__(self, root: str | Path = "runs", reference: str | Path | None = None):
        self.root = Path(root)
        self.reference = self.root.parent / "results" if reference is None else Path(reference)
        self.embeddings = EmbeddingStore(self.root.parent / "data" / ".embeddings")

    def run(self, recipe: Recipe, dataset: Dataset) -> Run:
        """The run of that recipe on that dataset, begun if there is no finished one.

        Raises
        ------
        UserError   if the store cannot be written, or a reference record of that id is damaged
        """
        if found := self.find(run_id(recipe, dataset)):
            return found
        run = Run(self.root / run_id(recipe, dataset), self)
        if not (run.path / "dataset.json").exists():
            write_json(run.path / "recipe.json", recipe.to_dict())
            write_json(run.path / "dataset.json", facts(dataset))
        return run

    def find(self, run_id: str) -> Run | None:
        """The finished run of that name, if there is one: of the store, else a reference run.

        Raises
        ------
        UserError   if a reference record of that name is damaged
        """
        own = Run(self.root / run_id, self)
        return own if own.finished else next(self._references({run_id}), None)

    def finished_among(self, run_ids: Set[str]) -> set[str]:
        """Which of those names a finished run has.

        Raises
        ------
        UserError   if a reference record of such a name is damaged
        """
        own = {run_id for run_id in run_ids if Run(self.root / run_id).finished}
        return own | {run.run_id for run in self._references(run_ids - own)}

    def get(self, run_id: str) -> Run:
        """The finished run of that name.

        Raises
        ------
        UserError   if there is none
        """
        run = self.find(run_id)
        if run is None:
            raise UserError(
                f"{self.root}: no finished run {run_id!r}; its folders are the runs that there are"
            )
        return run

    def weights(self, run_id: str) -> dict[str, Tensor]:
        """The state dict of the finished run of that name.

        Raises
        ------
        UserError   if there is none, and what `Run.load_model` raises
        """
        return self.get(run_id).load_model().state_dict()

    def finished(self) -> list[Run]:
        """Every finished run, reference runs among them, in the order of their names.

        Raises
        ------
        UserError   if a reference record is damaged
        """
        found: dict[str, Run] = {}
        own = (Run(path.parent, self) for path in self.root.glob("*/summary.json"))
        for run in (*own, *self._references()):
            found.setdefault(run.run_id, run)
        return [found[name] for name in sorted(found)]

    def _references(self, run_ids: Set[str] | None = None) -> Iterator[Run]:
        """The reference runs, or those of these names, in the order of their folders."""
        folders = (path for path, _, names in os.walk(self.reference) if "summary.json" in names)
        for path in sorted(map(Path, folders)):
            run = Run(path, self)
            if (run_ids is None or run.run_id in run_ids) and _counts(run):
                yield run


def _counts(run: Run) -> bool:
    """Whether a reference run is whole and of today's recipes."""
    if not all(os.path.isfile(os.path.join(run.path, name)) for name in RECORD):
        return False
    fingerprint, _ = run.dataset.get("fingerprint", ""), run._choices  # errors, if damaged
    try:
        return run.run_id == _identity(run.recipe, fingerprint)
    except UserError:
        return False  # a field that recipes no longer have


def run_id(recipe: Recipe, dataset: Dataset) -> str:
    """Twelve hexadecimal digits from the recipe, the dataset and `VERSION`."""
    return _identity(recipe, dataset.fingerprint)


def _identity(recipe: Recipe, fingerprint: str) -> str:
    text = "/".join([recipe.digest(), fingerprint, str(VERSION)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def facts(dataset: Dataset) -> dict[str, Any]:
    """What a run remembers of its dataset."""
    return {
        "name": dataset.name,
        "classes": list(dataset.classes),
        "pictures": {name: len(getattr(dataset, name)) for name in ("train", "val", "test")},
        "image_size": dataset.image_size,
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "flip": dataset.flip,
        "fingerprint": dataset.fingerprint,
        "skipped": list(dataset.skipped),
    }


def validation_rank(figures: Mapping[str, Any]) -> tuple[float, float]:
    """Orders the epochs of a run by validation accuracy, those of equal accuracy by their loss.

    The greatest is the best. `figures` has val_accuracy and val_loss.
    """
    return figures["val_accuracy"], -figures["val_loss"]
