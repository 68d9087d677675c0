"""A small network, pictures that it can learn to tell apart, and a table of attacks."""

import pandas as pd
import torch
from torch import nn

from lib.intervals import accuracy_interval


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Normalise(nn.Module):
    def forward(self, pixels):
        return (pixels - 0.45) / 0.25


def small_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        Normalise(),
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


def pictures(count=40, size=8):
    images = torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=seeded(1))
    return images, images.float() / 255


def task(count, seed=0):
    images = torch.randint(40, 180, (count, 3, 8, 8), dtype=torch.uint8, generator=seeded(seed))
    labels = torch.randint(4, (count,), generator=seeded(seed + 1))
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[:, row : row + 4, column : column + 4] += 30
    return images, labels


def attack_table(fgsm, pgd, total=1000):
    """Accuracies under FGSM and PGD at 0, 2/255, 4/255 and so on, without counts of pictures."""
    rows = []
    for attack, accuracies in (("fgsm", fgsm), ("pgd", pgd)):
        for step, accuracy in enumerate(accuracies):
            interval = accuracy_interval(round(accuracy * total), total)
            bounds = interval.value, interval.low, interval.high
            rows.append((attack, 2 * step / 255, 2.0 * step, *bounds, total))
    columns = ["attack", "epsilon", "epsilon_255", "accuracy", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)
