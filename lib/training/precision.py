"""What a recipe's precision `auto` stands for: the fastest, by a few training steps here.

Lower precisions are several times slower than fp32 on some processors and twice as fast on others,
by network and size, so they are measured: once per machine, network and size. The figures stay in
the store, and the recipe that is trained names its precision, so a run's id depends on no second
measurement. Finished runs decide before any, even if another machine carried them out: a study
goes on with what it began with.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import torch
from pydantic import TypeAdapter

from lib.data.dataset import Dataset
from lib.files import locked, read_json, write_json
from lib.training.hardware import environment, precisions_of
from lib.training.recipe import Precision, Recipe
from lib.training.runs import RunStore, run_id
from lib.training.threads import computing_with, threads_for, work_of_a_step
from lib.training.timing import time_steps

KEPT = "precisions.json"  # in the store: by machine, then by network and size
CLUSTER = "a cluster"  # in place of a machine's name
GAIN = 1.2  # how many times as fast as fp32 a lower precision must be
BATCH = 128  # pictures of a step that is measured, at most
STEPS = 5  # of which the fastest counts
SMALL = 1e9  # multiply-adds of a step's forward pass; with fewer there is little to gain
Job = tuple[Recipe, Dataset]
Figures = dict[Precision, float]  # to pictures a second
Measure = Callable[[Recipe, Dataset], Figures]


def settled(
    jobs: Sequence[Job], store: RunStore, device: torch.device, measure: Measure | None = None
) -> list[Job]:
    """The jobs, with recipes that name a precision where they said `auto`.

    A finished run of the recipe decides, or of the recipe with seed 0; otherwise figures that were
    measured here. A head on stored features takes fp32, since a lower precision changes those.

    Parameters
    ----------
    measure : function   default: `pictures_per_second` on `device`; the figures of another one are
                         those of a cluster, and kept apart

    Returns
    -------
    jobs : in the same order; `auto` remains where a run of earlier code has it

    Raises
    ------
    UserError   if the store cannot be written, or pictures are too small for their network
    """
    ids = {
        run_id(candidate, dataset)
        for recipe, dataset in jobs
        if recipe.precision == "auto"
        for candidate in _candidates(recipe)
    }
    if not ids:
        return list(jobs)
    done = store.finished_among(ids)
    kept = _Kept(store.root / KEPT, CLUSTER if measure else machine(device))
    measure = measure or partial(pictures_per_second, device=device)

    def precision_of(recipe: Recipe, dataset: Dataset) -> Precision:
        known = kept.choice(recipe, dataset)
        for candidate in _candidates(recipe, known or "auto"):
            if run_id(candidate, dataset) in done:
                return candidate.precision
        head = recipe.strategy == "head" and recipe.stores_features
        if head or work_of_a_step(recipe, dataset) < SMALL:
            return "fp32"
        return known or kept.measured(recipe, dataset, measure)

    return [
        (recipe.replace(precision=precision_of(recipe, dataset)), dataset)
        if recipe.precision == "auto"
        else (recipe, dataset)
        for recipe, dataset in jobs
    ]


def pictures_per_second(recipe: Recipe, dataset: Dataset, device: torch.device) -> Figures:
    """How many pictures a second steps of all layers train, in each precision that `device` has.

    Strategies that train fewer layers take the same precision, since they are compared.
    """
    few = replace(
        dataset,
        train=dataset.train.first(min(recipe.batch_size, BATCH)),
        val=dataset.val.first(1),
        test=dataset.test.first(1),
    )
    whole = recipe.replace(weights="none", strategy="all", map_views=0, head_fit="sgd")
    threads = threads_for(whole, dataset, device)
    with computing_with(threads), TemporaryDirectory() as folder:
        store = RunStore(folder)
        figures = {}
        for precision in precisions_of(device):
            changed = whole.replace(precision=precision)
            pictures, seconds = time_steps(changed, few, store, STEPS, device)
            figures[precision] = pictures / min(seconds)
        return figures


def choice(figures: Figures) -> Precision:
    """The fastest precision, or fp32 if that gains less than `GAIN`."""
    fastest = max(figures, key=lambda name: figures[name])
    return fastest if figures[fastest] >= GAIN * figures["fp32"] else "fp32"


def _candidates(recipe: Recipe, first: Precision = "auto") -> list[Recipe]:
    """The runs that decide, the first that there is: in any precision, of this seed or 0."""
    precisions = dict.fromkeys((first, *get_args(Precision)))
    seeds = dict.fromkeys((recipe.seed, 0))
    return [recipe.replace(seed=seed, precision=name) for seed in seeds for name in precisions]


def machine(device: torch.device) -> str:
    """What the time of a step depends on beside the network, in words."""
    facts = environment(device)
    return f"{facts['device']}, {facts['threads']} threads, torch {facts['torch']}"


class _Kept:
    """The figures of one machine's steps, in a file of the store."""

    CONTENT = TypeAdapter(dict[str, dict[str, Figures]])

    def __init__(self, file: Path, machine: str):
        self.file, self.machine = file, machine

    def choice(self, recipe: Recipe, dataset: Dataset) -> Precision | None:
        """What the figures say, if there are any."""
        figures = self._read().get(self.machine, {}).get(_setting(recipe, dataset), {})
        return choice(figures) if "fp32" in figures else None

    def measured(self, recipe: Recipe, dataset: Dataset, measure: Measure) -> Precision:
        """What the figures say, which are measured now unless another process has just done so."""
        with locked(self.file.with_suffix(".lock")):
            if known := self.choice(recipe, dataset):
                return known
            content, figures = self._read(), measure(recipe, dataset)
            here = content.get(self.machine, {}) | {_setting(recipe, dataset): figures}
            write_json(self.file, content | {self.machine: here})
            return choice(figures)

    def _read(self) -> dict[str, dict[str, Figures]]:
        """What the file holds; one that is missing or damaged holds nothing."""
        try:
            return self.CONTENT.validate_python(read_json(self.file))
        except (OSError, ValueError):
            return {}


def _setting(recipe: Recipe, dataset: Dataset) -> str:
    """The network and the size, in words."""
    width = f" of width {recipe.width}" if recipe.model == "small_cnn" else ""
    side = recipe.image_size or dataset.image_size
    batch = min(recipe.batch_size, BATCH, len(dataset.train))
    return f"{recipe.model}{width}, {side} px, batches of {batch}"
