"""Where a backbone's weights come from: ImageNet, a run, or a file.

A recipe names its weights as `none`, `imagenet`, `run:<run_id>` or `file:<path>#<sha256>`, so that
the run's id changes with them; `lib.pretraining` makes such names.
"""

import hashlib
import pickle
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib.errors import UserError
from lib.runs import RunStore

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load_backbone(name: str, store: RunStore) -> dict[str, Tensor]:
    """A ResNet-18's weights by torchvision's names, its last layer left out.

    Parameters
    ----------
    name : str         `imagenet`, `run:<run_id>` or `file:<path>#<sha256>`
    store : RunStore   where that run lives

    Raises
    ------
    UserError   if the weights cannot be had, or the file has changed
    """
    if name == "imagenet":
        weights = imagenet()
    elif name.startswith("run:"):
        run = store.get(name.removeprefix("run:"))
        weights = load_file(run.path / "model.safetensors")
    else:
        path, _, digest = name.removeprefix("file:").rpartition("#")
        if file_digest(Path(path)) != digest:
            raise UserError(f"{path}: the weights have changed since the recipe was made from them")
        weights = read_file(Path(path))
    body = {key.removeprefix("body."): value for key, value in weights.items()}
    skipped = ("fc.", "head.", "mean", "std")
    return {key: value for key, value in body.items() if not key.startswith(skipped)}


def imagenet() -> dict[str, Tensor]:
    """Torchvision's ResNet-18, from torch's cache or the network.

    Raises
    ------
    UserError   if it is in neither; says which file belongs where
    """
    from torchvision.models import ResNet18_Weights

    source = ResNet18_Weights.IMAGENET1K_V1
    try:
        return dict(source.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        file = source.url.rpartition("/")[2]
        raise UserError(
            f"the imagenet weights cannot be downloaded ({error}); put {file} from {source.url} "
            f"into {torch.hub.get_dir()}/checkpoints, or choose the weights rotation"
        ) from error


def read_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a state dict saved by torch; no code is run.

    Raises
    ------
    UserError   if the file is not there or holds something else
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights; name a .safetensors or .pth file") from None
    except (OSError, RuntimeError, pickle.UnpicklingError, safetensors.SafetensorError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: not a file of weights ({reason})") from error
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise UserError(f"{path}: should hold a state dict, a mapping of names to tensors")
    return weights


def file_digest(path: Path) -> str:
    """Sixteen hexadecimal digits of the file's SHA-256.

    Raises
    ------
    UserError   if the file cannot be read
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise UserError(f"{path}: cannot read these weights: {error.strerror}") from error
