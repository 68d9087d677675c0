"""What would a trained model say, and where is it most in doubt?

The only part of the labeler that touches the training package, and imported only with `--suggest`.
The pictures are predicted in the background; those on which the model is least confident come
first, for there a person's label teaches it most (uncertainty sampling: Lewis and Gale, "A
Sequential Algorithm for Training Text Classifiers", SIGIR 1994).
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labeler.errors import LabelerError

BATCH = 16


@dataclass(frozen=True)
class Hint:
    """A model's opinion of one picture."""

    label: str
    confidence: float


def load(path: Path) -> "Suggestions":
    """Suggestions by a bundle, as `lib.inference` exports it.

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
    """Hints for pictures, worked out in the background.

    Parameters
    ----------
    predictor : has `classes`, and `predict(paths)`: objects with a `label` and a `confidence`

    Attributes
    ----------
    hints : dict    {filename: Hint}, growing
    fresh : bool    whether there are hints since somebody last set this to False
    """

    def __init__(self, predictor: Any) -> None:
        self.classes: tuple[str, ...] = tuple(predictor.classes)
        self.hints: dict[str, Hint] = {}
        self.fresh = False
        self._predictor = predictor
        self._complaints: deque[str] = deque()
        self._asked: deque[str] = deque()
        self._changed = threading.Condition()

    def start(self, folder: Path) -> Callable[[], None]:
        """Begin anew, with a folder's pictures; call what is returned to end that."""
        stopped = threading.Event()
        self._asked.clear()
        self.hints = {}
        threading.Thread(
            target=self._work, args=(folder, stopped), name="suggestions", daemon=True
        ).start()

        def stop() -> None:
            with self._changed:
                stopped.set()
                self._changed.notify_all()

        return stop

    def ask(self, names: Sequence[str]) -> None:
        """Have these pictures predicted, after those asked for before."""
        with self._changed:
            self._asked.extend(names)
            self._changed.notify()

    def most_doubtful(self) -> list[str]:
        """The predicted pictures, the least confident first."""
        hints = dict(self.hints)
        return sorted(hints, key=lambda name: hints[name].confidence)

    def take_complaints(self) -> list[str]:
        """What went wrong since the last call, for the person."""
        return [self._complaints.popleft() for _ in range(len(self._complaints))]

    def _work(self, folder: Path, stopped: threading.Event) -> None:
        hints = self.hints
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or stopped.is_set())
                if stopped.is_set():
                    return
                names = [self._asked.popleft() for _ in range(min(BATCH, len(self._asked)))]
            hints |= self._predict(folder, names)
            self.fresh = True

    def _predict(self, folder: Path, names: list[str]) -> dict[str, Hint]:
        """Hints for a batch; a picture that cannot be predicted costs only its own."""
        try:
            predictions = self._predictor.predict([folder / name for name in names])
        except Exception as error:
            if len(names) == 1:
                self._complaints.append(f"No suggestion for {names[0]}: {error}")
                return {}
            return {k: v for name in names for k, v in self._predict(folder, [name]).items()}
        return {
            name: Hint(prediction.label, prediction.confidence)
            for name, prediction in zip(names, predictions, strict=True)
        }
