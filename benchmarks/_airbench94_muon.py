"""airbench94_muon on any device, as a contender of `benchmarks.time_to_accuracy`.

Written after Jordan, "94% on CIFAR-10 in 3.29 seconds" (2024), and the settings of its successor,
which trains the filters by Muon and takes 2.59 s on one A100. It differs in three things: it trains
on the pictures that the validation split leaves, as ours does; nothing is compiled; and bf16 is by
autocast, with weights in fp32.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.data.dataset import Dataset
from lib.models.parts import Classifier, predict
from lib.models.small_cnn import Scale, whiten
from lib.training.augment import random_crop
from lib.training.hardware import autocast, best_device, lowest_precision
from lib.training.loop import loss_and_accuracy
from lib.training.optimizers import Muon
from lib.training.recipe import Precision

BATCH = 2000
REACH = 2  # pixels that a picture is moved by, at most
SMOOTHING = 0.2
BIAS_RATE, HEAD_RATE, DECAY = 0.053, 0.67, 2e-6 * BATCH  # of the sum of a batch's losses
WHITENING_EPOCHS = 3  # in which the bias of the first convolution trains
SIDE = 32


@dataclass(frozen=True)
class Airbench94Muon:
    """Trains with a seed; its figures have the names that those of a run's summary have."""

    epochs: int = 8
    precision: Precision = "auto"

    def train(self, dataset: Dataset, seed: int) -> dict[str, float]:
        """Seconds of training, and accuracies on validation and test."""
        device = best_device()
        precision = lowest_precision(self.precision, device)
        torch.manual_seed(seed)
        started = time.perf_counter()
        model = network(len(dataset.classes), dataset.mean, dataset.std)
        whiten(model, dataset.train.images)
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        bias = model.body.get_submodule("whitening").bias
        generator = torch.Generator(device).manual_seed(seed)
        steps = max(1, len(dataset.train) // BATCH)
        optimizers = optimizers_for(model, steps * WHITENING_EPOCHS, steps * self.epochs)
        model.train()
        batches = all_batches(dataset, self.epochs, steps, generator)
        for step, (pixels, labels) in enumerate(batches):
            bias.requires_grad_(step < steps * WHITENING_EPOCHS)
            model.zero_grad(set_to_none=True)
            with autocast(device, precision):
                logits = model(pixels)
            loss = F.cross_entropy(
                logits.float(), labels, label_smoothing=SMOOTHING, reduction="sum"
            )
            loss.backward()
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * max(0.0, 1 - step / group["steps"])
                optimizer.step()
        seconds = time.perf_counter() - started
        return {"seconds": seconds, **accuracies(model, dataset)}


def network(classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Classifier:
    """The network with weights drawn from torch's global generator; 2 million parameters."""
    layers: dict[str, nn.Module] = {
        "whitening": nn.Conv2d(3, 24, kernel_size=2),
        "activation": nn.GELU(),
        "block1": _block(24, 64),
        "block2": _block(64, 256),
        "block3": _block(256, 256),
        "pool": nn.MaxPool2d(3),
        "flatten": nn.Flatten(),
    }
    last = nn.Linear(256, classes, bias=False)
    last.weight.detach().div_(last.weight.detach().std())
    body = nn.Sequential(OrderedDict(layers))
    return Classifier(body, nn.Sequential(last, Scale(1 / last.in_features)), mean, std, SIDE)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
    for convolution in (first, second):
        nn.init.dirac_(convolution.weight.detach()[: convolution.in_channels])
    norms = [nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4) for _ in range(2)]
    for norm in norms:
        norm.weight.requires_grad_(False)
    return nn.Sequential(first, nn.MaxPool2d(2), norms[0], nn.GELU(), second, norms[1], nn.GELU())


def optimizers_for(
    model: Classifier, whitening_steps: int, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """SGD for biases and head, Muon for filters; rates fall in a line to 0 after so many steps."""
    whitening = model.body.get_submodule("whitening")
    filters = [p for p in model.body.parameters() if p.ndim == 4 and p.requires_grad]
    biases = [p for p in model.body.parameters() if p.ndim == 1 and p.requires_grad]

    def group(parameters: list[Tensor], rate: float, steps: int) -> dict[str, object]:
        return {"params": parameters, "peak": rate, "weight_decay": DECAY / rate, "steps": steps}

    groups = [
        group([whitening.bias], BIAS_RATE, whitening_steps),
        group(biases, BIAS_RATE, steps),
        group(list(model.head.parameters()), HEAD_RATE, steps),
    ]
    sgd = torch.optim.SGD(groups, lr=0.0, momentum=0.85, nesterov=True)
    muon = Muon([{"params": filters, "peak": 0.24, "steps": steps}], 0.0, 0.6, iterations=3)
    return sgd, muon


def all_batches(
    dataset: Dataset, epochs: int, steps: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Pixels float32 (n, 3, H, W) and labels (n,); what one epoch mirrors, the next does not."""
    device = generator.device
    images, labels = dataset.train.images.to(device), dataset.train.labels.to(device)
    mirrored = torch.rand(len(images), generator=generator, device=device) < 0.5
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator, device=device)
        for number in range(steps):
            chosen = order[number * BATCH : (number + 1) * BATCH]
            batch = images.index_select(0, chosen)
            if dataset.flip:
                batch = torch.where(mirrored[chosen, None, None, None], batch.flip(3), batch)
            pixels = random_crop(batch, generator, REACH).float() / 255
            yield pixels.contiguous(memory_format=torch.channels_last), labels[chosen]
        mirrored = ~mirrored


def accuracies(model: Classifier, dataset: Dataset) -> dict[str, float]:
    """Accuracy on validation; on test alone, with mirror images, and with six views."""
    test = dataset.test
    alone, flips = predict(model, test.images), mirror_logits(model, test.images)
    return {
        "val_accuracy": accuracy(predict(model, dataset.val.images), dataset.val.labels),
        "test_accuracy": accuracy(alone, test.labels),
        "test_accuracy_flip": accuracy(flips, test.labels),
        "test_accuracy_views": accuracy(six_view_logits(model, test.images), test.labels),
    }


def accuracy(logits: np.ndarray, labels: Tensor) -> float:
    return loss_and_accuracy(logits, labels)[1]


def mirror_logits(model: nn.Module, images: Tensor) -> np.ndarray:
    """The mean of the logits of pictures uint8 (N, 3, H, W) and of their mirror images."""
    return (predict(model, images) + predict(model, images.flip(3))) / 2


def six_view_logits(model: nn.Module, images: Tensor) -> np.ndarray:
    """The same, and both moved by a pixel up and left, and down and right; these count half."""
    height, width = images.shape[2:]
    rows, columns = (torch.tensor([1, *range(size), size - 2]) for size in (height, width))
    padded = images.index_select(2, rows).index_select(3, columns)
    corners = padded[..., :height, :width], padded[..., 2:, 2:]
    return mirror_logits(model, images) / 2 + sum(mirror_logits(model, c) for c in corners) / 4
