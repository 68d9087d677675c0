"""Torchvision's ResNet-18 (He et al., 2016), fine-tuned whole or in part."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn

from lib.errors import UserError
from lib.models.parts import Classifier

Strategy = Literal["head", "last_block", "layer4", "all"]  # which part trains
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def resnet18(
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    strategy: Strategy = "all",
    image_size: int = 0,
) -> Classifier:
    """The network with weights drawn from torch's global generator.

    Its first layers halve a picture twice, so a 32 px picture passes at 16, 8, 8, 4, 2 and 1 px.

    Parameters
    ----------
    strategy : str     which part trains; the others are frozen
    image_size : int   side in pixels that pictures are resized to; 0 leaves them
    """
    from torchvision.models import resnet18 as torchvisions  # takes a second to import

    network = torchvisions(weights=None)
    parts = {name: part for name, part in network.named_children() if name != "fc"}
    body = nn.Sequential(OrderedDict(parts | {"flatten": nn.Flatten()}))
    head = nn.Linear(network.fc.in_features, classes)
    model = Classifier(body, head, mean, std, image_size)
    model.freeze(frozen_parts(model, strategy))
    return model


def frozen_parts(model: Classifier, strategy: Strategy) -> list[nn.Module]:
    """What a strategy leaves untrained: of a ResNet-18, the parts below the named one."""
    parts = dict(model.body.named_children())
    if strategy == "all":
        return []
    if strategy == "head":
        return [model.body]
    below = [part for name, part in parts.items() if name != "layer4"]
    return [*below, parts["layer4"][0]] if strategy == "last_block" else below  # type: ignore[index]


def load_backbone(model: Classifier, weights: dict[str, Tensor], source: str) -> None:
    """Give a ResNet-18's backbone weights from elsewhere, named as torchvision names them.

    Raises
    ------
    UserError   if names or shapes do not fit, with the first that does not
    """
    expected = model.body.state_dict()
    for name, value in expected.items():
        if name.endswith("num_batches_tracked"):
            continue  # older files lack these counts, which only matter without a set momentum
        if name not in weights:
            raise UserError(f"{source}: lacks {name}, so it is not a ResNet-18")
        if weights[name].shape != value.shape:
            shape, needed = tuple(weights[name].shape), tuple(value.shape)
            raise UserError(f"{source}: {name} has shape {shape}, a ResNet-18's is {needed}")
    extra = sorted(set(weights) - set(expected))
    if extra:
        raise UserError(f"{source}: holds {extra[0]}, which a ResNet-18 lacks")
    model.body.load_state_dict(expected | weights)
