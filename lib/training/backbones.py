"""The pretrained weights that a recipe names.

A recipe's `weights` is `none`, `imagenet`, `run:<run_id>` or `file:<path>#<sha256>`, so that the
run's id changes with the weights; `lib.training.pretraining` makes such names.
"""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from lib.errors import UserError
from lib.files import sha256
from lib.models import weights

DIGITS = 16  # of a file's SHA-256, in its name


def file_name(path: Path) -> str:
    """The name of a file of weights, which changes with its content.

    Raises
    ------
    UserError   if the file cannot be read
    """
    return f"file:{path}#{sha256(path)[:DIGITS]}"


def load(name: str, trained: Callable[[str], dict[str, Tensor]]) -> dict[str, Tensor]:
    """A ResNet-18's weights by torchvision's names, its last layer left out.

    Parameters
    ----------
    name : str           `imagenet`, `run:<run_id>` or `file:<path>#<sha256>`
    trained : callable   the weights of the run of an id: `lib.training.runs.RunStore.weights`

    Raises
    ------
    UserError   if the weights are not available, or the file has changed
    """
    if name == "imagenet":
        return weights.backbone(weights.imagenet())
    if name.startswith("run:"):
        return weights.backbone(trained(name.removeprefix("run:")))
    path, _, digits = name.removeprefix("file:").rpartition("#")
    if len(digits) != DIGITS:
        raise UserError(f"{name}: should end in # and {DIGITS} digits of the file's SHA-256")
    return weights.backbone(weights.read_file(Path(path), digits))
