"""Placement of the points' labels so that no label covers another.

Names start beside their points; where points crowd, some move up or down, and a short line leads
back. Each in turn takes the place that costs least given the others, a few times over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LINE = 15  # pixels from one line of text to the next
CHARACTER = 6.6  # pixels that a character takes at most, on average
GAP = 9  # pixels between a point and its name
REACH = 8  # lines that a name may move up or down
STEPS = LINE * np.arange(-REACH, REACH + 1)
SIDES = ("right", "left", "middle")
ROUNDS = 6
OUTSIDE = 1e6  # what it costs to leave the chart: more than anything else

Box = NDArray[np.float64]  # (4,): left, top, right, bottom


@dataclass(frozen=True)
class Place:
    """On which side of its point a name stands, and at which height in pixels from the top."""

    side: str  # of SIDES
    y: float


def places(
    x: ArrayLike, y: ArrayLike, names: Sequence[str], size: tuple[float, float]
) -> list[Place | None]:
    """A place for the name of each point, or None for a name that has none to itself.

    Names that don't cover each other here don't either where the same points lie farther apart.

    Parameters
    ----------
    x, y : float (N,)       the points, in pixels from the left and from the top
    size : (float, float)   width and height in pixels that the names stay within
    """
    points = np.column_stack([x, y, x, y]).astype(float)
    options = [_options(point, name) for point, name in zip(points, names, strict=True)]
    alone = [
        _cost_alone(boxes, point, points, size)
        for boxes, point in zip(options, points, strict=True)
    ]
    chosen = [int(cost.argmin()) for cost in alone]
    for _ in range(ROUNDS):
        for i, boxes in enumerate(options):
            others = [options[j][chosen[j]] for j in range(len(options)) if j != i]
            chosen[i] = int((alone[i] + 50 * _overlap(boxes, others)).argmin())
    filled = [option[i] for option, i in zip(options, chosen, strict=True)]
    inside = [cost[i] < OUTSIDE for cost, i in zip(alone, chosen, strict=True)]
    return [
        Place(SIDES[i // len(STEPS)], float(box[1] + box[3]) / 2) if keep else None
        for i, box, keep in zip(chosen, filled, _without_overlap(filled, inside), strict=True)
    ]


def _options(point: Box, name: str) -> NDArray[np.float64]:
    """The boxes that a name could fill: every side, and on each every step."""
    width = len(name) * CHARACTER
    x, y = point[:2]
    left = np.repeat([x + GAP, x - GAP - width, x - width / 2], len(STEPS))
    top = np.tile(y + STEPS - LINE / 2, len(SIDES))
    return np.column_stack([left, top, left + width, top + LINE])


def _cost_alone(
    boxes: NDArray[np.float64], point: Box, points: NDArray[np.float64], size: tuple[float, float]
) -> NDArray[np.float64]:
    """What a place costs whatever the other names do: distance, points covered, room left."""
    moved = np.abs(boxes[:, [1, 3]].mean(1) - point[1])
    covered = _overlap(boxes, points + np.array([-6, -6, 6, 6]))
    beyond = np.maximum(0, [-boxes[:, :2], boxes[:, 2:] - np.array(size)]).sum((0, 2))
    return moved + 10 * covered + OUTSIDE * (beyond > 0) + beyond


def _overlap(boxes: NDArray[np.float64], others: Sequence[Box]) -> NDArray[np.float64]:
    """The area (N,) that each box shares with the others."""
    low = np.maximum(boxes[:, None, :2], np.reshape(others, (-1, 4))[:, :2])
    high = np.minimum(boxes[:, None, 2:], np.reshape(others, (-1, 4))[:, 2:])
    return np.maximum(0, high - low).prod(-1).sum(1)


def _without_overlap(boxes: list[Box], visible: list[bool]) -> list[bool]:
    """Which boxes stay, of those kept so far: the one that covers most goes, until none does."""
    while True:
        shared = [
            _overlap(box[None], [b for j, b in enumerate(boxes) if visible[j] and j != i])[0]
            * visible[i]
            for i, box in enumerate(boxes)
        ]
        if max(shared, default=0) <= 1e-6:
            return visible
        worst = int(np.argmax(shared))
        visible = [keep and i != worst for i, keep in enumerate(visible)]
