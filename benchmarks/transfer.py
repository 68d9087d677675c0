"""Embedding pictures by a pretrained backbone: this project's engines against the plain way.

    python -m benchmarks.transfer [--backbone efficientnet_lite0] [--dataset cifar10]
                                  [--pictures 1024] [--size 128] [--rounds 3]

The plain way is what tutorials show: torchvision's transforms on Pillow pictures, a DataLoader with
a worker per core, the network of timm in fp32 under `no_grad`. All embed the same pictures, in
turns; seconds are medians over rounds. The features of each are compared with the first's: the
largest difference relative to the largest feature. What `EmbeddingStore` takes is the fastest.
"""

import argparse
import time
from statistics import median

import numpy as np
import pandas as pd
import timm
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from lib.data.dataset import load
from lib.embeddings.engines import Engine, engines
from lib.models.parts import Classifier
from lib.models.timm_networks import by_part, timm_name
from lib.training import backbones
from lib.training.network import build
from lib.training.recipe import Recipe


class Pictures(torch.utils.data.Dataset):
    """Uint8 pictures (N, 3, H, W) as Pillow pictures, each transformed when it is asked for."""

    def __init__(self, images: torch.Tensor, transform: v2.Transform):
        self.images = [v2.functional.to_pil_image(image) for image in images]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> torch.Tensor:
        return self.transform(self.images[place])


def plain(name: str, model: Classifier, side: int) -> Engine:
    """The way of tutorials, with the weights of `model`."""
    network = timm.create_model(timm_name(name), num_classes=0).eval()
    given = network.state_dict()
    ours = model.body.state_dict()
    network.load_state_dict({key: ours[next(iter(by_part({key: v}, model.body)))]
                             for key, v in given.items()})  # fmt: skip
    transform = v2.Compose(
        [
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            # not before: rounded to 8 bits, it changes features by a fifth of the largest
            v2.Resize((side, side), v2.InterpolationMode(model.interpolation), antialias=False),
            v2.Lambda(lambda pixels: pixels.clamp(0, 1)),
            v2.Normalize(model.mean.flatten().tolist(), model.std.flatten().tolist()),
        ]
    )

    def compute(images: torch.Tensor) -> NDArray[np.float32]:
        loader = DataLoader(
            Pictures(images, transform), batch_size=64, num_workers=torch.get_num_threads()
        )
        with torch.no_grad():
            return torch.cat([network(batch) for batch in loader]).numpy()

    return Engine("torchvision, DataLoader, timm", "fp32", compute)


def main() -> None:
    """Embed by every way in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="imagenet", help="none for random ones")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--pictures", type=int, default=1024)
    parser.add_argument("--size", type=int, default=128, help="side in pixels of the input")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    dataset = load(options.dataset, train_limit=options.pictures)
    images = dataset.train.images
    recipe = Recipe(
        model=options.backbone,
        weights=options.weights,
        strategy="head",
        image_size=options.size,
    )
    own = backbones.normalisation(recipe.model, recipe.weights) or (dataset.mean, dataset.std)
    model = build(recipe, len(dataset.classes), *own).eval()
    if recipe.weights != "none":
        backbones.load_into(model, recipe.model, recipe.weights, dict)
    ways = [plain(options.backbone, model, options.size), *engines(model, images)]
    first = [way.compute(images[:64]) for way in ways]  # also warms each up
    seconds: dict[str, list[float]] = {str(way): [] for way in ways}
    for _ in range(options.rounds):
        for way in ways:
            started = time.perf_counter()
            way.compute(images)
            seconds[str(way)].append(time.perf_counter() - started)

    rates = {name: len(images) / median(taken) for name, taken in seconds.items()}
    table = pd.DataFrame(
        {
            "way": name,
            "pictures per second": rate,
            "times the plain way": rate / rates[str(ways[0])],
            "difference": np.abs(found - first[0]).max() / np.abs(first[0]).max(),
        }
        for (name, rate), found in zip(rates.items(), first, strict=True)
    )
    print(f"{len(images)} pictures of {dataset.name} at {options.size} px, {options.backbone}")
    print(table.to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    main()
