"""Suggest labels: a trained model's predictions, least confident first.

The only part of the labeler that uses the training package; it is imported only with `--suggest`.
Predictions run in the background. Pictures with the least confident predictions are labelled first,
because their labels improve the model most (uncertainty sampling: Lewis and Gale, "A Sequential
Algorithm for Training Text Classifiers", SIGIR 1994).
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeler.errors import LabelerError
from lib.data.names import Locator

BATCH = 16


@dataclass(frozen=True)
class Prediction:
    """A predicted class and its confidence."""

    label: str
    confidence: float


def load(path: Path) -> "Suggestions":
    """Suggestions from a bundle that this project has exported.

    Raises
    ------
    LabelerError   if the bundle, or what is needed to run it, is missing
    """
    try:
        from lib.errors import UserError
        from lib.inference import Predictor
    except ImportError as error:
        raise LabelerError(
            f"--suggest needs the training package, and {error.name} is not installed:"
            " install requirements.txt, or label without suggestions"
        ) from error
    try:
        return Suggestions(Predictor.load(path))
    except UserError as error:
        raise LabelerError(str(error)) from error


class Suggestions:
    """Predictions for pictures, computed in the background.

    Parameters
    ----------
    predictor : has `classes`, and `predict(paths)`: objects with a `label` and a `confidence`

    Attributes
    ----------
    predictions : dict    {filename: Prediction}, growing
    has_new : bool        whether there are predictions since this was last set to False
    """

    def __init__(self, predictor: Any) -> None:
        self.classes: tuple[str, ...] = tuple(predictor.classes)
        self.predictions: dict[str, Prediction] = {}
        self.has_new = False
        self._predictor = predictor
        self._errors: deque[str] = deque()
        self._queue: deque[str] = deque()
        self._changed = threading.Condition()

    def start(self, folder: Path) -> Callable[[], None]:
        """Start with the pictures of a folder; returns a function that stops it."""
        stopped = threading.Event()
        self._queue.clear()
        self.predictions = {}
        threading.Thread(
            target=self._work, args=(folder, stopped), name="suggestions", daemon=True
        ).start()

        def stop() -> None:
            with self._changed:
                stopped.set()
                self._changed.notify_all()

        return stop

    def request(self, names: Sequence[str]) -> None:
        """Predict these pictures, after those requested before."""
        with self._changed:
            self._queue.extend(names)
            self._changed.notify()

    def least_confident(self) -> list[str]:
        """The predicted pictures, the least confident first."""
        predictions = dict(self.predictions)
        return sorted(predictions, key=lambda name: predictions[name].confidence)

    def drain_errors(self) -> list[str]:
        """The errors since the last call, one line each."""
        return [self._errors.popleft() for _ in range(len(self._errors))]

    def _work(self, folder: Path, stopped: threading.Event) -> None:
        predictions = self.predictions
        locator = Locator(folder)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or stopped.is_set())
                if stopped.is_set():
                    return
                names = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            predictions |= self._predict(locator, names)
            self.has_new = True

    def _predict(self, locator: Locator, names: list[str]) -> dict[str, Prediction]:
        """Predictions for a batch; an unreadable picture loses only its own."""
        try:
            predictions = self._predictor.predict([locator.path(name) for name in names])
        except Exception as error:
            if len(names) == 1:
                self._errors.append(f"No suggestion for {names[0]}: {error}")
                return {}
            return {k: v for name in names for k, v in self._predict(locator, [name]).items()}
        return {
            name: Prediction(prediction.label, prediction.confidence)
            for name, prediction in zip(names, predictions, strict=True)
        }
