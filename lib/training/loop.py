"""The training loop: a recipe and a dataset in, a run out.

Label smoothing (Szegedy et al., 2016), automatic mixed precision (Micikevicius et al., 2018), the
optimisers and learning rates of `lib.training.optimizers`. The whole dataset is on the device as
uint8; batches are drawn and augmented there. After validations all that changes is saved as a
checkpoint, so an interrupted run resumes and ends as it would have ended.
"""

import math
import time
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from lib import progress
from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.files import locked, replacing, write_json, write_text
from lib.intervals import accuracy_interval
from lib.models.parts import count_parameters
from lib.models.weights import reason
from lib.training import predictions
from lib.training.batches import FrozenBatches, Source, batches_for
from lib.training.hardware import best_device, check_compiler, environment, peak_memory_mib
from lib.training.optimizers import learning_rates
from lib.training.precision import settled
from lib.training.predictions import Predictions
from lib.training.recipe import Recipe
from lib.training.runs import MEASURED, PREDICTIONS, Run, RunStore, validation_rank
from lib.training.steps import State, begin, steps_per_epoch, train_steps
from lib.training.threads import computing_with, threads_for

SAVING = 0.05  # of the time that a run trains: what checkpoints may take


def fit(
    recipe: Recipe,
    dataset: Dataset,
    store: RunStore | None = None,
    device: str | torch.device | None = None,
) -> Run:
    """Train `recipe` on `dataset`, or return the stored run at once if that was done before.

    A reference run counts as done before, with or without its weights: see `RunStore`.

    The run's summary holds: best_epoch (from 1), its val_accuracy and val_loss; test_accuracy with
    its 95 % Wilson interval test_low and test_high, test_loss; seconds; images_per_second (the
    median epoch's); parameters, trainable_parameters; peak_memory_mib (the GPU's, else the
    process's); precision; device; finished (UTC); with the recipe's `test_flip` also
    test_accuracy_flip, unless a mirrored picture loses its label; of a head that was fitted to
    convergence also its penalty.

    Parameters
    ----------
    store : RunStore   where the run is stored; default: `runs/`, and reference runs in `results/`
    device : device    default: CUDA, then MPS, then the CPU

    Raises
    ------
    UserError   if the store cannot be written, the pictures are too small for the network, or the
                loss stops being finite
    """
    store = store or RunStore()
    place = torch.device(device or best_device())
    [(recipe, _)] = settled([(recipe, dataset)], store, place)
    run = store.run(recipe, dataset)
    label = f"{recipe.model} {recipe.strategy} {recipe.augmentation} seed {recipe.seed}"
    progress.report("run", run_id=run.run_id, label=label, epochs=recipe.epochs)
    if not run.finished:
        with locked(run.lock):  # a second process waits here, then finds the run finished
            if not run.finished:
                with computing_with(threads_for(recipe, dataset, place)):
                    train(run, recipe, dataset, store, place)
    progress.report("finished", run_id=run.run_id)
    return run


def train(
    run: Run, recipe: Recipe, dataset: Dataset, store: RunStore, device: torch.device
) -> None:
    """Train to the last epoch, from the checkpoint if there is one, and write the run's record."""
    mark = time.perf_counter()
    for name in MEASURED:  # of a reference run that was here before
        (run.path / name).unlink(missing_ok=True)
    write_json(run.path / "environment.json", environment(device))
    state = begin(recipe, dataset, store, device)
    checkpoint = run.path / "checkpoint.pt"
    if checkpoint.exists():
        resume(state, checkpoint, device)
    source = batches_for(state.model, recipe, dataset, store.embeddings)
    mark -= source.seconds_saved  # so that a run takes as long after others as alone
    steps = steps_per_epoch(recipe, dataset, state.model)
    if recipe.compile:
        check_compiler(device)
        source.network.compile()
    rates = learning_rates(recipe, steps * recipe.epochs)
    save_from = 0.0  # on the clock; the first validation is saved

    done = int(state.history[-1]["epoch"]) if state.history else 0
    for epoch in [epoch for epoch in recipe.validated if epoch > done]:
        started = time.perf_counter()
        if recipe.head_fit == "lbfgs":
            assert isinstance(source, FrozenBatches)
            trained = {"lr": 0.0, **source.fit(recipe.label_smoothing)}
        else:
            numbers = range(done + 1, epoch + 1)
            batches = chain.from_iterable(
                source.epoch(number, steps, state.generator) for number in numbers
            )
            rates_now = rates[done * steps : epoch * steps]
            trained = train_steps(state, source.network, batches, rates_now, recipe)
        train_seconds = time.perf_counter() - started
        val_loss, val_accuracy = loss_and_accuracy(source.val_logits(), dataset.val.labels)
        now = time.perf_counter()
        row = {
            "epoch": epoch,
            **trained,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "images_per_second": (epoch - done) * len(dataset.train) / train_seconds,
            "seconds": now - mark + (state.history[-1]["seconds"] if state.history else 0.0),
        }
        mark = now
        if not math.isfinite(row["train_loss"]):
            raise UserError(
                f"{run.path}: the loss is {row['train_loss']} in epoch {epoch}; "
                f"lower lr (it is {recipe.lr})"
            )
        state.history.append(row)
        keep_best(state)
        if now >= save_from:
            with replacing(checkpoint) as file:
                torch.save(state.state_dict(), file)
            saved = time.perf_counter()
            save_from = saved + (saved - now) / SAVING
        progress.report("epoch", run_id=run.run_id, epochs=recipe.epochs, before=done, **row)
        done = epoch

    finish(run, state, source, recipe, dataset)
    checkpoint.unlink(missing_ok=True)


