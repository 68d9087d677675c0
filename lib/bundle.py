"""What is a bundle? A folder that holds all that is needed to predict, and nothing else.

| file | holds |
|---|---|
| `model.safetensors` | the weights |
| `bundle.json` | what they are: the fields of `Bundle` below |
| `model.onnx` | the same network for other runtimes, from uint8 pictures to probabilities |
| `README.md` | the model card |

Nothing in it is a pickle: reading one runs no code of its maker's. `lib.export` writes bundles.
"""

import dataclasses
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import safetensors.torch
import torch

from lib import models
from lib.errors import UserError
from lib.files import read_json
from lib.recipe import Recipe

SCHEMA_VERSION = 1
WEIGHTS, FACTS, ONNX, CARD = "model.safetensors", "bundle.json", "model.onnx", "README.md"
MAKE_ONE = "make one with python -m analysis"


@dataclass(frozen=True)
class Bundle:
    """What `bundle.json` says, read and checked, and the folder that it lies in."""

    path: Path
    schema_version: int
    name: str  # of letters, digits, dots, dashes and underscores
    run_id: str
    created: str  # UTC
    recipe: Recipe
    classes: tuple[str, ...]
    image_size: int  # height and width in pixels of the pictures that the network takes
    mean: tuple[float, ...]  # that the network subtracts from pixels in [0, 1]
    std: tuple[float, ...]  # and divides by
    temperature: float  # fitted on val
    metrics: dict[str, Any]  # of test, with intervals; see `lib.export`
    dataset: dict[str, Any]  # name, pictures of each split, fingerprint, ...
    training: dict[str, Any]  # the run's summary
    environment: dict[str, Any]  # what it was trained on
    sha256: str  # of the weights
    onnx: dict[str, Any]  # its sha256, inputs, outputs, and how far it is from PyTorch

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The bundle in that folder.

        Raises
        ------
        UserError   if there is none, it is damaged, of another version, or its weights are not the
                    ones that it describes
        """
        folder = Path(path)
        if not (folder / FACTS).is_file():
            raise UserError(f"{folder}: no bundle there (it has no {FACTS}); {MAKE_ONE}")
        try:
            values = read_json(folder / FACTS)
            version = values["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder / FACTS}: damaged or not a bundle's; {MAKE_ONE}") from error
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{folder / FACTS}: schema version {version!r}, but this program reads "
                f"{SCHEMA_VERSION}; export the run again"
            )
        bundle = cls(path=folder, **_checked(values, folder / FACTS))
        bundle.weights()
        return bundle

    def to_dict(self) -> dict[str, Any]:
        """What `bundle.json` holds."""
        values = dataclasses.asdict(self)
        del values["path"]
        return values

    def weights(self) -> dict[str, torch.Tensor]:
        """The tensors of the network by name, of the very bytes whose hash is on record.

        Raises
        ------
        UserError   if the file is missing, or not the one on record
        """
        file = self.path / WEIGHTS
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UserError(f"{file}: {error.strerror}; export the run again") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise UserError(
                f"{file}: damaged, or of another bundle: its sha256 is not the one in {FACTS}; "
                "export the run again"
            )
        return safetensors.torch.load(data)

    def load_model(self, device: str | torch.device = "cpu") -> models.Classifier:
        """The network in evaluation mode.

        Raises
        ------
        UserError   if the weights do not fit what the bundle says of them
        """
        model = models.build(self.recipe, len(self.classes), self.mean, self.std)
        try:
            model.load_state_dict(self.weights())
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"{self.path}: its weights do not fit {FACTS}: {reason}") from error
        return model.to(device).eval()


def _checked(values: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The fields of a bundle from what was read, each of its type."""
    fields = {f.name: f for f in dataclasses.fields(Bundle) if f.name != "path"}
    read = {name: values[name] for name in fields if name in values}
    for name in fields:
        if name not in read:
            raise UserError(f"{file}: lacks {name!r}, so it is not a whole bundle's; {MAKE_ONE}")
    try:
        read["recipe"] = Recipe.from_dict(read["recipe"])
        for name in ("classes", "mean", "std"):
            read[name] = tuple(read[name])
        sound = (
            len(read["classes"]) >= 2
            and len(read["mean"]) == len(read["std"]) == 3
            and read["image_size"] >= 1
            and 0 < read["temperature"] < math.inf
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"{file}: a value is of the wrong kind ({error})") from error
    if not sound:
        raise UserError(f"{file}: classes, mean, std, image_size or temperature make no sense")
    return read


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
