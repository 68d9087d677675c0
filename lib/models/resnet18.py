"""Torchvision's ResNet-18 (He et al., 2016), fine-tuned whole or in part."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from lib.models.parts import Classifier
from lib.models.strategies import Strategy, frozen_parts


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
    model.freeze(frozen_parts(body, "layer4", strategy))
    return model
