"""Which part of a pretrained network trains: four strategies, from the head alone to all layers."""

from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

Strategy = Literal["head", "last_block", "last_stage", "all"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def frozen_parts(body: nn.Sequential, last_stage: str, strategy: Strategy) -> list[nn.Module]:
    """What a strategy leaves as it is: the parts of the body below what trains.

    Parameters
    ----------
    last_stage : str   the first part of the last stage, whose parts all follow it; its blocks are
                       the children of the last part that has some
    """
    if strategy == "all":
        return []
    if strategy == "head":
        return [body]
    names = [name for name, _ in body.named_children()]
    first = names.index(last_stage)
    if strategy == "last_stage":
        return list(body)[:first]
    stages = [place for place in range(first, len(names)) if blocks_of(body[place])]
    last = stages[-1] if stages else first
    return [*list(body)[:last], *blocks_of(body[last])[:-1]]


def divided(
    body: nn.Sequential, frozen: Sequence[nn.Module]
) -> tuple[list[nn.Module], list[nn.Module]]:
    """A body as two chains: the parts that come first and are frozen, and all others.

    A stage whose first blocks are frozen is divided too, if it is a mere chain of its blocks.
    """
    fixed = {id(part) for part in frozen}
    parts: list[nn.Module] = []
    for part in body:
        blocks = list(part) if type(part) is nn.Sequential else []
        if any(id(block) in fixed for block in blocks):
            parts += blocks
        else:
            parts.append(part)
    first = next((place for place, part in enumerate(parts) if id(part) not in fixed), len(parts))
    return parts[:first], parts[first:]


def blocks_of(part: nn.Module) -> list[nn.Module]:
    """The blocks of a stage, the last one last, after what else comes before them in it."""
    inner = getattr(part, "blocks", None)  # of timm's stages that are more than their blocks
    if isinstance(inner, nn.Sequential):
        return [*(child for child in part.children() if child is not inner), *inner]
    return list(part) if isinstance(part, nn.Sequential) else []