def resume(state: State, checkpoint: Path, device: torch.device) -> None:
    """Put the state back that the checkpoint holds; no code in it is run.

    Raises
    ------
    UserError   if it cannot be read, is damaged, or of another run
    """
    try:
        state.load_state_dict(torch.load(checkpoint, map_location=device, weights_only=True))
    except (MemoryError, torch.OutOfMemoryError):
        raise  # no fault of the checkpoint's
    except PermissionError as error:
        raise UserError(f"cannot read {checkpoint}: {error.strerror}") from error
    except Exception as error:  # a damaged pickle can make the unpickler raise anything
        raise UserError(
            f"{checkpoint}: not a checkpoint of this run ({reason(error)}); delete it to start the "
            "run again"
        ) from error


def loss_and_accuracy(logits: np.ndarray, labels: Tensor) -> tuple[float, float]:
    """Mean cross-entropy in nats and accuracy of logits (N, C) against labels (N,)."""
    scores = torch.from_numpy(logits)
    loss = F.cross_entropy(scores, labels.cpu())
    return loss.item(), (scores.argmax(1) == labels.cpu()).double().mean().item()


def keep_best(state: State) -> None:
    """Remember the weights if the last epoch is the best by `validation_rank`."""
    row, best = state.history[-1], state.best
    if best and validation_rank(row) <= validation_rank(best):
        return
    weights = {name: value.clone() for name, value in state.model.trainable_state_dict().items()}
    state.best = {name: row[name] for name in ("epoch", "val_accuracy", "val_loss")}
    state.best["weights"] = weights


def finish(run: Run, state: State, source: Source, recipe: Recipe, dataset: Dataset) -> None:
    """Write the record of a trained run, its summary last."""
    state.model.load_state_dict(state.best.pop("weights"), strict=False)
    history = pd.DataFrame(state.history)
    write_text(run.path / "history.csv", history.to_csv(index=False, lineterminator="\n"))
    run.save_weights(state.model)

    said = {
        name: Predictions(
            np.array(split.ids), split.labels.cpu().numpy(), source.logits(split.images)
        )
        for name, split in (("val", dataset.val), ("test", dataset.test))
    }
    predictions.save(run.path / PREDICTIONS, said)

    test_loss, test_accuracy = loss_and_accuracy(said["test"].logits, dataset.test.labels)
    interval = accuracy_interval(round(test_accuracy * len(dataset.test)), len(dataset.test))
    trainable, parameters = count_parameters(state.model)
    summary = {
        **{
            f"best_{name}" if name == "epoch" else name: value for name, value in state.best.items()
        },
        **({"penalty": float(history["penalty"].iloc[0])} if "penalty" in history else {}),
        "test_accuracy": test_accuracy,
        "test_low": interval.low,
        "test_high": interval.high,
        "test_loss": test_loss,
        "seconds": float(history["seconds"].iloc[-1]),
        "images_per_second": float(history["images_per_second"].median()),
        "parameters": parameters,
        "trainable_parameters": trainable,
        "peak_memory_mib": peak_memory_mib(state.model.mean.device),
        "precision": recipe.precision,
        "device": state.model.mean.device.type,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if recipe.test_flip and dataset.flip:
        both = said["test"].logits + source.logits(dataset.test.images.flip(3))
        summary["test_accuracy_flip"] = loss_and_accuracy(both, dataset.test.labels)[1]
    write_json(run.path / "summary.json", summary)
