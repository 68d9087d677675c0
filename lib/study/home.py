"""The home page: the study in one view, from the finished runs and the executed days."""

from html import escape
from pathlib import Path

import pandas as pd

from lib.diagnosis.calibration import calibrate
from lib.diagnosis.robustness import QUOTED, accuracy_at
from lib.intervals import Interval
from lib.pages import links
from lib.pages.display import Fragment, unbroken
from lib.pages.wording import NO_BREAK, count, duration, per_cent
from lib.study.selection import (
    accuracy_of,
    accuracy_over_seeds,
    budget_of,
    grouped,
    naming,
    ranked,
)
from lib.study.study import HOME, Study
from lib.training.runs import Run, best_of

# Where the curve behind the accuracy under attack is: a notebook and one of its headings.
ATTACKS = ("day4_diagnostics", "accuracy-under-attack-fgsm-and-pgd")


def settings(runs: list[Run]) -> pd.DataFrame:
    """One row per setting and budget, as good as it got: the recipe of best validation accuracy.

    Runs that differ in nothing but their seed are summed up first.

    Returns
    -------
    table : model, label, seconds, accuracy (on test, mean over seeds), low, high, seeds, href
    """
    name = naming(runs)
    recipes = grouped(runs, lambda run: (run.recipe.replace(seed=0), budget_of(run))).values()
    table = pd.DataFrame(_sum_up(group, name(group[0])) for group in recipes)
    return (
        table.sort_values("val_accuracy", ascending=False)
        .drop_duplicates("label")
        .drop(columns="val_accuracy")
        .reset_index(drop=True)
    )


def _sum_up(group: list[Run], name: str) -> dict[str, object]:
    """The figures of runs that differ in their seed alone; a link to the best of them."""
    best = best_of(group)
    figures = pd.DataFrame(run.summary for run in group)
    accuracy = accuracy_over_seeds(group)
    return {
        "model": best.recipe.model,
        "label": name,
        "val_accuracy": figures["val_accuracy"].mean(),
        "seconds": figures["seconds"].mean(),
        "accuracy": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "seeds": len(group),
        "href": links.run(best.run_id),
    }


def headline(run: Run) -> Fragment:
    """The run's figures as large numbers, each a link to the run or to where it is explained."""
    figures = [_accuracy(run), _calibration(run), _attacks(run), _training(run)]
    own = links.run(run.run_id)
    addresses = [own, own, own if run.attacks is None else links.day(*ATTACKS), own]
    cells = "".join(
        f'<a class="daybook-figure" href="{escape(address)}"><span>{escape(name)}</span>'
        f"<strong>{escape(value)}</strong><small>{escape(more)}</small></a>"
        for (name, value, more), address in zip(figures, addresses, strict=True)
    )
    text = "; ".join(f"{name}: {value} ({more})" for name, value, more in figures)
    return Fragment(f'<div class="daybook-headline">{cells}</div>', text)


Figure = tuple[str, str, str]  # its name, its value, its interval and setting


def _accuracy(run: Run) -> Figure:
    test = accuracy_of(run)
    return "Test accuracy of the best run", per_cent(test.value), interval_words(test)


def _calibration(run: Run) -> Figure:
    val, test = run.predictions("val"), run.predictions("test")
    scaled = calibrate(val.logits, val.labels, test.logits, test.labels, names=("ece",))
    before, after = scaled.metric("ece", "before"), scaled.metric("ece", "after")
    chance = f"{per_cent(scaled.reference.mean)} by chance if calibrated"
    more = f"{interval_words(after)}; {chance}; {per_cent(before.value)} before temperature scaling"
    return "Expected calibration error (ECE)", per_cent(after.value), more


def _attacks(run: Run) -> Figure:
    """Accuracy under PGD with the epsilon of `QUOTED`, and without an attack."""
    name = "Accuracy under attack"
    if run.attacks is None:
        return name, "–", "not measured yet; run day 4"
    clean, attacked = (accuracy_at(run.attacks, "pgd", step) for step in (0, QUOTED))
    more = (
        f"{interval_words(attacked)}, PGD with ε = {QUOTED}/255 on "
        f"{count(attacked_pictures(run), 'test picture')}; {per_cent(clean.value)} without an "
        "attack"
    )
    return name, f"at most {per_cent(attacked.value)}", more


def attacked_pictures(run: Run) -> int:
    """How many test pictures of the run were attacked."""
    return 0 if run.attacks is None else int(run.attacks["n"].iloc[0])


def _training(run: Run) -> Figure:
    facts = run.summary
    more = f"on {run.environment['device']}, {facts['parameters']:,} parameters"
    return "Training time", duration(facts["seconds"]).replace(" ", NO_BREAK), more


def interval_words(figure: Interval) -> str:
    """`95 % interval 97.2 % to 99.6 %`."""
    return f"95{NO_BREAK}% interval {per_cent(figure.low)} to {per_cent(figure.high)}"


def scope(runs: list[Run], best: Run) -> Fragment:
    """What the figures above rest on: the dataset, the number of runs and the best of them."""
    facts, name = best.dataset, naming(runs)(best)
    pictures = facts["pictures"]
    total, classes = sum(pictures.values()), len(facts["classes"])
    before = (
        f"Dataset: {facts['name']} ({count(total, 'picture')}, "
        f"{count(classes, 'class', 'classes')}). The figures above are those of the run with the "
        f"highest validation accuracy among {count(len(runs), 'run')} ("
    )
    attacked = attacked_pictures(best)
    fewer = (
        f" (under attack: {attacked:,} of them)" if attacked not in (0, pictures["test"]) else ""
    )
    after = f"), measured on {count(pictures['test'], 'test picture')}{fewer}."
    link = f'<a href="{escape(links.run(best.run_id))}">{escape(name)}</a>'
    return Fragment(f"<p>{escape(before)}{link}{escape(after)}</p>", f"{before}{name}{after}")


def best_runs(runs: list[Run], top: int = 5) -> pd.DataFrame:
    """The runs with the highest validation accuracy: one row per run."""
    name = naming(runs)
    return pd.DataFrame(
        {
            "run_id": run.run_id,
            "val_accuracy": run.summary["val_accuracy"],
            "test_accuracy": accuracy_of(run),
            "setting": name(run),
            "training_time": duration(run.summary["seconds"]),
            "seed": run.recipe.seed,
        }
        for run in ranked(runs)[:top]
    )


def day_cards(study: str) -> Fragment | None:
    """A card for each executed day of the study in that folder, with its finding and a link.

    A day whose pictures have changed since says so. Without a study there are no cards.
    """
    if not study:
        return None
    cards, lines = [], []
    of = Study(Path(study))
    for name, page in of.pages.items():
        if name == HOME:
            continue
        number, address = name.removeprefix("day")[0], links.day(name)
        small = f"Day {number}" + (", about earlier pictures" if of.outdated(name) else "")
        cards.append(
            f'<a class="daybook-card" href="{escape(address)}"><small>{escape(small)}</small>'
            f"<strong>{escape(page.title)}</strong><span>{unbroken(page.finding)}</span></a>"
        )
        lines.append(f"{page.title}: {page.finding}")
    return Fragment(f'<div class="daybook-cards">{"".join(cards)}</div>', "\n".join(lines))
