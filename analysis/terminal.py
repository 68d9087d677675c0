"""What a person at the terminal sees while the study runs: one line each for day, run and epoch."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

BAR = "{desc:<34} {bar:24} {n_fmt}/{total_fmt}  {postfix} {remaining} left"


class Progress:
    """Bars for the notebooks, the runs of the one at work, and the epochs of the run at work."""

    def __init__(self, notebooks: int):
        quiet = not sys.stderr.isatty()
        self.days = tqdm(total=notebooks, position=0, leave=False, disable=quiet, bar_format=BAR)
        self.runs = tqdm(total=0, position=1, leave=False, disable=quiet, bar_format=BAR)
        self.epochs = tqdm(total=0, position=2, leave=False, disable=quiet, bar_format=BAR)

    def show(self, event: dict[str, Any]) -> None:
        """Draw what one event of `lib.progress` tells."""
        if event["event"] == "sweep":
            self._restart(self.runs, event["runs"], "  runs")
        elif event["event"] == "run":
            self._restart(self.epochs, event["epochs"], f"    {event['label']}")
        elif event["event"] == "epoch":
            self.epochs.set_postfix_str(f"val {event['val_accuracy']:.1%}", refresh=False)
            self.epochs.update(event["epoch"] - self.epochs.n)
        elif event["event"] == "finished":
            self.runs.update()

    def close(self) -> None:
        """Take the bars away."""
        for bar in (self.epochs, self.runs, self.days):
            bar.close()

    @staticmethod
    def _restart(bar: tqdm, total: int, description: str) -> None:
        bar.set_description_str(description, refresh=False)
        bar.set_postfix_str("", refresh=False)
        bar.reset(total)


@contextmanager
def following(path: Path, progress: Progress) -> Iterator[None]:
    """Draw the events that are appended to the file at `path` while the block runs."""
    path.touch()
    over = threading.Event()

    def follow() -> None:
        with path.open(encoding="utf-8") as file:
            while True:
                last_look = over.is_set()
                for line in file:
                    progress.show(json.loads(line))
                if last_look:
                    return
                over.wait(0.2)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
