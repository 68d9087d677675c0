"""Throughput of the input pipeline in CIFAR-sized pictures per second.

    python -m benchmarks.input_pipeline [--pictures data/cifar10/test] [--repeats 9] [--threads 1]

Reflected crop, flip, RandAugment and MixUp at batch 512 on 32 x 32 pictures that already lie in
memory: this project's `lib.training.augment` on whole batches against torchvision.transforms.v2
picture by picture in a DataLoader with two workers. torchvision on whole batches is shown too: it
is quick because one draw (the same shift, the same operations) serves all 512 pictures.

All pipelines take turns in the same run on the same pictures; a row is the median over repeats.

CIFAR-10's test pictures, one thread of two idle cores (AMD EPYC, torch 2.14.1): 55,700 pictures a
second, 11.7 times torchvision's on tensors and 14.7 times its on PIL images; on whole batches it
has 34,700.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision.transforms import v2

from lib.training import augment, randaugment

BATCH = 512
CLASSES = 10
WORKERS = 2
Batches = Iterator[tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, default=Path("data/cifar10/test"))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="for the rows that take batches")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    images = load_pictures(arguments.pictures, 8 * BATCH)
    labels = torch.randint(CLASSES, (len(images),), generator=torch.Generator().manual_seed(0))
    rates = measure(pipelines(images, labels), arguments.repeats)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.repeats} repeats"
    )
    print(table(rates).to_string(index=False))


def load_pictures(folder: Path, count: int) -> Tensor:
    """The first PNGs under the folder, or smooth random pictures: uint8 (count, 3, 32, 32)."""
    files = sorted(folder.glob("*/*.png"))
    if len(files) < count:
        print(f"{folder} holds {len(files)} PNGs, {count} are needed: using synthetic pictures")
        coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 255
        smooth = interpolate(coarse, size=(32, 32), mode="bicubic")
        return smooth.clamp(0, 255).to(torch.uint8)
    chosen = files[:: len(files) // count][:count]  # from every class
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in chosen])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


# The pipelines: each call is one epoch


def pipelines(images: Tensor, labels: Tensor) -> dict[str, Callable[[], Batches]]:
    mixup = v2.MixUp(num_classes=CLASSES)
    crop_flip_randaugment = [
        v2.RandomCrop(32, padding=4, padding_mode="reflect"),
        v2.RandomHorizontalFlip(),
        v2.RandAugment(),
    ]
    to_float = v2.ToDtype(torch.float32, scale=True)
    from_tensor = v2.Compose([*crop_flip_randaugment, to_float])
    from_pil = v2.Compose([*crop_flip_randaugment, v2.ToImage(), to_float])
    pil_images = [v2.functional.to_pil_image(image) for image in images]
    generator = torch.Generator().manual_seed(0)

    def ours() -> Batches:
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            changed = augment.flip_crop(images.index_select(0, batch), generator)
            changed = randaugment.rand_augment(changed, generator)
            yield augment.mixup(changed, torch.eye(CLASSES)[labels[batch]], generator)

    def whole_batches() -> Batches:
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            yield mixup(from_tensor(images.index_select(0, batch)), labels[batch])

    def per_picture(pictures, transform) -> Callable[[], Batches]:
        loader = DataLoader(
            Pictures(pictures, labels, transform),
            BATCH,
            shuffle=True,
            num_workers=WORKERS,
            persistent_workers=True,
            collate_fn=lambda samples: mixup(*default_collate(samples)),
        )
        return lambda: iter(loader)

    return {
        "lib.training.augment": ours,
        "torchvision v2, DataLoader, tensors": per_picture(images, from_tensor),
        "torchvision v2, DataLoader, PIL images": per_picture(pil_images, from_pil),
        "torchvision v2, one draw per batch": whole_batches,
    }


class Pictures(Dataset):
    """Pictures in memory, transformed one at a time."""

    def __init__(self, pictures, labels: Tensor, transform: Callable):
        self.pictures, self.labels, self.transform = pictures, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.pictures[i]), self.labels[i]


# The measurement


def measure(epochs: dict[str, Callable[[], Batches]], repeats: int) -> dict[str, list[float]]:
    """Pictures per second of each repeat; the first, which starts the workers, does not count."""
    rates: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(repeats + 1):
        for name, epoch in epochs.items():
            start = time.perf_counter()
            pictures = sum(len(pixels) for pixels, _ in epoch())
            rates[name].append(pictures / (time.perf_counter() - start))
    return {name: values[1:] for name, values in rates.items()}


def table(rates: dict[str, list[float]]) -> pd.DataFrame:
    ours = statistics.median(rates["lib.training.augment"])
    return pd.DataFrame(
        {
            "pipeline": name,
            "pictures/s": round(statistics.median(values)),
            "slowest": round(min(values)),
            "fastest": round(max(values)),
            "lib.training.augment is": f"{ours / statistics.median(values):.1f} x",
        }
        for name, values in rates.items()
    )


if __name__ == "__main__":
    main()
