"""The study in one view: the home page's figures, from the finished runs and the executed days."""

import json
from html import escape
from pathlib import Path

import pandas as pd

from lib.diagnosis.calibration import calibrate
from lib.diagnosis.robustness import ATTACKS_FILE
from lib.intervals import Interval, mean_accuracy
from lib.pages.display import Fragment, unbroken
from lib.pages.wording import NO_BREAK, count, duration, per_cent
from lib.study.selection import results, setting, setting_of, tested
from lib.training.runs import Run

SETTING = ["model", "weights", "strategy", "augmentation"]  # what a reader tells models apart by


def settings(runs: list[Run]) -> pd.DataFrame:
    """A row for each model and way of training it, as good as it got: the best by val.

    Runs that differ in nothing but their seed are summed up first.

    Returns
    -------
    table : model, label, seconds, accuracy (on test, mean over seeds), low, high, seeds, href
    """
    table = results(runs)
    recipe = [name for name in runs[0].recipe.to_dict() if name != "seed"]
    groups = pd.DataFrame(_sum_up(group) for _, group in table.groupby(recipe, sort=False))
    return (
        groups.sort_values("val_accuracy", ascending=False)
        .drop_duplicates(SETTING)
        .drop(columns=["val_accuracy", *SETTING[1:]])
        .reset_index(drop=True)
    )


def _sum_up(group: pd.DataFrame) -> dict[str, object]:
    best = group.sort_values("val_accuracy").iloc[-1]
    accuracy = mean_accuracy(group["test_accuracy"])
    if len(group) == 1:
        accuracy = Interval(best["test_accuracy"], best["test_low"], best["test_high"])
    return {
        **{name: best[name] for name in SETTING},
        "label": setting(best["model"], best["augmentation"], best["strategy"], best["weights"]),
        "val_accuracy": group["val_accuracy"].mean(),
        "seconds": group["seconds"].mean(),
        "accuracy": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "seeds": len(group),
        "href": best["page"],
    }


def headline(run: Run) -> Fragment:
    """The run's figures as large numbers, each a link to the run."""
    figures = [_accuracy(run), _calibration(run), _attacks(run), _training(run)]
    page = f"runs.html#run={run.run_id}"
    cells = "".join(
        f'<a class="daybook-figure" href="{page}"><span>{escape(name)}</span>'
        f"<strong>{escape(value)}</strong><small>{escape(more)}</small></a>"
        for name, value, more in figures
    )
    text = "; ".join(f"{name}: {value} ({more})" for name, value, more in figures)
    return Fragment(f'<div class="daybook-headline">{cells}</div>', text)


Figure = tuple[str, str, str]  # its name, its value, what else there is to say of it


def _accuracy(run: Run) -> Figure:
    test = tested(run)
    return "Test accuracy", per_cent(test.value), _interval(test)


def _calibration(run: Run) -> Figure:
    val, test = run.predictions("val"), run.predictions("test")
    scaled = calibrate(val.logits, val.labels, test.logits, test.labels, resamples=200)
    ece = scaled.metrics.query("metric == 'ece'").set_index("scaling")
    before, after = (Interval(*ece.loc[s, ["value", "low", "high"]]) for s in ("before", "after"))
    more = f"{_interval(after)}; {per_cent(before.value)} before temperature scaling"
    return "Calibration error (ECE)", per_cent(after.value), more


def _attacks(run: Run) -> Figure:
    """Accuracy after the strongest attack by the smallest and by a larger step."""
    name, found = "Accuracy under attack", under_attack(run)
    if found is None:
        return name, "–", "not measured yet: day 4 does"
    small, large = found
    more = f"{_interval(small)}, PGD with ε = 1/255; {per_cent(large.value)} with 4/255"
    return name, per_cent(small.value), more


def under_attack(run: Run) -> tuple[Interval, Interval] | None:
    """Accuracy under PGD with ε = 1/255 and 4/255, if day 4 has measured it."""
    path = run.path / ATTACKS_FILE
    if not path.exists():
        return None
    table = pd.read_csv(path).query("attack == 'pgd'")
    rows = table.set_index(table["epsilon_255"].round(3))[["accuracy", "low", "high"]]
    return Interval(*rows.loc[1]), Interval(*rows.loc[4])


def _training(run: Run) -> Figure:
    facts = run.summary
    more = f"on {run.environment['device']}, {facts['parameters']:,} parameters"
    return "Time to train", duration(facts["seconds"]).replace(" ", NO_BREAK), more


def _interval(figure: Interval) -> str:
    return f"95{NO_BREAK}% interval {per_cent(figure.low)} to {per_cent(figure.high)}"


def studied(runs: list[Run], best: Run) -> Fragment:
    """What the figures rest on: the pictures, how many runs, and which one is the best."""
    facts, name = best.dataset, setting_of(best)
    pictures = facts["pictures"]
    before = (
        f"Studied: {facts['name']}, {count(sum(pictures.values()), 'picture')} of "
        f"{count(len(facts['classes']), 'class', 'classes')}. Of {count(len(runs), 'run')}, "
        "the best on the validation split is "
    )
    after = f". The figures are its own, measured on {count(pictures['test'], 'test picture')}."
    link = f'<a href="runs.html#run={best.run_id}">{escape(name)}</a>'
    return Fragment(f"<p>{escape(before)}{link}{escape(after)}</p>", f"{before}{name}{after}")


def best_runs(runs: list[Run], top: int = 5) -> pd.DataFrame:
    """The runs that are best on val: a row each, with what they are and where they are shown."""
    ranked = sorted(runs, key=lambda run: (-run.summary["val_accuracy"], run.summary["val_loss"]))
    return pd.DataFrame(
        {
            "run": run.run_id,
            "val_accuracy": run.summary["val_accuracy"],
            "test_accuracy": tested(run),
            "model": setting_of(run),
            "training": duration(run.summary["seconds"]),
            "seed": run.recipe.seed,
            "page": f"runs.html#run={run.run_id}",
        }
        for run in ranked[:top]
    )


def day_cards(days: str | Path = "report/days") -> Fragment:
    """A card for each executed day: its title, its finding in one line, and the way there."""
    cards, lines = [], []
    for path in sorted(Path(days).glob("day*.ipynb")):
        title, finding = _title_and_finding(json.loads(path.read_text(encoding="utf-8")))
        cards.append(
            f'<a class="daybook-card" href="{path.stem}.html"><small>Day {path.stem[3]}</small>'
            f"<strong>{escape(title)}</strong><span>{unbroken(finding)}</span></a>"
        )
        lines.append(f"{title}: {finding}")
    return Fragment(f'<div class="daybook-cards">{"".join(cards)}</div>', "\n".join(lines))


def _title_and_finding(notebook: dict) -> tuple[str, str]:
    """A notebook's first heading, and the first finding among its outputs."""
    text = "".join(notebook["cells"][0]["source"])
    title = text.partition("\n")[0].removeprefix("# ")
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "daybook-finding" in "".join(data.get("text/markdown", "")):
                return title, "".join(data["text/plain"])
    return title, ""
