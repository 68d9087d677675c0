"""Train small networks side by side on one machine: as many runs at once as there are cores.

Each run has a process and a thread of its own, and comes out as it would by itself. The processes
are joblib's, which hold large arrays once, in files that all of them map. They remain for the
sweeps that follow, end when they are idle for long, and at once when the process that started them
has ended in whatever way.
"""

import os
import signal
import threading
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
import torch
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from lib import progress
from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore
from lib.training.threads import threads_for

WORKER_MEMORY = 2**30  # bytes that a worker may take, PyTorch's code included
IDLE = 60  # seconds after which an idle worker ends
CPU = torch.device("cpu")


def train(jobs: Iterable[tuple[Recipe, Dataset]], store: RunStore) -> dict[str, Run]:
    """Train those of the jobs on the CPU that are too small for all cores.

    If there is one of them, or memory for one worker, it trains none. Finished runs stay as they
    are.

    Returns
    -------
    trained : runs by their ids

    Raises
    ------
    UserError   what `lib.training.loop.fit` raises, or if a worker was killed
    """
    small = {}
    for recipe, dataset in jobs:
        if threads_for(recipe, dataset, CPU) == 1:
            run = store.run(recipe, dataset)
            if not run.finished:
                small[run.run_id] = (recipe, dataset, run)
    memory = psutil.virtual_memory().available
    workers = min(torch.get_num_threads(), len(small), memory // WORKER_MEMORY)
    if workers < 2:
        return {}
    array = cache(torch.Tensor.numpy)  # one of each tensor, though many datasets share it
    events = os.environ.get(progress.VARIABLE, "")
    shared = store.root.absolute(), store.reference.absolute(), events, os.getpid()
    parallel = Parallel(
        n_jobs=workers,
        batch_size=1,
        return_as="generator_unordered",
        mmap_mode="c",  # nothing writes, but PyTorch warns of an array that is read-only
        idle_worker_timeout=IDLE,
    )
    tasks = (
        delayed(_train)(recipe, dataset.converted(array), *shared)
        for recipe, dataset, _ in small.values()
    )
    try:
        for _ in parallel(tasks):
            pass
    except BrokenProcessPool as error:
        raise UserError(
            f"{store.root}: a process that trained a run was killed, perhaps for lack of memory; "
            "the same command resumes from the last checkpoint"
        ) from error
    except BaseException:  # Ctrl-C, too, also while runs are handed out
        get_reusable_executor(reuse=True).shutdown(kill_workers=True)
        raise
    return {run_id: run for run_id, (_, _, run) in small.items()}


def _train(
    recipe: Recipe, pictures: Dataset, root: Path, reference: Path, events: str, parent: int
) -> None:
    """A worker's part: a run of `pictures`, whose tensors are arrays, reported to `events`."""
    _end_with(parent)
    os.environ[progress.VARIABLE] = events
    torch.set_num_threads(1)
    fit(recipe, pictures.converted(torch.from_numpy), RunStore(root, reference), CPU)


@cache
def _end_with(parent: int) -> None:
    """See to it that this process ends with its parent, and that Ctrl-C is the parent's to heed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(parent).wait()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
