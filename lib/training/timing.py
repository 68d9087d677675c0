"""Training speed of this machine in each precision."""

import time
from collections.abc import Sequence

import pandas as pd
import torch

from lib.data.dataset import Dataset
from lib.training.batches import batches_for
from lib.training.hardware import best_device, peak_memory_mib, resolve_precision
from lib.training.loop import begin, steps_per_epoch, train_steps
from lib.training.recipe import Recipe
from lib.training.runs import RunStore


def compare_precisions(
    recipe: Recipe,
    dataset: Dataset,
    precisions: Sequence[str] | None = None,
    steps: int = 5,
    device: str | torch.device | None = None,
) -> pd.DataFrame:
    """Time the same training steps in each precision: fp32 and bf16, and on CUDA fp16.

    The first step is not timed. Memory is measured on CUDA alone, where each precision can be told
    from the one before.

    Returns
    -------
    table : precision, images_per_second, seconds_per_step (median of `steps`), peak_memory_mib,
        auto (whether this is what `auto` takes here)
    """
    place = torch.device(device or best_device())
    cuda = place.type == "cuda"
    rows = []
    for precision in precisions or ("fp32", "bf16", *(["fp16"] if cuda else [])):
        if cuda:
            torch.cuda.reset_peak_memory_stats(place)
        seconds, pictures = _time_steps(recipe, dataset, precision, steps, place)
        rows.append(
            {
                "precision": precision,
                "images_per_second": pictures / seconds,
                "seconds_per_step": seconds,
                "peak_memory_mib": peak_memory_mib(place) if cuda else None,
                "auto": precision == resolve_precision("auto", place),
            }
        )
    return pd.DataFrame(rows)


def _time_steps(
    recipe: Recipe, dataset: Dataset, precision: str, steps: int, device: torch.device
) -> tuple[float, int]:
    """Median seconds of a step, and the pictures of one."""
    store = RunStore()
    state = begin(recipe, dataset, store, device, precision)
    source = batches_for(state.model, recipe, dataset, store.embeddings)
    batch = next(source.epoch(1, steps_per_epoch(recipe, dataset, state.model), state.generator))
    seconds = []
    for _ in range(steps + 1):
        started = time.perf_counter()
        # its end waits for the device
        train_steps(state, source.network, [batch], [recipe.lr], recipe, precision)
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[1:])[steps // 2], len(batch[0])
