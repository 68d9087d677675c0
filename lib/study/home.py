"""The home page: the study in one view, from the finished runs and the executed days."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import pandas as pd

from lib.diagnosis.calibration import calibrate
from lib.diagnosis.robustness import QUOTED, accuracy_at
from lib.intervals import Interval
from lib.pages import links
from lib.pages.display import Fragment, unbroken
from lib.pages.wording import NO_BREAK, count, duration, per_cent
from lib.study.ranking import mean_validation, recipes
from lib.study.selection import accuracy_of, accuracy_over_seeds, candidates, naming
from lib.study.study import HOME, Study
from lib.training.runs import Run

# Where the curve behind the accuracy under attack is: a notebook and one of its headings.
ATTACKS = ("day4_diagnostics", "accuracy-under-attack-fgsm-and-pgd")


def settings(runs: list[Run]) -> pd.DataFrame:
    """One row per setting and budget: its recipe of best validation accuracy, over its seeds.

    Returns
    -------
    table : model, label, seconds, accuracy (on test, mean over seeds), low, high, seeds, href
    """
    return pd.DataFrame(_sum_up(group, name) for name, group in candidates(runs).items())


def _sum_up(group: list[Run], name: str) -> dict[str, object]:
    """The figures of a recipe's runs; a link to the best of them."""
    accuracy = accuracy_over_seeds(group)
    return {
        "model": group[0].recipe.model,
        "label": name,
        "seconds": pd.Series([run.summary["seconds"] for run in group]).mean(),
        "accuracy": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "seeds": len(group),
        "href": links.run(group[0].run_id),
    }


def headline(best: Sequence[Run]) -> Fragment:
    """The best run's figures as large numbers, each a link to the run or to where it is explained.

    `best` are the runs of the best recipe; the first stands for them.
    """
    run = best[0]
    figures = [_accuracy(best), _calibration(run), _attacks(run), _training(run)]
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


def _accuracy(best: Sequence[Run]) -> Figure:
    test = accuracy_of(best[0])
    more = interval_words(test)
    if len(best) > 1:
        mean = accuracy_over_seeds(best)
        more += f"; mean of its {len(best)} seeds: {per_cent(mean.value)}"
    return "Test accuracy of the best run", per_cent(test.value), more


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
    pictures = count(int(run.attacks["n"].iloc[0]), "test picture")
    more = (
        f"{interval_words(attacked)}, PGD with ε = {QUOTED}/255 on {pictures}; "
        f"{per_cent(clean.value)} without an attack"
    )
    return f"{name}, at most", per_cent(attacked.value), more


def _training(run: Run) -> Figure:
    facts = run.summary
    more = f"on {run.environment['device']}, {facts['parameters']:,} parameters"
    return "Training time", duration(facts["seconds"]).replace(" ", NO_BREAK), more


def interval_words(figure: Interval) -> str:
    """`95 % interval 97.2 % to 99.6 %`."""
    return f"95{NO_BREAK}% interval {per_cent(figure.low)} to {per_cent(figure.high)}"


def scope(runs: list[Run], best: Sequence[Run]) -> Fragment:
    """What the figures above rest on: the dataset, and how the run was chosen among all."""
    run = best[0]
    facts, name, pictures = run.dataset, naming(runs)(run), run.dataset["pictures"]
    total, classes = sum(pictures.values()), len(facts["classes"])
    mean, seed = ("mean ", f", seed {run.recipe.seed}") if len(best) > 1 else ("", "")
    before = (
        f"Dataset: {facts['name']} ({count(total, 'picture')}, "
        f"{count(classes, 'class', 'classes')}). Of {count(len(recipes(runs)), 'recipe')} "
        f"({count(len(runs), 'run')}) the one with the highest {mean}validation accuracy is "
    )
    after = (
        f"{seed}. Its figures stand above, measured on {count(pictures['test'], 'test picture')} "
        "where no other number is given."
    )
    link = f'<a href="{escape(links.run(run.run_id))}">{escape(name)}</a>'
    return Fragment(f"<p>{escape(before)}{link}{escape(after)}</p>", f"{before}{name}{after}")


def best_settings(runs: list[Run], top: int = 5) -> pd.DataFrame:
    """The settings with the highest mean validation accuracy: one row each, with its best run."""
    return pd.DataFrame(
        {
            "run_id": group[0].run_id,
            "setting": name,
            "seeds": len(group),
            "val_accuracy": mean_validation(group),
            "test_accuracy": accuracy_over_seeds(group),
            "training_time": duration(group[0].summary["seconds"]),
        }
        for name, group in list(candidates(runs).items())[:top]
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
