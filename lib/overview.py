"""The study in one view: the home page's figures, from the finished runs and the executed days."""

import json
from html import escape
from pathlib import Path

import pandas as pd

from lib.calibration import calibrate
from lib.chart_output import Fragment
from lib.chart_titles import duration
from lib.errors import UserError
from lib.evaluation import Interval, mean_accuracy
from lib.palette import label
from lib.runs import Run, RunStore, results

SETTING = ["model", "weights", "strategy", "augmentation"]  # what a reader tells models apart by


def runs_on(store: RunStore, dataset: str) -> list[Run]:
    """The store's finished runs on the dataset of that name, or on that folder.

    Raises
    ------
    UserError   if there are none
    """
    name = Path(dataset).name
    runs = [run for run in store.finished() if run.dataset["name"] == name]
    if not runs:
        raise UserError(f"{store.root}: no finished run on {name!r}; run the days first")
    return runs


def setting(model: str, augmentation: str, strategy: str, weights: str) -> str:
    """The model and the way it was trained, as pages name them: `small CNN, MixUp`."""
    if model == "small_cnn":
        return f"{label(model)}, {label(augmentation)}"
    untrained = ", random backbone" if weights == "none" else ""
    return f"{label(model)}, {label(strategy)}{untrained}"


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
    facts = run.summary
    test = Interval(facts["test_accuracy"], facts["test_low"], facts["test_high"])
    val, tested = run.predictions("val"), run.predictions("test")
    scaled = calibrate(val.logits, val.labels, tested.logits, tested.labels, resamples=200)
    ece = scaled.metrics.query("metric == 'ece'").set_index("scaling")
    before, after = (Interval(*ece.loc[s, ["value", "low", "high"]]) for s in ("before", "after"))
    figures = [
        ("Test accuracy", f"{test.value:.1%}", f"95 % interval {test.low:.1%} to {test.high:.1%}"),
        (
            "Calibration error (ECE)",
            f"{after.value:.1%}",
            f"after temperature scaling; {before.value:.1%} before",
        ),
        ("Time to train", duration(facts["seconds"]), f"on {run.environment['device']}"),
        ("Parameters", f"{facts['parameters']:,}", f"{label(run.recipe.model)}"),
    ]
    page = f"runs.html#run={run.run_id}"
    cells = "".join(
        f'<a class="daybook-figure" href="{page}"><span>{escape(name)}</span>'
        f"<strong>{escape(value.replace('%', ' %'))}</strong>"
        f"<small>{escape(more.replace('%', ' %').replace('  ', ' '))}</small></a>"
        for name, value, more in figures
    )
    text = "; ".join(f"{name}: {value} ({more})" for name, value, more in figures)
    return Fragment(f'<div class="daybook-headline">{cells}</div>', text)


def day_cards(days: str | Path = "report/days") -> Fragment:
    """A card for each executed day: its title, its finding in one line, and the way there."""
    cards, lines = [], []
    for path in sorted(Path(days).glob("day*.ipynb")):
        title, finding = _title_and_finding(json.loads(path.read_text(encoding="utf-8")))
        cards.append(
            f'<a class="daybook-card" href="{path.stem}.html"><strong>{escape(title)}</strong>'
            f"<span>{escape(finding)}</span></a>"
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
