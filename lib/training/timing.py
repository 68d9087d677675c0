"""Training speed of this machine in each precision."""

import time
from collections.abc import Sequence
from statistics import median

import pandas as pd
import torch

from lib.data.dataset import Dataset
from lib.training.batches import batches_for
from lib.training.hardware import best_device, peak_memory_mib
from lib.training.recipe import Precision, Recipe
from lib.training.runs import RunStore
from lib.training.steps import begin, steps_per_epoch, train_steps

ON_OTHERS: tuple[Precision, ...] = ("fp32", "bf16")
ON_CUDA: tuple[Precision, ...] = (*ON_OTHERS, "fp16")


def compare_precisions(
    recipe: Recipe,
    dataset: Dataset,
    precisions: Sequence[Precision] | None = None,
    steps: int = 5,
    device: str | torch.device | None = None,
) -> pd.DataFrame:
    """Time the same training steps in each precision: fp32 and bf16, and on CUDA fp16.

    Memory is measured on CUDA alone, where each precision can be told from the one before.

    Returns
    -------
    table : precision, images_per_second, seconds_per_step (median of `steps`), peak_memory_mib,
        taken (whether the recipe has it)
    """
    place = torch.device(device or best_device())
    cuda = place.type == "cuda"
    rows = []
    for precision in precisions or (ON_CUDA if cuda else ON_OTHERS):
        if cuda:
            torch.cuda.reset_peak_memory_stats(place)
        changed = recipe.replace(precision=precision)
        pictures, times = time_steps(changed, dataset, RunStore(), steps, place)
        seconds = median(times)
        rows.append(
            {
                "precision": precision,
                "images_per_second": pictures / seconds,
                "seconds_per_step": seconds,
                "peak_memory_mib": peak_memory_mib(place) if cuda else None,
                "taken": precision == recipe.precision,
            }
        )
    return pd.DataFrame(rows)


def time_steps(
    recipe: Recipe, dataset: Dataset, store: RunStore, steps: int, device: torch.device
) -> tuple[int, list[float]]:
    """The pictures of a step, and the seconds of so many, after one that is not timed."""
    state = begin(recipe, dataset, store, device)
    source = batches_for(state.model, recipe, dataset, store.embeddings)
    batch = next(source.epoch(1, steps_per_epoch(recipe, dataset, state.model), state.generator))
    seconds = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        # its end waits for the device
        train_steps(state, source.network, [batch], [recipe.lr], recipe)
        seconds.append(time.perf_counter() - started)
    return len(batch[0]), seconds[1:]
