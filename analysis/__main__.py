"""Run the study: execute its notebooks with papermill, only those that something changed for.

python -m analysis                                    same settings as last time; first time: demo
python -m analysis --profile cifar10                  another profile
python -m analysis --only day2 -p epochs 20           one notebook, one parameter changed
python -m analysis --only day2 --force                again, though nothing changed
OMP_NUM_THREADS=1 python -m analysis --ray            one run per CPU core, in parallel, by Ray
python -m analysis --ray HOST:PORT                    on a cluster; see lib.training.cluster
"""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis import notebooks, settings
from analysis.terminal import following, shown_here
from lib import progress
from lib.errors import UserError, command, nearest


@dataclass(frozen=True)
class Job:
    """A notebook with the parameters that it is to be executed with, and its copy's record."""

    notebook: notebooks.Notebook
    parameters: dict[str, Any]
    record: dict[str, Any]
    due: bool


def main(arguments: Sequence[str] | None = None) -> None:
    """Execute what is due, showing progress, and end by naming what there is now."""
    options = parse(arguments)
    jobs = plan(options)
    due = [job for job in jobs if job.due]
    if due:
        with on_ray(options):
            run(due)
    print(closing_table(jobs))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis", description="Execute the study's notebooks where needed."
    )
    parser.add_argument(
        "--profile",
        help="a profile in analysis/profiles, or a YAML file (default: as last time)",
    )
    parser.add_argument(
        "--only", metavar="DAY", help="one notebook: day1 to day5, or home (default: all)"
    )
    parser.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="a notebook's parameter, over the profile's",
    )
    parser.add_argument("--force", action="store_true", help="execute even what did not change")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="train on the Ray cluster whose head is at ADDRESS, or on one started here",
    )
    parser.add_argument(
        "--share",
        type=int,
        default=1,
        metavar="N",
        help="with --ray: number of runs that share a GPU (default: 1)",
    )
    pairs, others = split_changes(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(others)
    options.p += pairs
    if options.share < 1:
        raise UserError(f"--share: {options.share} runs cannot share a GPU; name 1 or more")
    return options


def split_changes(words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Each `-p NAME VALUE` of a command, and its other words.

    Argparse itself would take a value such as -1e-3 or a folder named -photos for an option.
    """
    pairs, others, rest = [], [], list(words)
    while rest:
        if rest[0] == "-p" and len(rest) > 2:
            pairs.append((rest[1], rest[2]))
            del rest[:3]
        else:
            others.append(rest.pop(0))
    return pairs, others


def plan(options: argparse.Namespace) -> list[Job]:
    """A job for each notebook; without options a notebook keeps what its copy was made with.

    Raises
    ------
    UserError   for an unknown notebook, profile or parameter, and for a value outside its limits
    """
    everything = notebooks.in_order()
    days = [notebook.day for notebook in everything]
    if options.only and options.only not in days:
        raise UserError(f"--only: no notebook {options.only!r}{nearest(options.only, days)}")
    defaults = notebooks.all_defaults()
    changes = settings.read_changes(options.p, defaults)
    if changes:
        settings.check_limits(changes, "-p")

    records = {notebook.name: notebook.record() for notebook in everything}
    last_profile = next((r["profile"] for r in records.values() if r), "demo")
    jobs: list[Job] = []
    for notebook in everything:
        old = records[notebook.name]
        asked = options.only in (None, notebook.day) or notebook.day == "home"
        profile = old.get("profile", last_profile)
        overrides = notebook.parameters(old.get("overrides", {}))
        if asked and (options.profile or changes):
            profile, overrides = options.profile or profile, notebook.parameters(changes)
        values = settings.read_profile(profile, defaults)
        parameters = notebook.parameters(values) | overrides
        made = [job.record["key"] for job in jobs if job.record]
        upstream = made if notebook.day in notebooks.SUMS_UP else []
        record = {
            "key": notebooks.key(notebook, parameters, upstream),
            "profile": profile,
            "overrides": overrides,
            "command": remake(notebook, profile, overrides),
        }
        changed = record["key"] != old.get("key") or notebook.lacks_bundle(parameters)
        due = asked and (changed or options.force)
        if due:
            settings.check_limits(overrides, "-p")
            settings.check_limits(values, f"profile {profile}")
        jobs.append(Job(notebook, parameters, record if due else old, due))
    return jobs


def remake(notebook: notebooks.Notebook, profile: str, overrides: dict[str, Any]) -> str:
    """The command that makes this executed copy again, as a POSIX shell reads it."""
    words = ["python", "-m", "analysis", *_option("--profile", profile), "--only", notebook.day]
    for name, value in overrides.items():
        words += ["-p", name, str(value)]
    return shlex.join([*words, "--force"])


def _option(name: str, value: str) -> list[str]:
    """An option and its value, as words that argparse takes for that."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def on_ray(options: argparse.Namespace) -> AbstractContextManager[None]:
    """While it lasts, notebooks train on the cluster that `--ray` asks for, if it asks."""
    if options.ray is None:
        return nullcontext()
    from lib.training import sweep

    return sweep.joined(options.ray, options.share)


def run(jobs: list[Job]) -> None:
    """Execute the jobs in their order, showing their progress."""
    shown = shown_here(len(jobs))
    try:
        with (
            TemporaryDirectory() as scratch,
            kernels_report_to(Path(scratch) / "events") as events,
            following(events, shown),
        ):
            for job in jobs:
                shown.begin(job.notebook.title)
                notebooks.execute(job.notebook, job.parameters, job.record)
                shown.done(job.notebook.title, job.record["seconds"])
    finally:
        shown.close()


@contextmanager
def kernels_report_to(path: Path) -> Iterator[Path]:
    """While the block runs, notebooks report their progress to `path`, and threads wait asleep.

    Threads that spin while they wait make small networks train ten times slower on a busy machine,
    and not faster on an idle one.
    """
    before = dict(os.environ)
    os.environ[progress.VARIABLE] = str(path)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        yield path
    finally:
        os.environ.clear()
        os.environ.update(before)


def closing_table(jobs: list[Job]) -> str:
    """What there is now: a line a notebook, with its file and whether it was made just now."""
    width = max(len(job.notebook.title) for job in jobs)
    lines = []
    for job in jobs:
        path = job.notebook.executed.relative_to(notebooks.ROOT)
        state = f"made in {job.record['seconds']:.0f} s" if job.due else "unchanged"
        if not job.notebook.executed.exists():
            state = "not made yet"
        lines.append(f"{job.notebook.title:<{width}}  {state:<14}  {path}")
    return "\n".join(lines)


if __name__ == "__main__":
    command(main)
