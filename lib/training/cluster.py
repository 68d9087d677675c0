"""Train recipes on a Ray cluster: in processes of this machine, or on several machines.

A worker gets a recipe, trains it with `lib.training.loop.fit` and leaves the run in the store. When
a worker dies, its recipe goes to another one, which resumes from the checkpoint.

    export RAY_AUTH_MODE=token             # on every machine, with the same ~/.ray/auth_token,
    ray start --head --port 6379           # which `ray get-auth-token --generate` writes; one head,
    ray start --address HEAD:6379          # the others,
    python -m analysis --ray HEAD:6379     # and the study from any of them

- The store is a folder that every machine sees under the same path, on a file system with `flock`
  (NFS has it): a lock must vanish with its process. A file of weights has an absolute path there.
  The pictures and the code of `lib` travel through Ray; the packages of requirements.txt must be
  installed on every machine.
- On a CPU a run's figures depend on the number of threads, so a worker computes with as many as
  this process would (`lib.training.threads`), and reserves as many cores.
- Where the cluster has GPUs, a run reserves one, or the part that `--share` leaves it.
"""

import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import lib
from lib import progress
from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.training.hardware import best_device
from lib.training.loop import fit
from lib.training.precision import Figures, pictures_per_second, settled
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore
from lib.training.threads import threads_for

try:
    import ray
except ModuleNotFoundError:
    raise UserError("Ray is not installed: pip install ray, or train without --ray") from None

PACKAGE = Path(lib.__file__).parent  # the code that workers get
RETRIES = 3  # deaths of a run's worker that are forgiven; a run that kills each of them must end
PATIENCE = 5  # seconds for a cluster to answer


def connect(address: str, **resources: Any) -> str:
    """Join the cluster at `address`, once a process, and say where its head is for others to join.

    Parameters
    ----------
    address : str                    the head's `host:port`; `local` starts a cluster here
    resources : num_cpus, num_gpus   what a `local` cluster has; all of this machine's if left out

    Raises
    ------
    UserError   if there is no such cluster or it cannot be joined
    """
    if not ray.is_initialized():
        join(address, **resources)
    return ray.get_runtime_context().gcs_address


def disconnect() -> None:
    """Disconnect from the cluster; one that this process started ends."""
    ray.shutdown()


def join(address: str, **resources: Any) -> None:
    """What `connect` does the first time."""
    if ":" in address:
        check_reachable(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report its use to its makers
    environment = {
        "py_modules": [str(PACKAGE)],
        "env_vars": {"OMP_WAIT_POLICY": "PASSIVE"},  # see analysis.__main__
    }
    try:
        ray.init(
            address,
            runtime_env=environment,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **resources,
        )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(
            f"cannot join the Ray cluster at {address!r}: {first_line(error)}; run `ray start "
            "--address HOST:PORT` on this machine, and set RAY_AUTH_MODE=token if that one has it"
        ) from error


def check_reachable(address: str) -> None:
    """Make sure that something listens at `host:port`; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"no Ray cluster answers at {address!r} ({error}); `ray start --head` starts one and "
            "names its HOST:PORT, or leave the address out for one on this machine"
        ) from error


def first_line(error: Exception) -> str:
    """What Ray says, without its advice."""
    return str(error).strip().partition("\n")[0].rstrip(".")


def train(
    recipes: Sequence[Recipe],
    dataset: Dataset,
    store: RunStore,
    device: str | torch.device | None = None,
    share: int = 1,
) -> list[Run]:
    """The recipes' runs, in the recipes' order, trained by the workers of the joined cluster.

    Parameters
    ----------
    share : int   how many runs share a GPU

    Raises
    ------
    UserError   what `lib.training.loop.fit` raised in a worker, or if workers cannot do the work
    """
    pictures = ray.put(dataset.converted(torch.Tensor.numpy))
    worker, timer = ray.remote(train_in_worker), ray.remote(time_in_worker)
    place = torch.device(device or "cpu")

    def measure(recipe: Recipe, _: Dataset) -> Figures:
        threads = threads_for(recipe, dataset, place)
        options = reserved(device, threads, share)
        return ray.get(timer.options(**options).remote(recipe, pictures, device, threads))

    jobs = settled([(recipe, dataset) for recipe in recipes], store, place, measure)
    recipes = [recipe for recipe, _ in jobs]
    runs = [store.run(recipe, dataset) for recipe in recipes]
    root, reference = store.root.absolute(), store.reference.absolute()
    root.mkdir(parents=True, exist_ok=True)  # where all runs are reference runs, none was begun
    with TemporaryDirectory(prefix=".events-", dir=root, ignore_cleanup_errors=True) as events:
        tasks = {}
        for recipe, run in dict(zip(recipes, runs, strict=True)).items():
            if run.finished:
                fit(recipe, dataset, store, device)  # returns at once, having reported so
            else:
                report = Path(events) / run.run_id
                report.touch()
                folder, threads = run.path.absolute(), threads_for(recipe, dataset, place)
                needs = worker.options(max_retries=RETRIES, **reserved(device, threads, share))
                task = needs.remote(recipe, pictures, folder, reference, device, threads, report)
                tasks[task] = run
        wait_for(tasks, Path(events))
    return runs


def wait_for(tasks: dict[ray.ObjectRef, Run], events: Path) -> None:
    """Pass on what the workers report until all tasks are done; the first error ends them all."""
    read: dict[Path, int] = {}
    try:
        while tasks:
            done, _ = ray.wait(list(tasks), timeout=0.5)
            for report in events.iterdir():
                read[report] = progress.pass_on(report, read.get(report, 0))
            for task in done:
                check(task, tasks.pop(task))
    finally:
        for task in tasks:
            ray.cancel(task)


def check(task: ray.ObjectRef, run: Run) -> None:
    """Raise what went wrong in a task that has ended, in the words of the worker if it has any."""
    try:
        ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise UserError(
            f"{run.path}: no worker could train it: {first_line(error)}; "
            "the same command resumes from the last checkpoint"
        ) from error


def train_in_worker(
    recipe: Recipe,
    pictures: Dataset,
    folder: Path,
    reference: Path,
    device: str | torch.device | None,
    threads: int,
    report: Path,
) -> None:
    """A worker's part: train `recipe` in the run's `folder`, reporting to the file `report`.

    Reference runs are looked for in the folder `reference`.
    """
    if not (folder / "dataset.json").exists():
        raise UserError(
            f"{socket.gethostname()} does not see {folder}; keep the runs in a folder that every "
            "machine of the cluster mounts at that path"
        )
    os.environ[progress.VARIABLE] = str(report)
    torch.set_num_threads(threads)
    fit(recipe, pictures.converted(torch.from_numpy), RunStore(folder.parent, reference), device)


def time_in_worker(
    recipe: Recipe, pictures: Dataset, device: str | torch.device | None, threads: int
) -> Figures:
    """A worker's part in what `auto` stands for: pictures a second in each precision."""
    torch.set_num_threads(threads)
    place = torch.device(device or best_device())
    return pictures_per_second(recipe, pictures.converted(torch.from_numpy), place)


def reserved(device: str | torch.device | None, threads: int, share: int) -> dict[str, float]:
    """What a run asks of the cluster: its part of a GPU, or cores where there is none."""
    wants_gpu = device is None or torch.device(device).type == "cuda"
    if wants_gpu and ray.cluster_resources().get("GPU"):
        return {"num_gpus": 1 / share}
    largest = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
    return {"num_cpus": min(threads, max(largest, 1))}
