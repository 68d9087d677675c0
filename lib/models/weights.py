"""Pretrained weights of a ResNet-18, from torchvision or a file."""

import pickle
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from lib.errors import UserError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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


def backbone(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights by torchvision's names, without the last layer and the normalisation."""
    body = {key.removeprefix("body."): value for key, value in weights.items()}
    others = ("fc.", "head.", "mean", "std")
    return {key: value for key, value in body.items() if not key.startswith(others)}
