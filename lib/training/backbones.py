"""The pretrained weights that a recipe names.

A recipe's `weights` is one of these, so that the run's id changes with the weights;
`lib.training.pretraining` makes such names.

| name | weights |
|---|---|
| `none` | random ones |
| `imagenet` | torchvision's of a ResNet-18, the installed ones of EfficientNet-Lite0 |
| `timm` | timm's own of a network `timm:NAME` |
| `run:<run_id>` | those of a finished run |
| `file:<path>#<sha256>` | those in a file |
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from lib.errors import UserError
from lib.files import sha256
from lib.models import timm_networks, weights
from lib.models.parts import Classifier
from lib.models.timm_networks import PREFIX

DIGITS = 16  # of a file's SHA-256, in its name
Channels = Sequence[float]  # red, green, blue


def file_name(path: Path) -> str:
    """The name of a file of weights, which changes with its content.

    Raises
    ------
    UserError   if the file cannot be read
    """
    return f"file:{path}#{sha256(path)[:DIGITS]}"


def normalisation(network: str, name: str) -> tuple[Channels, Channels] | None:
    """Mean and standard deviation of the channels that weights of that name were trained with.

    None where they are those of the pictures at hand.
    """
    if name == "imagenet" and network == "resnet18":
        return weights.IMAGENET_MEAN, weights.IMAGENET_STD
    if name == "imagenet":
        return weights.LITE0_MEAN, weights.LITE0_STD
    return timm_networks.normalisation(timm_networks.timm_name(network)) if name == "timm" else None


def load_into(
    model: Classifier, network: str, name: str, trained: Callable[[str], dict[str, Tensor]]
) -> None:
    """Give a network's backbone the weights of that name; its head stays as it is.

    Parameters
    ----------
    network : str        a recipe's `model`
    name : str           `imagenet`, `timm`, `run:<run_id>` or `file:<path>#<sha256>`
    trained : callable   the weights of the run of an id: `lib.training.runs.RunStore.weights`

    Raises
    ------
    UserError   if the weights are not available, the file has changed, or names or shapes do not
                fit, with the first that does not
    """
    found = _named(network, name, trained)
    own = {key.removeprefix("body."): value for key, value in found.items() if key[:5] == "body."}
    given, expected = own or _backbone_of(found, network, model), model.body.state_dict()
    check(given, expected, f"{name.partition('#')[0]}: ", network)
    model.body.load_state_dict(expected | given)


def _backbone_of(found: dict[str, Tensor], network: str, model: Classifier) -> dict[str, Tensor]:
    """Weights from elsewhere by the names of our bodies, those of the head left out."""
    if network == "resnet18":
        return {key: value for key, value in found.items() if not key.startswith("fc.")}
    head = timm_networks.head_names(timm_networks.timm_name(network))
    rest = {key: value for key, value in found.items() if not key.startswith(head)}
    return timm_networks.by_part(rest, model.body)


def check(
    given: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str, network: str
) -> None:
    """Refuse weights whose names or shapes are not those of the network.

    Raises
    ------
    UserError   with the first that does not fit
    """
    for key, value in expected.items():
        if key.endswith("num_batches_tracked"):
            continue  # older files lack these counts, which only matter without a set momentum
        if key not in given:
            raise UserError(f"{where}lacks {key}, so it is not a {network}")
        if given[key].shape != value.shape:
            shape, needed = tuple(given[key].shape), tuple(value.shape)
            raise UserError(f"{where}{key} has shape {shape}, a {network}'s is {needed}")
    extra = sorted(set(given) - set(expected))
    if extra:
        raise UserError(f"{where}holds {extra[0]}, which a {network} lacks")


def _named(
    network: str, name: str, trained: Callable[[str], dict[str, Tensor]]
) -> dict[str, Tensor]:
    if name == "imagenet" and network == "resnet18":
        return weights.torchvisions()
    if name == "imagenet" and network == "efficientnet_lite0":
        return timm_networks.lite0_weights()
    if name == "timm" and network.startswith(PREFIX):
        return timm_networks.pretrained_weights(timm_networks.timm_name(network))
    if name.startswith("run:"):
        return trained(name.removeprefix("run:"))
    if not name.startswith("file:"):
        own = "timm" if network.startswith(PREFIX) else "imagenet"
        raise UserError(
            f"recipe: there are no weights {name!r} of a {network}; choose none, {own}, rotation "
            "or a file"
        )
    path, _, digits = name.removeprefix("file:").rpartition("#")
    if len(digits) != DIGITS:
        raise UserError(f"{name}: should end in # and {DIGITS} digits of the file's SHA-256")
    return weights.read_file(Path(path), digits)
