"""The training loop: a recipe and a dataset in, a run out.

Label smoothing (Szegedy et al., 2016), automatic mixed precision (Micikevicius et al., 2018), the
optimisers and learning rates of `lib.training.optimizers`. The whole dataset is on the device as
uint8; batches are drawn and augmented there. After validations all that changes is saved as a
checkpoint, so an interrupted run resumes and ends as it would have ended.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib import progress
from lib.data.dataset import Dataset
from lib.errors import UserError
from lib.files import locked, replacing, write_json, write_text
from lib.intervals import accuracy_interval
from lib.models.parts import Classifier, count_parameters, needs_two
from lib.models.small_cnn import SMALLEST, whiten
from lib.models.weights import reason
from lib.training import backbones
from lib.training.batches import FrozenBatches, Source, batches_for
from lib.training.hardware import (
    autocast,
    best_device,
    check_compiler,
    environment,
    peak_memory_mib,
    resolve_precision,
)
from lib.training.network import build
from lib.training.optimizers import learning_rates, optimizers_for
from lib.training.recipe import Recipe
from lib.training.runs import MEASURED, Run, RunStore, validation_rank
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
    process's); precision, as resolved; device; finished (UTC); with the recipe's `test_flip` also
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
    run = store.run(recipe, dataset)
    label = f"{recipe.model} {recipe.strategy} {recipe.augmentation} seed {recipe.seed}"
    progress.report("run", run_id=run.run_id, label=label, epochs=recipe.epochs)
    if not run.finished:
        place = torch.device(device or best_device())
        with locked(run.lock):  # a second process waits here, then finds the run finished
            if not run.finished:
                with computing_with(threads_for(recipe, dataset, place)):
                    train(run, recipe, dataset, store, place)
    progress.report("finished", run_id=run.run_id)
    return run


@dataclass
class State:
    """All that changes while a run trains."""

    model: Classifier
    optimizers: list[torch.optim.Optimizer]
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)  # epoch, val_accuracy, val_loss, weights

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.trainable_state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "generator": self.generator.get_state(),
            "history": self.history,
            "best": self.best,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.model.load_state_dict(saved["model"], strict=False)  # what is frozen is not in it
        for optimizer, its_state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(its_state)
        self.scaler.load_state_dict(saved["scaler"])
        self.generator.set_state(saved["generator"].cpu())
        self.history, self.best = saved["history"], saved["best"]


def train(
    run: Run, recipe: Recipe, dataset: Dataset, store: RunStore, device: torch.device
) -> None:
    """Train to the last epoch, from the checkpoint if there is one, and write the run's record."""
    mark = time.perf_counter()
    for name in MEASURED:  # of a reference run that was here before
        (run.path / name).unlink(missing_ok=True)
    write_json(run.path / "environment.json", environment(device))
    precision = resolve_precision(recipe.precision, device)
    state = begin(recipe, dataset, store, device, precision)
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
            trained = train_steps(state, source.network, batches, rates_now, recipe, precision)
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

    finish(run, state, source, recipe, dataset, precision)
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


def begin(
    recipe: Recipe, dataset: Dataset, store: RunStore, device: torch.device, precision: str
) -> State:
    """The state before the first step.

    Raises
    ------
    UserError   if the pictures are too small for the network, or its weights are not available
    """
    check_size(recipe, dataset)
    own = backbones.normalisation(recipe.model, recipe.weights)
    model = build(recipe, len(dataset.classes), *(own or (dataset.mean, dataset.std)))
    if recipe.model == "small_cnn" and recipe.whitening:
        whiten(model, dataset.train.images)
    if recipe.weights != "none":
        backbones.load_into(model, recipe.model, recipe.weights, store.weights)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return State(
        model,
        optimizers_for(model, recipe),
        torch.amp.GradScaler(device.type, enabled=precision == "fp16"),
        torch.Generator(device).manual_seed(recipe.seed),
    )


def check_size(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse pictures that are too small for a small CNN; a ResNet-18 takes a single pixel.

    Its first convolution whitens the pictures as they are, and then takes them resized.
    """
    side = recipe.image_size or dataset.image_size
    if recipe.whitening:
        side = min(side, dataset.image_size)
    if recipe.model == "small_cnn" and side < SMALLEST:
        raise UserError(
            f"image_size is {side}, too small for a small_cnn, which takes pictures of {SMALLEST} "
            "pixels or more; a resnet18 takes 1"
        )


def steps_per_epoch(recipe: Recipe, dataset: Dataset, model: Classifier) -> int:
    """How many batches the training pictures make.

    A picture that would be a batch alone joins the batch before it where the network cannot train
    on one. Such runs could only fail before, and all others have the batches that they had, so this
    left `VERSION` as it was.
    """
    pictures = len(dataset.train)
    steps = math.ceil(pictures / recipe.batch_size)
    if steps > 1 and pictures < 2 * steps and needs_two(model, dataset.image_size):
        return pictures // 2
    return steps


def train_steps(
    state: State,
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    rates: Iterable[float],
    recipe: Recipe,
    precision: str,
) -> dict[str, float]:
    """A step on each of `batches`; mean loss and accuracy as they were met.

    With mixed pictures (MixUp, CutMix) a prediction counts as right if it names the larger part.
    """
    state.model.train()
    scaler, device = state.scaler, state.generator.device
    sums = torch.zeros(3, device=device)  # loss, right, pictures: read once, at the epoch's end
    for (inputs, targets), rate in zip(batches, rates, strict=True):
        state.model.zero_grad(set_to_none=True)
        with autocast(device, precision):
            logits = network(inputs)
        logits = logits.float()
        loss = F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
        scaler.scale(loss).backward()
        for optimizer in state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            scaler.step(optimizer)
        scaler.update()
        right = (logits.argmax(1) == targets.argmax(1)).sum()
        count = loss.new_tensor(len(inputs))
        sums += torch.stack([loss.detach() * count, right, count])
    loss_sum, right_sum, pictures = sums.tolist()
    return {
        "lr": rate,
        "train_loss": loss_sum / pictures,
        "train_accuracy": right_sum / pictures,
    }


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


def finish(
    run: Run, state: State, source: Source, recipe: Recipe, dataset: Dataset, precision: str
) -> None:
    """Write the record of a trained run, its summary last."""
    state.model.load_state_dict(state.best.pop("weights"), strict=False)
    history = pd.DataFrame(state.history)
    write_text(run.path / "history.csv", history.to_csv(index=False, lineterminator="\n"))
    run.save_weights(state.model)

    arrays: dict[str, np.ndarray] = {}
    for name, split in (("val", dataset.val), ("test", dataset.test)):
        arrays[f"{name}_ids"] = np.array(split.ids)
        arrays[f"{name}_labels"] = split.labels.cpu().numpy()
        arrays[f"{name}_logits"] = source.logits(split.images)
    with replacing(run.path / "predictions.npz") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    test_loss, test_accuracy = loss_and_accuracy(arrays["test_logits"], dataset.test.labels)
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
        "precision": precision,
        "device": state.model.mean.device.type,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if recipe.test_flip and dataset.flip:
        both = arrays["test_logits"] + source.logits(dataset.test.images.flip(3))
        summary["test_accuracy_flip"] = loss_and_accuracy(both, dataset.test.labels)[1]
    write_json(run.path / "summary.json", summary)
