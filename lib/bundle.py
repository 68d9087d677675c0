"""What is a bundle? A folder that holds all that is needed to predict, and nothing else.

| file | holds |
|---|---|
| `model.safetensors` | the network's weights |
| `bundle.json` | what they are: the fields of `Bundle` |
| `model.onnx` | the same for other runtimes: uint8 pictures in, logits and probabilities out |
| `README.md` | the model card |

Nothing in it is a pickle, so reading a bundle runs no code of its maker's. `lib.export` writes one.
"""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import safetensors.torch
import torch
from safetensors import SafetensorError

from lib.errors import UserError
from lib.models import parts
from lib.training import network
from lib.training.recipe import Recipe

SCHEMA_VERSION = 1
WEIGHTS, FACTS, ONNX, CARD = "model.safetensors", "bundle.json", "model.onnx", "README.md"
LARGEST = 1024  # pixels on a side, as in lib.data.dataset
REMEDY = "export the run again, with python -m analysis --only day5"
KINDS = {  # of each field in the file
    "schema_version": int,
    "name": str,
    "run_id": str,
    "recipe": dict,
    "classes": list,
    "image_size": int,
    "mean": list,
    "std": list,
    "temperature": float,
    "metrics": dict,
    "dataset": dict,
    "training": dict,
    "environment": dict,
    "onnx": dict,
    "sha256": dict,
}


@dataclass(frozen=True)
class Bundle:
    """The facts in `bundle.json`, read and checked, and the folder that they lie in."""

    path: Path
    schema_version: int
    name: str  # what servers call the model: letters, digits, dots, hyphens, underscores
    run_id: str
    recipe: Recipe
    classes: tuple[str, ...]
    image_size: int  # height and width in pixels of the pictures that the network takes
    mean: tuple[float, ...]  # that the network subtracts from pixels in [0, 1]
    std: tuple[float, ...]  # and then divides by
    temperature: float  # that logits are divided by, fitted on val
    metrics: dict[str, Any]  # measured on test; see `lib.export`
    dataset: dict[str, Any]  # the run's, as are the next two: `lib.training.runs.Run`
    training: dict[str, Any]
    environment: dict[str, Any]
    onnx: dict[str, Any]  # inputs and outputs, and by how much it differs from PyTorch
    sha256: dict[str, str]  # of the weights and of the ONNX network, by file name

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The bundle in that folder, its weights compared with their hash and with its recipe.

        Raises
        ------
        UserError   if there is none, or it is damaged, changed or of another schema version
        """
        folder = Path(path)
        file = folder / FACTS
        try:
            values = json.loads(file.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{folder}: no bundle there, for it has no {FACTS}; "
                "python -m analysis makes one in models/best"
            ) from None
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}") from error
        except ValueError as error:
            raise UserError(f"{file}: not JSON ({error}); {REMEDY}") from error
        bundle = cls(path=folder, **_checked(values, file))
        bundle.load_model()
        return bundle

    def to_dict(self) -> dict[str, Any]:
        """What `bundle.json` holds."""
        values = dataclasses.asdict(self)
        del values["path"]
        return values

    def read(self, name: str) -> bytes:
        """The content of one of its files, if it is still what was exported.

        Raises
        ------
        UserError   if the file is missing, or its hash is not the one on record
        """
        file = self.path / name
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}; {REMEDY}") from error
        if hashlib.sha256(content).hexdigest() != self.sha256.get(name):
            raise UserError(f"{file}: not the file that {FACTS} describes (sha256); {REMEDY}")
        return content

    def load_model(self, device: str | torch.device = "cpu") -> parts.Classifier:
        """The network in evaluation mode.

        Raises
        ------
        UserError   if its weights are missing, changed, or not those of its recipe
        """
        with torch.device("meta"):  # no weights are drawn only to be replaced
            model = network.build(self.recipe, len(self.classes), self.mean, self.std)
        try:
            weights = safetensors.torch.load(self.read(WEIGHTS))
            model.load_state_dict(weights, assign=True)
        except (RuntimeError, SafetensorError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"{self.path}: its weights are not its recipe's ({reason})") from error
        return model.to(device).eval()


def _checked(values: Any, file: Path) -> dict[str, Any]:
    """A bundle's fields from what its file holds."""
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{file}: its schema version is {version!r}, and this program reads {SCHEMA_VERSION}; "
            f"{REMEDY}"
        )
    for name, kind in KINDS.items():
        if not isinstance(values.get(name), kind):
            raise UserError(f"{file}: {name!r} is missing or of the wrong type; {REMEDY}")
    fields = {name: values[name] for name in KINDS}
    try:
        fields["recipe"] = Recipe.from_dict(fields["recipe"])
    except UserError as error:
        raise UserError(f"{file}: {error}; {REMEDY}") from error
    for name, kind in (("classes", str), ("mean", float), ("std", float)):
        fields[name] = tuple(value for value in fields[name] if isinstance(value, kind))
    sound = {
        "classes": 2 <= len(set(fields["classes"])) == len(values["classes"]),
        "image_size": 1 <= fields["image_size"] <= LARGEST,
        "mean": len(fields["mean"]) == len(values["mean"]) == 3,
        "std": len(fields["std"]) == len(values["std"]) == 3 and min(fields["std"]) > 0,
        "temperature": 0 < fields["temperature"] < math.inf,
    }
    for name, fits in sound.items():
        if not fits:
            raise UserError(f"{file}: {name} = {values[name]!r} cannot be; {REMEDY}")
    return fields
