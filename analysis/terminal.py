"""Progress of the study in the terminal: days, runs, and one line per run in training."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tqdm import tqdm

from analysis.lines import Lines, plain

BAR = "{desc:<34} {bar:24} {n_fmt}/{total_fmt}{postfix}  {remaining} left"


class Progress:
    """Bars for the notebooks, the runs of the one at work, and the epochs of each run at work."""

    def __init__(self, notebooks: int):
        self.days = self._bar("", notebooks, position=0)
        self.runs = self._bar("", 0, position=1)
        self.epochs: dict[str, tqdm] = {}  # by run id, or by what else is under way

    def begin(self, title: str) -> None:
        """Name the notebook that is executed."""
        self.days.set_description_str(title)

    def done(self, title: str, seconds: float) -> None:
        """Leave a line about a notebook that was executed."""
        self.days.write(f"{title}: {seconds:.0f} s", file=sys.stderr)
        self.days.update()

    def show(self, event: dict[str, Any]) -> None:
        """Draw what one event of `lib.progress` tells."""
        run = event.get("run_id", "")
        if event["event"] == "sweep":
            self.runs.set_description_str("  runs", refresh=False)
            self.runs.reset(event["runs"])
        elif event["event"] == "run":
            self._end(run)  # of a worker that died
            self.epochs[run] = self._bar(f"    {event['label']}", event["epochs"], self._row())
        elif event["event"] == "decode":
            self._prepare(f"decoding {plain(event['dataset'])}", event["done"], event["total"])
        elif event["event"] == "embedding":
            self._prepare(f"embedding by {event['engine']}", event["done"], event["pictures"])
        elif event["event"] == "epoch":
            bar = self.epochs[run]
            if bar.n == 0:  # a resumed run's earlier epochs took none of this time
                bar.initial = bar.n = bar.last_print_n = event["before"]
            bar.set_postfix_str(f"val {event['val_accuracy']:.1%}", refresh=False)
            bar.update(event["epoch"] - bar.n)
        elif event["event"] == "finished":
            self._end(run)
            self.runs.update()

    def look(self) -> None:
        """Nothing is due: bars are drawn when something changes."""

    def close(self) -> None:
        """Take the bars away."""
        for bar in (*self.epochs.values(), self.runs, self.days):
            bar.close()

    def _prepare(self, what: str, done: int, pictures: int) -> None:
        """Show how many pictures are decoded or embedded, until all are."""
        if what not in self.epochs:
            self.epochs[what] = self._bar(f"    {what}", pictures, self._row())
        self.epochs[what].update(done - self.epochs[what].n)
        if done == pictures:
            self._end(what)

    def _row(self) -> int:
        """The first row below the days and the runs that no bar has."""
        taken = {bar.pos for bar in self.epochs.values()}
        return next(row for row in count(2) if -row not in taken)

    def _end(self, run: str) -> None:
        if run in self.epochs:
            self.epochs.pop(run).close()

    @staticmethod
    def _bar(description: str, total: int, position: int) -> tqdm:
        return tqdm(
            desc=description,
            total=total,
            position=position,
            leave=False,
            disable=not sys.stderr.isatty(),
            bar_format=BAR,
        )


def shown_here(notebooks: int) -> Progress | Lines:
    """What shows progress where standard error goes: bars in a terminal, lines elsewhere."""
    return Progress(notebooks) if sys.stderr.isatty() else Lines(sys.stderr)


@contextmanager
def following(path: Path, progress: Progress | Lines) -> Iterator[None]:
    """Show the events that are appended to the file at `path` while the block runs."""
    path.touch()
    over = threading.Event()

    def follow() -> None:
        with path.open(encoding="utf-8") as file:
            while True:
                last_look = over.is_set()
                for line in file:
                    progress.show(json.loads(line))
                progress.look()
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
