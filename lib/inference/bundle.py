"""A bundle: a folder with all that is needed to predict, and nothing else.

| file | holds |
|---|---|
| `model.safetensors` | the network's weights |
| `bundle.json` | what they are: the fields of `Bundle` |
| `model.onnx` | the same for other runtimes: uint8 pictures in, logits and probabilities out |
| `README.md` | the model card |

Nothing in it is a pickle, so reading a bundle runs no code of its maker's. `bundle.json` lists the
SHA-256 of every other file, which guards against damage; whoever can write into the folder can
change that list too, so against them only a digest of `bundle.json` helps that is kept elsewhere.
`lib.inference.export` writes a bundle.
"""

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Self

import safetensors.torch
import torch
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from safetensors import SafetensorError

from lib.data.pictures import LARGEST
from lib.errors import UserError, explained
from lib.files import sha256
from lib.models import parts
from lib.training import network
from lib.training.recipe import Recipe

SCHEMA_VERSION = 1
WEIGHTS, FACTS, ONNX, CARD = "model.safetensors", "bundle.json", "model.onnx", "README.md"
REMEDY = "export the run again with `python -m analysis --only day5`"


def distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if no two are alike."""
    if len(set(names)) < len(names):
        raise ValueError("two of them are alike")
    return names


def plain(hashes: dict[str, str]) -> dict[str, str]:
    """The hashes, if their keys are names of files in the bundle's own folder."""
    for name in hashes:
        if name in ("", ".", "..", FACTS) or "/" in name or "\\" in name:
            raise ValueError(f"{name!r} is not the name of another file of the bundle")
    return hashes


def as_recipe(value: Any) -> Recipe:
    """A recipe from its plain values."""
    return value if isinstance(value, Recipe) else Recipe.from_dict(value)


Names = Annotated[tuple[str, ...], Field(strict=False, min_length=2), AfterValidator(distinct)]
Channels = Annotated[tuple[float, float, float], Field(strict=False)]
Deviations = Annotated[
    tuple[
        Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
    ],
    Field(strict=False),
]


@dataclass(frozen=True, config=ConfigDict(strict=True))
class Bundle:
    """What `bundle.json` holds, read and checked, and the bundle's folder."""

    path: Path
    schema_version: int
    # What servers call the model, in addresses and in the heading of their documentation.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    run_id: str
    recipe: Annotated[Recipe, BeforeValidator(as_recipe)]
    classes: Names
    image_size: Annotated[
        int, Field(ge=1, le=LARGEST)
    ]  # height and width in pixels of the pictures that the network takes
    mean: Channels  # that the network subtracts from pixels in [0, 1]
    std: Deviations  # and then divides by
    temperature: Annotated[
        float, Field(gt=0, allow_inf_nan=False)
    ]  # that logits are divided by, fitted on val
    metrics: dict[str, Any]  # measured on test; see `lib.inference.export`
    dataset: dict[str, Any]  # the run's, as are the next two: `lib.training.runs.Run`
    training: dict[str, Any]
    environment: dict[str, Any]
    onnx: dict[str, Any]  # inputs and outputs, and by how much it differs from PyTorch
    sha256: Annotated[
        dict[str, str], AfterValidator(plain)
    ]  # of every other file, by name; bundles of earlier versions leave out the card

    @classmethod
    def load(cls, path: str | Path | None = None, sha256: str | None = None) -> Self:
        """The bundle in that folder, its weights compared with their hash and with its recipe.

        Parameters
        ----------
        path : path    default: the only one in `models/`
        sha256 : str   what the SHA-256 of `bundle.json` should be, in hexadecimal digits

        Raises
        ------
        UserError   if there is none, or it is damaged, changed or of another schema version
        """
        folder = only_one() if path is None else Path(path)
        file = folder / FACTS
        if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
            raise UserError(
                f"bundle SHA-256 {sha256!r}: should be 64 hexadecimal digits, as "
                "`python -m lib.inference --digest` prints them"
            )
        try:
            content = file.read_bytes()
            found = hashlib.sha256(content).hexdigest()
            if sha256 is not None and found != sha256.lower():
                raise UserError(
                    f"{file}: its SHA-256 is {found}, not {sha256.lower()}; use the bundle that "
                    "this digest was made of, or pin the new one if you trust it"
                )
            values = json.loads(content)
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{folder}: no {FACTS} in this folder; `python -m analysis` creates a bundle in "
                "models/"
            ) from None
        except OSError as error:
            raise UserError(f"cannot read {file}: {error.strerror}") from error
        except ValueError as error:
            raise UserError(f"{file}: not JSON ({error}); {REMEDY}") from error
        version = values.get("schema_version") if isinstance(values, dict) else None
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{file}: its schema version is {version!r}, and this program reads "
                f"{SCHEMA_VERSION}; {REMEDY}"
            )
        known = {field.name for field in dataclasses.fields(cls)} - {"path"}
        try:
            bundle = cls(path=folder, **{k: v for k, v in values.items() if k in known})
        except ValidationError as error:
            raise UserError(f"{file}: {explained(error)}; {REMEDY}") from error
        except UserError as error:
            raise UserError(f"{file}: {error}; {REMEDY}") from error
        bundle.load_model()
        return bundle

    def to_dict(self) -> dict[str, Any]:
        """What `bundle.json` holds."""
        values = dataclasses.asdict(self)
        del values["path"]
        return values

    def digest(self) -> str:
        """The SHA-256 of `bundle.json`, after a check of all files of the bundle.

        Raises
        ------
        UserError   if a file is missing, changed, or not listed in `bundle.json`; names them all
        """
        faults: dict[str, list[str]] = {"missing": [], "changed": [], "not listed": []}
        present = {entry.name for entry in self.path.iterdir()} - {FACTS}
        for name in sorted(present | set(self.sha256)):
            shown = name if name.isprintable() else ascii(name)
            if name not in present:
                faults["missing"].append(shown)
            elif name not in self.sha256:
                faults["not listed"].append(shown)
            elif sha256(self.path / name) != self.sha256[name]:
                faults["changed"].append(shown)
        if any(faults.values()):
            found = "; ".join(f"{kind}: {', '.join(n)}" for kind, n in faults.items() if n)
            raise UserError(f"{self.path}: not as {FACTS} lists it ({found}); {REMEDY}")
        return sha256(self.path / FACTS)

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
            raise UserError(
                f"{self.path}: the weights do not match the recipe ({reason})"
            ) from error
        return model.to(device).eval()


def only_one(models: Path = Path("models")) -> Path:
    """The folder of the bundle in a project that has one of them.

    Raises
    ------
    UserError   if there is none, or several
    """
    found = sorted(file.parent for file in models.glob(f"*/{FACTS}"))
    if not found:
        raise UserError(f"{models}: no bundle here; `python -m analysis` creates one")
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise UserError(f"several bundles ({names}); name one with --bundle")
    return found[0]
