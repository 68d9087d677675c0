"""Progress of the study where bars cannot be drawn: lines in a file or a pipe."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

from lib.pages.wording import duration

EVERY = 10  # seconds between two lines


@dataclass
class RunAtWork:
    """A run in training: what it is, and how far it has come."""

    label: str
    number: int  # in its sweep, from 1
    epochs: int
    since: float  # the clock's seconds when it began here
    start: int | None = None  # epochs that an earlier process has trained
    epoch: int = 0
    at: float = 0.0  # the clock's seconds at the end of that epoch
    val_accuracy: float = 0.0


def plain(line: str) -> str:
    """The line without breaks and without what a terminal takes for a command, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class Lines:
    """A line when a notebook starts and ends, and every ten seconds one with what is at work.

    Parameters
    ----------
    stream : text file   each line reaches it at once
    clock : callable     seconds, from any start
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self.stream, self.clock = stream, clock
        self.title, self.since, self.last = "", clock(), clock()
        self._forget()

    def _forget(self) -> None:
        self.sweep = self.begun = 0  # runs of the sweep, and how many of them have begun
        self.runs: dict[str, RunAtWork] = {}  # by run id; the last to report comes last
        self.preparing = ""

    def begin(self, title: str) -> None:
        """Say that a notebook starts."""
        self._forget()
        self.title, self.since = title, self.clock()
        self._write("started")

    def done(self, title: str, seconds: float) -> None:
        """Say that a notebook has been executed."""
        self.title = title
        self._write(f"done in {duration(round(seconds))}")
        self.title = ""

    def show(self, event: dict[str, Any]) -> None:
        """Note what one event of `lib.progress` tells."""
        kind, run_id = event["event"], event.get("run_id", "")
        if kind == "decode":
            done, total = event["done"], event["total"]
            more = f"decoding {event['dataset']}: {done:,} of {total:,}"
            self.preparing = more if done < total else ""
        elif kind == "embedding":
            done, total, left = event["done"], event["pictures"], round(event["left"])
            more = f"embedding pictures: {done:,} of {total:,}, {duration(left)} left"
            self.preparing = more if done < total else ""
        elif kind == "sweep":
            self.sweep, self.begun = event["runs"], 0
        elif kind == "run":
            old = self.runs.pop(run_id, None)  # of a worker that died
            self.begun += old is None
            number = old.number if old else self.begun
            self.runs[run_id] = RunAtWork(event["label"], number, event["epochs"], self.clock())
        elif kind == "epoch" and run_id in self.runs:
            run = self.runs[run_id] = self.runs.pop(run_id)
            run.start = event["before"] if run.start is None else run.start
            run.epoch, run.val_accuracy = event["epoch"], event["val_accuracy"]
            run.at = self.clock()
        elif kind == "finished":
            self.runs.pop(run_id, None)

    def look(self) -> None:
        """Write a line if a notebook is at work and the last line was long ago."""
        if self.title and self.clock() - self.last >= EVERY:
            self._write(self._at_work())

    def close(self) -> None:
        """End; there is nothing to take away."""

    def _at_work(self) -> str:
        if self.preparing:
            return self.preparing
        if not self.runs:
            return f"at work for {duration(round(self.clock() - self.since))}"
        run = list(self.runs.values())[-1]
        parts = [run.label]
        if run.number <= self.sweep:
            parts.append(f"run {run.number} of {self.sweep}")
        parts.append(f"epoch {run.epoch or 1} of {run.epochs}")  # the last one that ended
        if run.epoch:
            parts.append(f"val {run.val_accuracy:.1%}")
        if 0 < run.epoch < run.epochs:
            parts.append(f"{duration(math.ceil(self._left(run)))} left in this run")
        if len(self.runs) > 1:
            parts.append(f"{len(self.runs)} runs at once")
        return ", ".join(parts)

    def _left(self, run: RunAtWork) -> float:
        """Seconds that the run still takes, if its epochs take as long as those so far."""
        an_epoch = (run.at - run.since) / (run.epoch - (run.start or 0))
        return max((run.epochs - run.epoch) * an_epoch - (self.clock() - run.at), 0.0)

    def _write(self, text: str) -> None:
        self.last = self.clock()
        self.stream.write(f"{plain(f'{self.title}: {text}')}\n")  # a folder's name may hold any
        self.stream.flush()
