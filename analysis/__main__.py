"""Run a study: execute its notebooks with papermill, only those that something changed for.

python -m analysis                                    the latest study again; first time: demo
python -m analysis --profile cifar10                  the study of another profile
python -m analysis -p dataset path/to/pictures        the study of a folder
python -m analysis --only day2 -p epochs 20           one notebook, one parameter changed
python -m analysis --study long --profile demo -p epochs 60      a study with a name of its own
python -m analysis --only day2 --force                again, though nothing changed
python -m analysis --ray HOST:PORT                    on a cluster; see lib.training.cluster
"""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis import notebooks, settings, studies
from analysis.terminal import following, shown_here
from lib import progress
from lib.data.sources import content_key
from lib.errors import UserError, command, nearest
from lib.study.study import HOME, Facts, Study


@dataclass(frozen=True)
class Job:
    """A notebook with the parameters that it is to be executed with, and its copy's record."""

    notebook: notebooks.Notebook
    parameters: dict[str, Any]
    record: dict[str, Any]
    due: bool


@dataclass(frozen=True)
class Plan:
    """What a command is to do: the study that it is about, and a job for each notebook."""

    study: Study
    facts: Facts
    jobs: list[Job]

    @property
    def due(self) -> list[Job]:
        return [job for job in self.jobs if job.due]


def main(arguments: Sequence[str] | None = None) -> None:
    """Execute what is due, showing progress, and end by naming what there is now."""
    options = parse(arguments)
    planned = plan(options)
    if planned.due:
        with on_ray(options):
            run(planned)
    else:
        planned.study.save(planned.facts)
    print(closing_table(planned.jobs))


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
        "--study",
        metavar="NAME",
        help="a study by its name, or the name of a new one (default: that of the profile or the "
        "dataset; without either, the latest study)",
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


def plan(options: argparse.Namespace) -> Plan:
    """A job for each notebook; without options a notebook keeps what its copy was made with.

    Raises
    ------
    UserError   for an unknown notebook, study, profile or parameter, and for a value outside its
                limits
    """
    defaults = notebooks.all_defaults()
    changes = settings.read_changes(options.p, defaults)
    if changes:
        settings.check_limits(changes, "-p")
    if options.profile:
        settings.read_profile(options.profile, defaults)
    study, facts = studies.chosen(notebooks.ROOT, options.study, options.profile, changes)
    if "dataset" in changes:
        changes["dataset"] = studies.spelling(facts, changes["dataset"])
    everything = notebooks.in_order(study.path)
    days = [notebook.day for notebook in everything]
    if options.only and options.only not in days:
        raise UserError(f"--only: no notebook {options.only!r}{nearest(options.only, days)}")
    if "dataset" in changes:
        facts = replace(facts, parameters=facts.parameters | {"dataset": changes["dataset"]})
    if not options.only or not facts.content:  # nothing was executed yet
        profile, parameters = asked_for(facts.profile, facts.parameters, options, changes)
        facts = replace(facts, profile=profile, parameters=parameters)

    jobs: list[Job] = []
    key_of = cache(content_key)  # a folder is listed once
    for notebook in everything:
        old = notebook.record()
        if options.only not in (None, notebook.day) and notebook.day != HOME:
            jobs.append(Job(notebook, {}, old, due=False))
            continue
        own = old.get("overrides", facts.parameters) | dataset_of(facts.parameters)
        profile, overrides = asked_for(old.get("profile", facts.profile), own, options, changes)
        overrides = notebook.parameters(overrides)
        values = settings.read_profile(profile, defaults)
        parameters = notebook.parameters(of_study(study) | values | overrides)
        dataset = (notebook.defaults() | parameters)["dataset"]
        made = [job.record["key"] for job in jobs if job.record]
        upstream = made if notebook.day in notebooks.SUMS_UP else []
        record = {
            "key": notebooks.key(notebook, parameters, key_of(dataset), upstream),
            "profile": profile,
            "overrides": overrides,
            "command": remake(notebook, facts, profile, overrides),
            "dataset": dataset,
            "content": key_of(dataset),
        }
        changed = record["key"] != old.get("key") or notebook.lacks_bundle(parameters)
        due = changed or options.force
        if due:
            settings.check_limits(overrides, "-p")
            settings.check_limits(values, f"profile {profile}")
        jobs.append(Job(notebook, parameters, record if due else old, due))
    return Plan(study, facts, jobs)


def asked_for(
    profile: str, overrides: dict[str, Any], options: argparse.Namespace, changes: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Profile and parameters over it, as the command changes them.

    Another profile takes the place of all parameters but the dataset, which a study is about.
    """
    if options.profile:
        return options.profile, dataset_of(overrides) | changes
    return profile, overrides | changes


def dataset_of(parameters: dict[str, Any]) -> dict[str, Any]:
    """The dataset alone, which all notebooks of a study have in common; none: the profile's."""
    return {name: value for name, value in parameters.items() if name == "dataset"}


def of_study(study: Study) -> dict[str, Any]:
    """The parameters that a notebook has from its study."""
    folder = study.path.relative_to(notebooks.ROOT).as_posix()
    return {"study": folder, "bundle": f"models/{study.address}"}


def remake(
    notebook: notebooks.Notebook, facts: Facts, profile: str, overrides: dict[str, Any]
) -> str:
    """The command that makes this executed copy again, as a POSIX shell reads it."""
    words = ["python", "-m", "analysis"]
    if not studies.found_without_name(facts, profile, overrides):
        words += _option("--study", facts.name)
    words += [*_option("--profile", profile), "--only", notebook.day]
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


def run(planned: Plan) -> None:
    """Execute what is due in its order, showing the progress, and note it in the study."""
    study, facts = planned.study, planned.facts
    shown = shown_here(len(planned.due))
    try:
        with (
            TemporaryDirectory() as scratch,
            kernels_report_to(Path(scratch) / "events") as events,
            following(events, shown),
        ):
            for job in planned.due:
                shown.begin(job.notebook.title)
                notebooks.execute(job.notebook, job.parameters, job.record)
                facts = facts.after(job.record)
                study.save(facts)
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
