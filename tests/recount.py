"""Recount the figures on a finished study's pages from the run records, without `lib`.

    python tests/recount.py report/studies/demo --runs runs

Every page is read as a reader sees it: the executed notebooks' sentences, tables and chart data,
and the model card. Every figure is computed again from `runs/<id>/` (or a reference run under
`results/` beside it), by formulas written here from their sources. Exact figures must agree to the
last printed digit, the six digits of a chart's data among them. What is resampled is resampled
again with other draws and must agree within `ERRORS` standard errors of both simulations.

Prints how many figures of each kind were compared, and a line for every disagreement: page, place,
what is printed, what was recounted. Exits with 1 if there is one.

What a page's rules choose is written once each: `recipes`, `chosen` and `standing`. A page's
function finds its figures by the ids of charts, the headings of tables and the words of sentences;
where one of them is not found, that is a disagreement too.
"""

import argparse
import json
import math
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

BINS, RESAMPLES, ERRORS = 15, 1000, 5
LABELS = {  # a name in the records: the name on a page
    **{"none": "no augmentation", "flip_crop": "flip + crop", "randaugment": "RandAugment"},
    **{"cutout": "Cutout", "mixup": "MixUp", "cutmix": "CutMix"},
    **{"small_cnn": "small CNN", "resnet18": "ResNet-18", "head": "head only"},
    "efficientnet_lite0": "EfficientNet-Lite0",
    **{"last_block": "last block", "last_stage": "last stage + head", "all": "all layers"},
    **{"fgsm": "FGSM", "pgd": "PGD"},
}
METRICS = {  # on the pages: here
    **{"ECE": "ece", "ECE, equal mass": "equal mass", "ECE, class-wise": "class-wise"},
    **{"MCE": "mce", "NLL": "nll", "Brier score": "brier"},
}
REFERENCES = "no augmentation", "random weights", "head only"  # what others are compared with
FITTED = r"fitted on the ([\d,]+) validation"
NUMBER = r"-?[\d,]+(?:\.\d+)?(?:e-\d+)?"
INTERVAL = re.compile(
    rf"({NUMBER})(?: %)? \((?:({NUMBER})(?:–| to )({NUMBER})(?:, range of 2 seeds)?|1 seed)\)"
)


# Records


@dataclass(frozen=True)
class Run:
    """A run's record: the files of its folder."""

    path: Path
    attacked: Path  # where attacks that were measured later lie

    @property
    def id(self) -> str:
        return self.path.name

    def _json(self, name: str) -> dict:
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    @cached_property
    def recipe(self) -> dict:
        return self._json("recipe.json")

    @cached_property
    def dataset(self) -> dict:
        return self._json("dataset.json")

    @cached_property
    def summary(self) -> dict:
        return self._json("summary.json")

    @cached_property
    def history(self) -> pd.DataFrame:
        return pd.read_csv(self.path / "history.csv")

    @cached_property
    def attacks(self) -> pd.DataFrame | None:
        for folder in (self.attacked, self.path):
            if (folder / "attacks.csv").exists():
                return pd.read_csv(folder / "attacks.csv")
        return None

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(self.path / "predictions.npz") as file:
            return dict(file)

    def logits(self, split: str) -> np.ndarray:
        return self.arrays[f"{split}_logits"].astype(np.float32).astype(float)

    def labels(self, split: str) -> np.ndarray:
        return self.arrays[f"{split}_labels"]

    def predicted(self, split: str = "test") -> np.ndarray:
        return self.logits(split).argmax(axis=1)

    def correct(self, split: str = "test") -> np.ndarray:
        return self.predicted(split) == self.labels(split)

    @property
    def counts(self) -> np.ndarray:
        """Confusion matrix of the test split: true classes in rows."""
        size = len(self.dataset["classes"])
        matrix = np.zeros((size, size), dtype=int)
        np.add.at(matrix, (self.labels("test"), self.predicted()), 1)
        return matrix

    @cached_property
    def calibration(self) -> "Calibration":
        return Calibration(self)

    @cached_property
    def rank(self) -> tuple[float, float]:
        """Validation accuracy, then the likelihood after temperature scaling."""
        return round(self.correct("val").mean(), 9), -self.scaled_loss

    @cached_property
    def scaled_loss(self) -> float:
        logits, labels = self.logits("val"), self.labels("val")
        scaled = special.log_softmax(logits / _temperature(logits, labels), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    @property
    def budget(self) -> tuple[int, int]:
        return self.dataset["pictures"]["train"], self.recipe["epochs"]

    @property
    def setting(self) -> tuple:
        """What runs of one name have in common."""
        recipe = self.recipe
        own = ("model", "augmentation") if recipe["model"] == "small_cnn" else ("model", "strategy")
        weights = "" if recipe["model"] == "small_cnn" else recipe["weights"]
        kind = weights if weights.startswith("file:") else weights.partition(":")[0]
        return (*(recipe[name] for name in own), kind, self.budget)

    @cached_property
    def family(self) -> str:
        """The recipe without its seed, and the pictures; pretrained networks differ in more."""
        recipe, origin = {**self.recipe, "seed": 0}, self.recipe.get("weights", "none")
        if origin.startswith("run:"):
            folder = self.path.parent / origin.partition(":")[2]
            if (folder / "recipe.json").exists():
                source = Run(folder, folder)
                origin = [{**source.recipe, "seed": 0}, source.dataset["fingerprint"]]
        recipe["weights"] = "none"
        return json.dumps([recipe, origin, self.dataset["fingerprint"]], sort_keys=True)


class Records:
    """The runs of a folder, and reference runs beside it."""

    def __init__(self, root: Path):
        self.root, self._found = root, {}
        folders = [*(root.parent / "results").rglob("summary.json"), *root.glob("*/summary.json")]
        for file in folders:  # own runs last, so that they are taken first
            self._found[file.parent.name] = Run(file.parent, root / file.parent.name)

    def __getitem__(self, name: str) -> Run:
        return self._found[name]

    @property
    def all(self) -> list[Run]:
        return list(self._found.values())

    def of(self, names: Iterable[str]) -> list[Run]:
        return [self[name] for name in sorted(set(names)) if name in self._found]


def recipes(runs: Iterable[Run]) -> list[list[Run]]:
    """The runs of each recipe, the best first: by mean validation accuracy, then scaled loss."""
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.id):
        groups.setdefault(run.family, []).append(run)
    ordered = [sorted(group, key=lambda run: run.rank, reverse=True) for group in groups.values()]

    def rank(group: list[Run]) -> tuple[float, float]:
        accuracy = float(np.mean([run.correct("val").mean() for run in group]))
        return round(accuracy, 9), -float(np.mean([run.scaled_loss for run in group]))

    return sorted(ordered, key=rank, reverse=True)


def chosen(runs: Iterable[Run]) -> Run:
    """The run that stands for several: the best seed of the best recipe."""
    return recipes(runs)[0][0]


def standing(runs: Iterable[Run]) -> list[list[Run]]:
    """The best recipe of each setting and budget, the best first."""
    best: dict[tuple, list[Run]] = {}
    for group in recipes(runs):
        best.setdefault(group[0].setting, group)
    return list(best.values())


# Formulas


def wilson(correct: float, total: float, z: float | None = None) -> tuple[float, float, float]:
    """Share with the score interval of Wilson (1927), the roots of (p - x)^2 = z^2 x(1 - x) / n."""
    z = stats.norm.ppf(0.975) if z is None else z
    p = correct / total
    a, b, c = 1 + z**2 / total, -2 * p - z**2 / total, p**2
    root = math.sqrt(max(0.0, b**2 - 4 * a * c))
    return p, max(0.0, (-b - root) / (2 * a)), min(1.0, (-b + root) / (2 * a))


def recipe_accuracy(runs: Sequence[Run]) -> tuple[float, float, float]:
    """Mean accuracy over seeds, with an interval over seeds and pictures; of two the range."""
    table = np.array([run.correct() for run in runs], dtype=float)
    seeds, pictures = table.shape
    each, value = table.mean(axis=1), table.mean()
    if seeds == 1:
        return wilson(table.sum(), pictures)
    if seeds == 2:
        return value, each.min(), each.max()
    parts = [(np.var(side, ddof=1) / len(side), len(side) - 1) for side in (table.mean(0), each)]
    error = sum(part for part, _ in parts)
    if error == 0:
        return wilson(value * pictures, pictures)
    freedom = error**2 / sum(part**2 / df for part, df in parts)
    effective = min(value * (1 - value) / error, seeds * pictures)
    return wilson(value * effective, effective, stats.t.ppf(0.975, freedom))


def over_seeds(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean with Student's interval within 0 and 1; of two the range, of one nothing."""
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    if len(values) == 1:
        return mean, math.nan, math.nan
    if len(values) == 2:
        return mean, values.min(), values.max()
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """Difference of two means with Welch's interval."""
    parts = [(np.var(x, ddof=1) / len(x), len(x) - 1) for x in (a, b)]
    error, value = sum(part for part, _ in parts), float(np.mean(a) - np.mean(b))
    if error == 0:
        return value, math.nan, math.nan
    half = stats.t.ppf(0.975, error**2 / sum(p**2 / df for p, df in parts)) * math.sqrt(error)
    return value, value - half, value + half


def welch_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Of Welch's test; 1 where there is one value, or no spread."""
    if min(len(a), len(b)) < 2 or np.ptp(a) == np.ptp(b) == 0:
        return 1.0
    return float(stats.ttest_ind(a, b, equal_var=False).pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted for their number: each by how many are as large, and no smaller than one below."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    for place, index in enumerate(order):
        own = p_values[index] * (len(order) - place)
        adjusted[index] = max(own, adjusted[order[place - 1]] if place else 0)
    return adjusted


def tango(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Difference of paired shares with Tango's score interval (1998).

    The share of the second alone under a hypothesis is that of greatest likelihood, sought by
    optimisation instead of the closed form; the limits are found by bisection.
    """
    n, b, c = len(first), int((first & ~second).sum()), int((second & ~first).sum())
    z = stats.norm.ppf(0.975)

    def score(difference: float) -> float:
        low, high = max(0.0, -difference), (1 - difference) / 2

        def loss(q: float) -> float:
            both = special.xlogy(b, max(q + difference, 0)) + special.xlogy(c, max(q, 0))
            return -(both + special.xlogy(n - b - c, max(1 - 2 * q - difference, 0)))

        options = {"xatol": 1e-13}
        q = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options=options).x
        variance = n * (2 * q + difference * (1 - difference))
        return (b - c - n * difference) / math.sqrt(max(variance, 1e-300))

    def limit(inside: float, outside: float, target: float) -> float:
        if abs(score(outside)) < z:
            return outside
        for _ in range(60):
            middle = (inside + outside) / 2
            reached = score(middle) > target if target > 0 else score(middle) < target
            inside, outside = (inside, middle) if reached else (middle, outside)
        return inside

    value, edge = (b - c) / n, 1 - 1e-9
    return value, limit(value, -edge, z), limit(value, edge, -z)


def recipe_difference(first: Sequence[Run], second: Sequence[Run]) -> tuple[float, float, float]:
    """Mean accuracies less one another: pictures are paired, the variance over seeds is added."""
    one, other = (
        np.array([run.correct() for run in runs], dtype=float) for runs in (first, second)
    )
    parts = [
        (np.var(values, ddof=1) / len(values), len(values) - 1)
        for values in (one.mean(0) - other.mean(0), one.mean(1), other.mean(1))
    ]
    value, error = float(one.mean() - other.mean()), sum(part for part, _ in parts)
    if error == 0:
        return value, value, value
    freedom = error**2 / sum(part**2 / df for part, df in parts)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(error)
    return value, max(-1.0, value - half), min(1.0, value + half)


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided exact p of McNemar's test."""
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    return min(1.0, 2 * stats.binom.cdf(min(b, c), b + c, 0.5)) if b + c else 1.0


def confused(run: Run) -> list[tuple[int, int, int, int, int]]:
    """Pairs of classes by errors: errors, a, b, a predicted as b, b as a; most errors first."""
    matrix, classes = run.counts, run.dataset["classes"]
    total, rows = matrix.sum(axis=1), []
    for i in range(len(matrix)):
        for j in range(i + 1, len(matrix)):
            a, b = (j, i) if matrix[j, i] > matrix[i, j] else (i, j)
            if errors := int(matrix[i, j] + matrix[j, i]):
                rows.append((errors, a, b, int(matrix[a, b]), int(matrix[b, a])))
    return sorted(
        rows,
        key=lambda r: (-r[0], -r[0] / (total[r[1]] + total[r[2]]), classes[r[1]], classes[r[2]]),
    )


def stands_out(pairs: Sequence[tuple]) -> bool:
    """Whether the first pair has significantly more errors than the second (exact, 5 %)."""
    first, second = [*(pair[0] for pair in pairs), 0, 0][:2]
    return first > 0 and 2 * stats.binom.sf(first - 1, first + second, 0.5) < 0.05


class Calibration:
    """The temperature from the validation split, and measures on the test split."""

    def __init__(self, run: Run):
        self.run, self.logits, self.labels = run, run.logits("test"), run.labels("test")
        self.correct = run.correct()
        self.temperature = _temperature(run.logits("val"), run.labels("val"))
        self._cache: dict[tuple[str, str], tuple] = {}

    def probabilities(self, scaling: str) -> np.ndarray:
        t = 1.0 if scaling == "before" else self.temperature
        scaled = self.logits / t
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def confidence(self, scaling: str) -> np.ndarray:
        return self.probabilities(scaling).max(axis=1)

    def measure(self, name: str, scaling: str) -> tuple[float, float, float, float]:
        """Value, low, high and the standard error of a bound, by a bootstrap over pictures."""
        if (name, scaling) not in self._cache:
            rows, statistic = self._statistic(name, scaling)
            value, drawn = statistic(np.arange(rows)), _resampled(statistic, rows)
            low, high = np.quantile(drawn - drawn.mean() + value, [0.025, 0.975])
            most = {"nll": math.inf, "brier": 2.0}.get(name, 1.0)
            # a maximum jumps from bin to bin, and its bounds with it
            jumps = 4 if name == "mce" else 1
            self._cache[name, scaling] = (
                *(value, max(0.0, low), min(most, high)),
                jumps * _bound_error(drawn),
            )
        return self._cache[name, scaling]

    def change(self, name: str) -> tuple[float, float, float, float]:
        """The measure after less before, on the same pictures: as `measure`."""
        (rows, after), (_, before) = (self._statistic(name, s) for s in ("after", "before"))

        def statistic(drawn: np.ndarray) -> float:
            return after(drawn) - before(drawn)

        value, drawn = statistic(np.arange(rows)), _resampled(statistic, rows)
        low, high = np.quantile(drawn - drawn.mean() + value, [0.025, 0.975])
        return value, low, high, _bound_error(drawn)

    def _statistic(self, name: str, scaling: str) -> tuple[int, Callable[[np.ndarray], float]]:
        """The number of pictures, and the measure of those that are drawn."""
        p, n = self.probabilities(scaling), len(self.labels)
        confidence, correct = p.max(axis=1), self.correct.astype(float)
        if name in ("ece", "mce"):
            place = _bins(confidence)
            worst = name == "mce"
            return n, lambda i: _gap(place[i], confidence[i], correct[i], worst)
        if name == "equal mass":
            return n, lambda i: _equal_mass(confidence[i], correct[i])
        if name == "class-wise":
            hit = np.eye(p.shape[1])[self.labels]
            places = _bins(p)
            return n, lambda i: float(
                np.mean([_gap(places[i, k], p[i, k], hit[i, k]) for k in range(p.shape[1])])
            )
        if name == "nll":
            loss = -np.log(np.maximum(p[np.arange(n), self.labels], 1e-300))
        else:
            loss = ((p - np.eye(p.shape[1])[self.labels]) ** 2).sum(axis=1)
        return n, lambda i: float(loss[i].mean())

    @cached_property
    def chance(self) -> tuple[float, float, float, float]:
        """ECE after scaling if calibrated: mean, its error, 95th percentile, its error."""
        confidence, generator = self.confidence("after"), np.random.default_rng(12345)
        place = _bins(confidence)
        draws = [
            _gap(place, confidence, (generator.random(len(place)) < confidence).astype(float))
            for _ in range(RESAMPLES)
        ]
        mean, deviation = float(np.mean(draws)), float(np.std(draws))
        error = deviation * math.sqrt(2 / RESAMPLES)
        return mean, error, float(np.quantile(draws, 0.95)), 2.2 * error

    def kept(self) -> np.ndarray:
        """Accuracy of the 1 to N most confident predictions; equal ones share their mean."""
        confidence, outcome = self.confidence("after"), self.correct.astype(float)
        shared = pd.Series(outcome).groupby(confidence).transform("mean").to_numpy()
        order = np.argsort(-confidence, kind="stable")
        return np.cumsum(shared[order]) / np.arange(1, len(order) + 1)


def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Guo et al. (2017) by a search for the least loss; faultless validation after Platt (1999)."""
    if np.ptp(logits, axis=1).max() == 0:
        return 1.0
    rows = np.arange(len(labels))
    faultless = (logits[rows, labels] == logits.max(axis=1)).all()
    doubt = 1 / (len(labels) + 2) if faultless else 0.0
    target = np.full(logits.shape, doubt / logits.shape[1])
    target[rows, labels] += 1 - doubt

    def loss(log_t: float) -> float:
        return float(-(target * special.log_softmax(logits / math.exp(log_t), axis=1)).sum())

    grid = np.linspace(math.log(0.05), math.log(20), 200)
    best = int(np.argmin([loss(t) for t in grid]))
    bounds = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    found = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    ends = min((loss(t), t) for t in (*bounds, found.x))
    return math.exp(ends[1])


def _bins(values: np.ndarray) -> np.ndarray:
    return np.minimum(np.digitize(values, np.arange(BINS + 1) / BINS) - 1, BINS - 1)


def _gap(place: np.ndarray, confidence: np.ndarray, correct: np.ndarray, worst=False) -> float:
    """Expected (or maximum) calibration error from each prediction's bin."""
    count = np.bincount(place, minlength=BINS)
    filled = count > 0
    gap = np.abs(
        np.bincount(place, confidence, BINS)[filled] / count[filled]
        - np.bincount(place, correct, BINS)[filled] / count[filled]
    )
    return float(gap.max() if worst else (gap * count[filled]).sum() / count.sum())


def _equal_mass(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Bins of equally many predictions; equal confidences go with the first above each cut."""
    ordered = np.sort(confidence)
    parts = np.array_split(np.arange(len(ordered)), BINS)
    cuts = [ordered[part[0]] if len(part) else 1.0 for part in parts[1:]]
    return _gap(np.searchsorted(cuts, confidence, side="right"), confidence, correct)


def _resampled(statistic: Callable[[np.ndarray], float], rows: int) -> np.ndarray:
    generator = np.random.default_rng(2024)
    return np.array([statistic(generator.integers(0, rows, rows)) for _ in range(RESAMPLES)])


def _bound_error(drawn: np.ndarray) -> float:
    """Of the difference of two simulations' 2.5 % quantiles, about (normal density)."""
    density = stats.norm.pdf(stats.norm.ppf(0.025)) / max(float(drawn.std()), 1e-12)
    return math.sqrt(2 * 0.025 * 0.975 / RESAMPLES) / density


# Pages


@dataclass
class Chart:
    name: str
    title: str = ""
    subtitle: str = ""
    rows: list[dict] = field(default_factory=list)

    def table(self, *columns: str) -> pd.DataFrame:
        """The data that have these columns."""
        return pd.DataFrame([row for row in self.rows if set(columns) <= row.keys()])


@dataclass
class Table:
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)  # that the rows' first cells lead to

    def column(self, name: str) -> list[str] | None:
        place = self.head.index(name) if name in self.head else None
        return None if place is None else [row[place] for row in self.rows]


class Reader(HTMLParser):
    """The sentences, tables, charts and headline figures of a page's HTML, in their order."""

    TEXTS = ("daybook-title", "daybook-subtitle", "daybook-finding", "daybook-spec")

    def __init__(self) -> None:
        super().__init__()
        self.items: list[str | Table | Chart | tuple[str, list[str]]] = []
        self._text: list[str] | None = None
        self._use = self._href = ""
        self._headline: list[str] | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        classes = (given.get("class") or "").split()
        if tag == "figure" and "daybook-chart" in classes:
            self.items.append(Chart(given["data-name"] or ""))
        elif tag == "table":
            self.items.append(Table())
        elif tag == "tr" and isinstance(self.items[-1], Table):
            self.items[-1].rows.append([])
            self.items[-1].runs.append("")
        elif tag == "a" and "daybook-figure" in classes:
            self._headline = [given.get("href") or ""]
        elif tag == "a":
            self._href = given.get("href") or ""
        self._use = next((name for name in self.TEXTS if name in classes), "") or self._use
        starts = tag in ("th", "td", "p", "span", "strong", "small") or "daybook-spec" in classes
        if starts and not (self._use == "daybook-finding" and self._text is not None):
            self._text = []

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._headline is not None:
            self.items.append(("headline", self._headline))
            self._headline = None
        if self._text is None or tag not in ("th", "td", "p", "span", "strong", "small", "script"):
            return
        raw = "".join(self._text)
        text, last = plain(raw), self.items[-1] if self.items else None
        if self._headline is not None:
            self._headline.append(text)
        elif tag in ("th", "td") and isinstance(last, Table):
            last.rows[-1].append(text)
            if len(last.rows[-1]) == 1 and "#run=" in self._href:
                last.runs[-1] = self._href.rpartition("#run=")[2]
            self._href = ""
        elif tag == "p":
            self.items.append(text)
        elif tag == "span" and isinstance(last, Chart) and self._use == "daybook-title":
            last.title = text
        elif tag == "span" and isinstance(last, Chart) and self._use == "daybook-subtitle":
            last.subtitle = text
        elif tag == "script" and isinstance(last, Chart):
            for rows in json.loads(raw)["datasets"].values():
                last.rows += rows
        self._text, self._use = None, ""


def plain(text: str) -> str:
    """With common spaces, and minus signs as Python writes them."""
    for found, instead in (("\xa0", " "), ("\u2060", ""), ("\u2212", "-")):
        text = text.replace(found, instead)
    return " ".join(text.split())


class Page:
    """An executed notebook as a reader sees it."""

    def __init__(self, path: Path):
        self.name = path.stem
        notebook = json.loads(path.read_text(encoding="utf-8"))
        self.record = notebook["metadata"]["daybook"]
        self.items: list = []
        for cell in notebook["cells"]:
            for output in cell.get("outputs", ()):
                reader = Reader()
                reader.feed("".join(output.get("data", {}).get("text/markdown", "")))
                self.items += reader.items
        for table in self.tables:  # the first row is the head
            table.head, table.rows, table.runs = table.rows[0], table.rows[1:], table.runs[1:]

    @cached_property
    def tables(self) -> list[Table]:
        return [item for item in self.items if isinstance(item, Table)]

    @cached_property
    def charts(self) -> dict[str, Chart]:
        return {item.name: item for item in self.items if isinstance(item, Chart)}

    @property
    def headline(self) -> list[list[str]]:
        return [item[1] for item in self.items if isinstance(item, tuple)]

    def sentence(self, pattern: str) -> str:
        """The first sentence that has the pattern, or nothing."""
        return next((s for s in self.items if isinstance(s, str) and re.search(pattern, s)), "")

    def before(self, chart: Chart, pattern: str = "") -> str:
        """The last sentence above a chart that has the pattern."""
        place = next(i for i, item in enumerate(self.items) if item is chart)
        above = (s for s in reversed(self.items[:place]) if isinstance(s, str))
        return next((s for s in above if re.search(pattern, s)), "")

    def after(self, chart: Chart, kind: type) -> object:
        place = next(i for i, item in enumerate(self.items) if item is chart)
        return next((item for item in self.items[place + 1 :] if isinstance(item, kind)), None)


# What is compared


class Comparison:
    """Compares printed figures with recounted ones, and keeps count."""

    def __init__(self) -> None:
        self.count: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        self.page = self.group = ""

    def at(self, page: str, group: str) -> None:
        self.page, self.group = page, group

    def _note(self, place: str, agree: bool, printed: object, recounted: object) -> None:
        self.count[self.page, self.group] += 1
        if not agree:
            self.wrong.append(
                f"{self.page}, {self.group}, {place}: printed {printed}, recounted {recounted}"
            )

    def text(self, place: str, printed: object, recounted: object) -> None:
        self._note(place, printed == recounted, printed, recounted)

    def number(self, place: str, printed: str, value: float, error: float = 0.0) -> None:
        """A number as printed against a value, to the last digit and within `error`."""
        found = re.search(NUMBER, printed or "")
        if not found:
            self._note(place, math.isnan(value), printed, value)
            return
        mantissa, _, exponent = found[0].partition("e")
        digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
        gap = abs(float(found[0].replace(",", "")) - value)
        self._note(
            place, gap <= 0.5 * 10**-digits + 1e-7 + error, printed, f"{value:.{digits + 2}f}"
        )

    def datum(self, place: str, printed: float | None, value: float, error: float = 0.0) -> None:
        """A number of a chart's data, which has six digits."""
        if printed is None or value is None or math.isnan(value):
            missing = printed is None or math.isnan(printed)
            self._note(place, missing and (value is None or math.isnan(value)), printed, value)
            return
        self._note(place, abs(printed - value) <= 1e-5 * abs(value) + 1e-9 + error, printed, value)

    def short(self, place: str, printed: str, value: float) -> None:
        """A number to three significant digits, as tables print them."""
        shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
        self.text(place, printed, shown)

    def interval(
        self, place: str, printed: str, value: Sequence[float], scale: float = 100, error: float = 0
    ) -> None:
        """`91.3 % (90.7–91.8)` against value, low and high."""
        found = INTERVAL.search(printed)
        if not found:
            self._note(place, False, printed, value)
            return
        self.number(f"{place}, value", found[1], scale * value[0])
        if found[2]:
            self.number(f"{place}, low", found[2], scale * value[1], scale * error)
            self.number(f"{place}, high", found[3], scale * value[2], scale * error)
        else:
            self._note(f"{place}, interval", math.isnan(value[1]), printed, value)

    def missing(self, what: str) -> None:
        self._note(what, False, "nothing", "a figure to compare")


def sentence_of_confusion(check: Comparison, text: str, run: Run) -> None:
    """`4 of 359 test pictures are misclassified; no pair of classes stands out.`"""
    wrong, total, pairs = int((~run.correct()).sum()), len(run.labels("test")), confused(run)
    if not wrong:
        check.text(f"sentence of {run.id}", text.startswith("No picture of the test split"), True)
        return
    found = re.match(rf"({NUMBER}) of ({NUMBER}) test pictures? (?:is|are) misclassified", text)
    if not found:
        check.missing(f"sentence of {run.id}")
        return
    check.number(f"errors of {run.id}", found[1], wrong)
    check.number(f"pictures of {run.id}", found[2], total)
    named = stands_out(pairs) and len(run.counts) > 2
    check.text(f"pair of {run.id} is named", "most confused classes" in text, named)
    if named and (more := re.search(rf": ({NUMBER}) errors?, ({NUMBER}) % of their", text)):
        errors, a, b, *_ = pairs[0]
        check.number(f"errors of the pair of {run.id}", more[1], errors)
        both = run.counts.sum(axis=1)[[a, b]].sum()
        check.number(f"share of the pair of {run.id}", more[2], 100 * errors / both)


def chart_of_confusion(check: Comparison, chart: Chart, run: Run) -> None:
    matrix, classes = run.counts, run.dataset["classes"]
    cells = {(row["true"], row["predicted"]): row for row in chart.rows if "count" in row}
    for i, true in enumerate(classes):
        for j, predicted in enumerate(classes):
            cell = cells.get((true, predicted), {"count": None, "share": None})
            place = f"{chart.name}, {true} as {predicted}"
            check.text(place, cell["count"], int(matrix[i, j]))
            share = matrix[i, j] / matrix[i].sum() if matrix[i].sum() else math.nan
            check.datum(f"{place}, share", cell["share"], share)


def table_of_pairs(check: Comparison, table: Table, run: Run) -> None:
    matrix, classes = run.counts, run.dataset["classes"]
    for row, (errors, a, b, ab, ba) in zip(table.rows, confused(run), strict=False):
        place = f"confused pairs of {run.id}, {row[0]} and {row[1]}"
        check.text(place, row[:5], [classes[a], classes[b], f"{errors:,}", f"{ab:,}", f"{ba:,}"])
        check.number(f"{place}, share", row[5], 100 * errors / matrix.sum(axis=1)[[a, b]].sum())


def tables_of_runs(check: Comparison, page: Page, records: Records) -> None:
    """Every table whose rows are runs, by its headings."""
    check.at(page.name, "tables of runs")
    percent = {"Validation accuracy": "val_accuracy", "Test accuracy": "test_accuracy"}
    for table in page.tables:
        for place, name in enumerate(table.runs):
            if not name:
                continue
            run, cells = records[name], dict(zip(table.head, table.rows[place], strict=True))
            accuracy = wilson(run.correct().sum(), len(run.correct()))
            if "Seeds" in table.head:  # a row is a recipe, and its first cell leads to one run
                row_of_recipe(check, cells, run, records.of(page.record["compared"]))
                continue
            for heading, key in percent.items():
                if "(" in cells.get(heading, ""):
                    check.interval(f"{name}, {heading}", cells[heading], accuracy)
                elif heading in cells:
                    own = run.correct("val" if key == "val_accuracy" else "test").mean()
                    check.number(f"{name}, {heading}", cells[heading], 100 * own)
            for heading, value in (
                ("Seed", run.recipe["seed"]),
                ("Best epoch", run.history["val_accuracy"].size and run.summary["best_epoch"]),
                ("Parameters", run.summary["parameters"]),
                ("Training pictures", run.budget[0]),
                ("Epochs", run.budget[1]),
            ):
                if heading in cells:
                    check.number(f"{name}, {heading}", cells[heading], value)
            if "Training time (s)" in cells:
                check.short(f"{name}, seconds", cells["Training time (s)"], run.summary["seconds"])
            if "Training time" in cells:
                check.text(
                    f"{name}, time", cells["Training time"], duration(run.summary["seconds"])
                )


def row_of_recipe(check: Comparison, cells: dict[str, str], run: Run, runs: list[Run]) -> None:
    group = [other for other in runs if other.family == run.family]
    check.number(f"recipe of {run.id}, seeds", cells["Seeds"], len(group))
    check.text(f"the run of its recipe, {run.id}", run.id, chosen(group).id)
    val = float(np.mean([other.correct("val").mean() for other in group]))
    check.number(f"recipe of {run.id}, validation", cells["Validation accuracy"], 100 * val)
    check.interval(f"recipe of {run.id}", cells["Test accuracy"], recipe_accuracy(group))
    check.text(f"{run.id}, time", cells["Training time"], duration(run.summary["seconds"]))
    if "Best seed" in cells:
        best = wilson(run.correct().sum(), len(run.correct()))
        check.interval(f"{run.id}, best seed", cells["Best seed"], best)
        check.number(f"{run.id}, pictures", cells["Training pictures"], run.budget[0])
        check.number(f"{run.id}, epochs", cells["Epochs"], run.budget[1])
        check.number(f"{run.id}, parameters", cells["Parameters"], run.summary["parameters"])


def duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def charts_of_settings(check: Comparison, page: Page, records: Records) -> None:
    """Charts with a dot per run and a bar per group, and the sentence above, on days 1 and 3."""
    check.at(page.name, "settings compared")
    for chart in page.charts.values():
        runs, means = chart.table("run_id", "seed", "test_accuracy"), chart.table("mean", "runs")
        if runs.empty or means.empty:
            continue
        by = next(name for name in means.columns if name not in ("mean", "low", "high", "runs"))
        groups: dict[str, list[float]] = {}
        val: dict[str, list[float]] = {}
        for row in runs.itertuples():
            accuracy = records[row.run_id].correct().mean()
            val.setdefault(getattr(row, by), []).append(records[row.run_id].correct("val").mean())
            check.datum(f"{chart.name}, {row.run_id}", row.test_accuracy, accuracy)
            groups.setdefault(getattr(row, by), []).append(accuracy)
        for row in means.to_dict("records"):
            place, expected = f"{chart.name}, {row[by]}", over_seeds(groups[row[by]])
            check.text(f"{place}, runs", int(row["runs"]), len(groups[row[by]]))
            for name, value in zip(("mean", "low", "high"), expected, strict=True):
                check.datum(f"{place}, {name}", row[name], value)
        text = page.before(chart, "[Bb]est on validation|one seed only|^No significant")
        sentence_of_groups(check, text, groups, val, chart.name)


def sentence_of_groups(
    check: Comparison,
    text: str,
    groups: dict[str, list[float]],
    val: dict[str, list[float]],
    chart: str,
) -> None:
    """What is said above a comparison: the best on validation, its lead, and who differs."""
    order = sorted(groups, key=lambda name: -np.mean(val[name]))
    found = re.search(rf"[Bb]est on validation: (.+?), (?:test accuracy )?({NUMBER}) %", text)
    if not found:
        if "one seed only" not in text:
            check.missing(f"{chart}, sentence above")
        return
    tied = [name for name in order if math.isclose(np.mean(val[name]), np.mean(val[order[0]]))]
    check.text(f"{chart}, best on validation", found[1] in tied, True)
    check.number(f"{chart}, its mean", found[2], 100 * np.mean(groups[found[1]]))
    pattern = (
        rf"({NUMBER}) percentage points \(([\d.]+) to ([\d.]+)\) (above|below) (.+?), the second"
    )
    if lead := re.search(pattern, text):
        value, *ends = (100 * x for x in welch(groups[found[1]], groups[lead[5]]))
        least, most = sorted(map(abs, ends))
        sizes = (abs(value), least, most)
        for name, printed, own in zip(
            ("lead", "low", "high"), lead.groups()[:3], sizes, strict=True
        ):
            check.number(f"{chart}, {name}", printed, own)
        check.text(f"{chart}, side of the lead", lead[4], "above" if value > 0 else "below")
    if unseen := re.search(rf"lead of less than ({NUMBER}) percentage points", text):
        _, low, high = welch(groups[order[0]], groups[order[1]])
        check.number(f"{chart}, lead that could not be seen", unseen[1], 100 * (high - low) / 2)
    apart_of(check, text, groups, {found[1], lead[5]} if lead else set(), chart)


def apart_of(
    check: Comparison, text: str, groups: dict[str, list[float]], said: set[str], chart: str
) -> None:
    """Who differs from what all are compared with, but for the pair of which it is said already."""
    reference = next((name for name in REFERENCES if name in groups), None)
    if reference is None:
        return
    others = [name for name in groups if name != reference]
    adjusted = holm([welch_p(groups[name], groups[reference]) for name in others])
    apart = {name for name, p in zip(others, adjusted, strict=True) if p < 0.05}
    found = re.search(rf"significantly different from {reference}: (.+)", text)
    by = rf"(-?{NUMBER}) percentage points \(([+-][\d.]+) to ([+-][\d.]+)\)"
    named = re.findall(rf"(?:, | and |^)?([^,]+?) by {by}", found[1] if found else "")
    check.text(
        f"{chart}, different from {reference}",
        sorted(name for name, *_ in named),
        sorted(apart - (said if reference in said else set())),
    )
    for name, *figures in named:
        if name not in others:
            check.missing(f"{chart}, {name}")
            continue
        for part, figure, own in zip(
            ("value", "low", "high"), figures, welch(groups[name], groups[reference]), strict=True
        ):
            check.number(f"{chart}, {name}, {part}", figure, 100 * own)


def calibration_of(check: Comparison, place: str, text: str, run: Run) -> None:
    """The sentence on confidence before and after scaling."""
    own = run.calibration
    for name, pattern, value, error in (
        (
            "mean confidence",
            r"mean confidence ([\d.]+) %",
            100 * own.confidence("before").mean(),
            0,
        ),
        ("accuracy", r"accuracy ([\d.]+) %\.", 100 * own.correct.mean(), 0),
        ("temperature", r"temperature of ([\d.]+),", own.temperature, 0),
        ("ECE by chance", r"would show ([\d.]+) %", 100 * own.chance[0], 100 * own.chance[1]),
        ("ECE by chance, most", r"at most ([\d.]+) %", 100 * own.chance[2], 100 * own.chance[3]),
        ("pictures", r"% on ([\d,]+) pictures?", len(own.labels), 0),
    ):
        found = re.search(pattern, text)
        check.number(f"{place}, {name}", found[1] if found else "", value, ERRORS * error)
    for name, pattern in (
        ("before", r"error: (.+?\)) before"),
        ("after", r"before, (.+?\)) after"),
    ):
        found = re.search(pattern, text)
        *interval, error = own.measure("ece", name)
        printed = found[1] if found else ""
        check.interval(f"{place}, ECE {name}", printed, interval, error=ERRORS * error)
    *change, error = own.change("nll")
    found = re.search(r"log-likelihood by (.+?\))\.", text)
    printed = found[1].replace("+", "") if found else ""
    check.interval(f"{place}, change of NLL", printed, change, 1, ERRORS * error)


def fit_of(check: Comparison, place: str, text: str, run: Run) -> None:
    """The sentence on what the temperature was fitted on."""
    faultless = run.correct("val").all()
    said = re.search(r"^All ([\d,]+) val", text) if faultless else re.search(FITTED, text)
    number = said[1] if said else ""
    check.number(f"{place}, validation pictures", number, len(run.labels("val")))
    temperature = re.search(r"temperature(?:\\?: |, )([\d.]+),? is", text)
    printed = temperature[1] if temperature else ""
    check.number(f"{place}, fitted temperature", printed, run.calibration.temperature)


def reliability_of(check: Comparison, chart: Chart, run: Run) -> None:
    table = chart.table("low", "high", "count", "confidence")
    names = list(table["scaling"].unique()) if "scaling" in table else ["before"]
    for scaling in names:
        rows = table[table["scaling"] == scaling] if "scaling" in table else table
        confidence, correct = run.calibration.confidence(scaling), run.correct()
        place, filled = _bins(confidence), 0
        for row in rows.to_dict("records"):
            inside = place == round(row["low"] * BINS)
            where = f"{chart.name}, {scaling}, bin from {row['low']:.2f}"
            filled += int(row["count"])
            check.text(f"{where}, count", int(row["count"]), int(inside.sum()))
            if inside.any():
                check.datum(f"{where}, confidence", row["confidence"], confidence[inside].mean())
                check.datum(f"{where}, accuracy", row["accuracy"], correct[inside].mean())
        check.text(f"{chart.name}, {scaling}, predictions", filled, len(place))


def attacks_of(check: Comparison, chart: Chart, run: Run) -> None:
    """The chart's rows against attacks.csv, and these against Wilson and the predictions."""
    table = chart.table("attack", "epsilon_255", "low", "n")
    for row in table.to_dict("records"):
        where = f"{chart.name}, {row['attack']} at {row['epsilon_255']:g}"
        own = run.attacks[
            (run.attacks["attack"].map(lambda name: LABELS.get(name, name)) == row["attack"])
            & np.isclose(run.attacks["epsilon_255"], row["epsilon_255"], atol=1e-6)
        ]
        if len(own) != 1:
            check.missing(where)
            continue
        number = int(own["n"].iloc[0])
        right = round(own["accuracy"].iloc[0] * number)
        if row["epsilon_255"] == 0:
            right = int(run.correct()[:number].sum())
        for name, value in zip(("accuracy", "low", "high"), wilson(right, number), strict=True):
            check.datum(f"{where}, {name}", row[name], value)
        check.text(f"{where}, n", int(row["n"]), number)


def attack_at(run: Run, attack: str, step: float) -> tuple[float, float, float]:
    rows = run.attacks[run.attacks["attack"] == attack]
    row = rows[np.isclose(rows["epsilon_255"], step, atol=1e-6)].iloc[0]
    return wilson(round(row["accuracy"] * row["n"]), row["n"])


# Pages in their order


def home(check: Comparison, page: Page, records: Records) -> None:
    runs = records.of(page.record["compared"])
    figures = {figure[1]: figure for figure in page.headline}
    check.at(page.name, "headline")
    if not figures:
        check.missing("headline")
        return
    address, _, value, more = figures["Test accuracy of the best run"]
    run = records[address.rpartition("#run=")[2]]
    best = recipes(runs)[0]
    check.text("the chosen run", run.id, best[0].id)
    interval_words(check, "accuracy", value, more, wilson(run.correct().sum(), len(run.correct())))
    if len(best) > 1:
        found = re.search(rf"mean of its ({NUMBER}) seeds: ({NUMBER}) %", more)
        check.number("seeds", found[1] if found else "", len(best))
        check.number("mean of the seeds", found[2] if found else "", 100 * recipe_accuracy(best)[0])
    _, _, value, more = figures["Expected calibration error (ECE)"]
    *after, error = run.calibration.measure("ece", "after")
    interval_words(check, "ECE", value, more, after, ERRORS * error)
    for name, pattern, expected, slack in (
        (
            "ECE by chance",
            r"([\d.]+) % by chance",
            run.calibration.chance[0],
            run.calibration.chance[1],
        ),
        ("ECE before", r"([\d.]+) % before temp", run.calibration.measure("ece", "before")[0], 0),
    ):
        found = re.search(pattern, more)
        check.number(name, found[1] if found else "", 100 * expected, 100 * ERRORS * slack)
    measured = "" if run.attacks is None else ", at most"
    _, _, value, more = figures[f"Accuracy under attack{measured}"]
    if run.attacks is not None:
        step = float(re.search(r"ε = ([\d.]+)/255", more)[1])
        interval_words(check, "attack", value, more, attack_at(run, "pgd", step))
        clean = re.search(r"([\d.]+) % without", more)
        check.number("without attack", clean[1], 100 * attack_at(run, "pgd", 0)[0])
    else:
        check.text("attack", value, "–")
    _, _, value, more = figures["Training time"]
    check.text("training time", value, duration(run.summary["seconds"]))
    check.number(
        "parameters", re.search(r"([\d,]+) parameters", more)[1], run.summary["parameters"]
    )
    scope(check, page, run, runs)

    check.at(page.name, "best settings")
    table = next((table for table in page.tables if "Setting" in table.head), None)
    if table is None:
        check.missing("table of best settings")
    else:
        order = [group[0].id for group in standing(runs)]
        check.text("order", table.runs, order[: len(table.runs)])
    chart_of_times(check, page, records, runs)


def interval_words(
    check: Comparison,
    place: str,
    value: str,
    more: str,
    expected: Sequence[float],
    error: float = 0,
) -> None:
    """`98.9 %` and `95 % interval 97.2 % to 99.6 %`."""
    check.number(place, value, 100 * expected[0])
    found = re.search(rf"interval ({NUMBER}) % to ({NUMBER}) %", more)
    for name, printed, bound in (("low", 1, expected[1]), ("high", 2, expected[2])):
        check.number(f"{place}, {name}", found[printed] if found else "", 100 * bound, 100 * error)


def scope(check: Comparison, page: Page, run: Run, runs: list[Run]) -> None:
    text, sizes = page.sentence("^Dataset: "), run.dataset["pictures"]
    for name, pattern, value in (
        ("pictures", r"\(([\d,]+) pictures?", sum(sizes.values())),
        ("classes", r"([\d,]+) class(?:es)?\)", len(run.dataset["classes"])),
        ("recipes", r"Of ([\d,]+) recipes?", len(recipes(runs))),
        ("runs", r"\(([\d,]+) runs?\)", len(runs)),
        ("test pictures", r"on ([\d,]+) test pictures?", sizes["test"]),
    ):
        found = re.search(pattern, text)
        check.number(f"scope, {name}", found[1] if found else "", value)


def chart_of_times(check: Comparison, page: Page, records: Records, runs: list[Run]) -> None:
    check.at(page.name, "accuracy against time")
    chart = page.charts.get("accuracy-against-time")
    if chart is None:
        check.missing("chart accuracy-against-time")
        return
    rows = {row["label"]: row for row in chart.rows if {"href", "accuracy", "low"} <= row.keys()}
    for label, row in rows.items():
        first = records[row["href"].rpartition("#run=")[2]]
        group = [run for run in runs if run.family == first.family]
        check.text(f"{label}, the chosen run", first.id, chosen(group).id)
        for name, value in zip(("accuracy", "low", "high"), recipe_accuracy(group), strict=True):
            check.datum(f"{label}, {name}", row[name], value)
        seconds = float(np.mean([run.summary["seconds"] for run in group]))
        check.datum(f"{label}, seconds", row["seconds"], seconds)
        check.text(f"{label}, seeds", int(row["seeds"]), len(group))


def day1(check: Comparison, page: Page, records: Records) -> None:
    pass  # its comparisons and its table of runs are recounted as those of every page


def day2(check: Comparison, page: Page, records: Records) -> None:
    trained = records.of(page.record["trained"])
    runs = [run for run in trained if not run.recipe["test_flip"]]
    second = [run for run in trained if run.recipe["test_flip"]]
    best = chosen(runs)
    if second and "test_accuracy_flip" in second[0].summary:
        check.at(page.name, "second network")
        text = page.sentence("^The second network has a test accuracy of")
        alone, _, flipped = text.partition("; with")
        accuracies = [run.correct().mean() for run in second]
        check.interval("alone", alone, over_seeds(accuracies))
        both = [run.summary["test_accuracy_flip"] for run in second]
        check.interval("with mirror images", flipped, over_seeds(both))
    check.at(page.name, "test accuracy")
    text = page.sentence(r"^Test accuracy: .* as the mean of")
    found = re.match(rf"Test accuracy: (.+?\)) as the mean of ({NUMBER}) seeds?; (.+?\)) for", text)
    if not found:
        check.missing("sentence on test accuracy")
    else:
        check.interval("mean over seeds", found[1], recipe_accuracy(runs))
        check.number("seeds", found[2], len(runs))
        check.interval("best seed", found[3], wilson(best.correct().sum(), len(best.correct())))
    check.at(page.name, "confusion matrix")
    chart_of_confusion(check, page.charts["confusion"], best)
    sentence_of_confusion(check, page.before(page.charts["confusion"]), best)
    check.at(page.name, "per-class accuracy")
    matrix, classes = best.counts, best.dataset["classes"]
    rows = {row["class"]: row for row in page.charts["per-class"].rows if "n" in row}
    for i, name in enumerate(classes):
        total = int(matrix[i].sum())
        if not total:
            continue
        row = rows.get(name, dict.fromkeys(("accuracy", "low", "high", "n")))
        for key, value in zip(
            ("accuracy", "low", "high"), wilson(matrix[i, i], total), strict=True
        ):
            check.datum(f"{name}, {key}", row[key], value)
        check.text(f"{name}, n", row["n"], total)


def day3(check: Comparison, page: Page, records: Records) -> None:
    check.at(page.name, "strategies")
    chart = page.charts["strategies"]
    groups: dict[str, list[Run]] = {}
    for row in chart.table("run_id", "test_accuracy").itertuples():
        groups.setdefault(row.strategy, []).append(records[row.run_id])
    table = next((t for t in page.tables if "Target reached by" in t.head), None)
    target = re.search(rf"^Target: ({NUMBER}) %", page.sentence("^Target: "))
    if table is None or target is None:
        check.missing("strategy table")
        return
    if best := re.search(rf"last epoch \((.+?), ({NUMBER}) % as", page.sentence("^Target: ")):
        last = [run.history["val_accuracy"].iloc[-1] for run in groups[best[1]]]
        check.number("last epoch of the best strategy", best[2], 100 * np.mean(last))
        check.number("target", target[1], math.floor(round(100 * np.mean(last) - 2, 6)) or 1)
    for row in table.rows:
        cells, runs = dict(zip(table.head, row, strict=True)), groups[row[0]]
        check.interval(f"{row[0]}, test accuracy", cells["Test accuracy"], recipe_accuracy(runs))
        times = [_time_to(run.history, float(target[1]) / 100) for run in runs]
        reached = [time for time in times if time]
        unit = "seed" if len(runs) == 1 else "seeds"
        said = f"{len(reached)} of {len(runs)} {unit}"
        check.text(f"{row[0]}, reached by", cells["Target reached by"], said)
        if not reached:
            for heading in ("Epochs to target", "Seconds to target"):
                check.text(f"{row[0]}, {heading}", cells[heading], "not reached")
        for heading, values in (
            ("Trainable parameters", [run.summary["trainable_parameters"] for run in runs]),
            ("Training time (s)", [run.summary["seconds"] for run in runs]),
            ("Epochs to target", [epoch for epoch, _ in reached]),
            ("Seconds to target", [seconds for _, seconds in reached]),
        ):
            if values:
                check.short(f"{row[0]}, {heading}", cells[heading], float(np.mean(values)))
    every = {run.dataset["fingerprint"] for runs in groups.values() for run in runs}
    whole = [run for run in records.of(page.record["trained"])
             if run.dataset["fingerprint"] in every]  # fmt: skip
    heads_on_backbones(check, page, whole)
    if "labels" in page.charts:
        drawn = [run for run in records.of(page.record["trained"])
                 if run.dataset["fingerprint"] not in every]  # fmt: skip
        numbers_of_labels(check, page, drawn)
    check.at(page.name, "confusion matrices")
    confusions_by_id(check, page, records)


def heads_on_backbones(check: Comparison, page: Page, runs: Iterable[Run]) -> None:
    """The table of the head on several backbones, and the sentence above it."""
    table = next((t for t in page.tables if t.head[:2] == ["Backbone", "Weights"]), None)
    if table is None:
        return
    check.at(page.name, "backbones")
    heads = {
        LABELS.get(run.recipe["model"], run.recipe["model"].removeprefix("timm:")): run
        for run in runs
        if run.recipe.get("strategy") == "head"
        and run.recipe["weights"] != "none"
        and run.recipe["seed"] == 0
    }
    check.text("backbones", sorted(table.column("Backbone") or ()), sorted(heads))
    for row in table.rows:
        cells, run = dict(zip(table.head, row, strict=True)), heads[row[0]]
        right, classes = run.correct(), len(run.dataset["classes"])
        check.interval(f"{row[0]}, test", cells["Test accuracy"], wilson(right.sum(), len(right)))
        val = 100 * run.correct("val").mean()
        check.number(f"{row[0]}, validation", cells["Validation accuracy"], val)
        weights = run.summary["trainable_parameters"]
        check.short(f"{row[0]}, features", cells["Features"], weights / classes - 1)
    first, second, *_ = sorted(heads.values(), key=lambda run: -run.correct("val").mean())
    gap = tango(first.correct(), second.correct())
    text = page.sentence("^Best head on validation: ")
    best = re.search(r"^Best head on validation: on (.+?), test", text)
    check.text("best head", heads[best[1]].id, first.id)
    check.interval("best head", text, wilson(first.correct().sum(), len(first.correct())))
    if gap[1] <= 0 <= gap[2]:
        said = re.search(rf"not significantly .*\(\+?({NUMBER}) to \+?({NUMBER}) perc", text)
        expected = gap[1:]
    else:
        side = "above" if gap[1] > 0 else "below"
        said = re.search(
            rf", ({NUMBER}) percentage points \(({NUMBER}) to ({NUMBER})\) {side} that on", text
        )
        expected = (abs(gap[0]), *sorted(map(abs, gap[1:])))
    if said is None:
        check.missing("difference of the two best heads")
        return
    for figure, value in zip(said.groups(), expected, strict=True):
        check.number("difference of the two best heads", figure, 100 * value)


def numbers_of_labels(check: Comparison, page: Page, drawn: Iterable[Run]) -> None:
    """The chart of accuracy by number of labels, and the sentence above it."""
    check.at(page.name, "numbers of labels")
    accuracies: dict[tuple[str, int], list[float]] = {}
    for run in drawn:
        if "rotated" not in run.dataset["name"]:
            small = run.recipe["model"] == "small_cnn"
            setting = "small CNN" if small else LABELS[run.recipe["strategy"]]
            key = setting, run.dataset["pictures"]["train"]
            accuracies.setdefault(key, []).append(run.correct().mean())
    chart = page.charts["labels"]
    rows = {(r["setting"], int(r["labels"])): r
            for r in chart.table("setting", "accuracy", "draws").to_dict("records")}  # fmt: skip
    check.text("labels, points", sorted(rows), sorted(accuracies))
    for key, row in rows.items():
        place = f"labels, {key[0]}, {key[1]}"
        check.text(f"{place}, draws", int(row["draws"]), len(accuracies[key]))
        expected = over_seeds(accuracies[key])
        for name, value in zip(("accuracy", "low", "high"), expected, strict=True):
            check.datum(f"{place}, {name}", row[name], value)
    text = page.sentence("^With .* the head of ")
    few = int(re.search(rf"^With ({NUMBER}) label", text)[1].replace(",", ""))
    reached = over_seeds(accuracies["head only", few])
    check.number("head", re.search(rf"reaches ({NUMBER}) %", text)[1], 100 * reached[0])
    own = {labels: np.mean(a) for (name, labels), a in accuracies.items() if name == "small CNN"}
    enough = [labels for labels, accuracy in sorted(own.items()) if accuracy >= reached[0]]
    words = "needs ({n}) labels? for as much \\(({n}) %" if enough else "({n}) %.* with all ({n})"
    found = re.search(words.format(n=NUMBER), text.partition("; ")[2])
    labels = enough[0] if enough else max(own)
    said = found.groups() if enough else found.groups()[::-1]
    check.text("labels of the small CNN", said[0], f"{labels:,}")
    check.number("small CNN", said[1], 100 * own[labels])
    differences_by_labels(check, page, accuracies)


def differences_by_labels(
    check: Comparison, page: Page, accuracies: dict[tuple[str, int], list[float]]
) -> None:
    """With which numbers of labels the head differs from the small CNN."""
    numbers = sorted({number for _, number in accuracies})
    pairs = [(accuracies["head only", n], accuracies["small CNN", n]) for n in numbers]
    if len(pairs[0][0]) < 2:
        check.text("draws", bool(page.sentence("^Each number of labels was drawn once")), True)
        return
    text = page.sentence("^Compared with the small CNN from scratch, the head")
    named = {}
    for side, listing, *figures, most in re.findall(
        rf"significantly (above|below) it with ([\d, and]+) labels? "
        rf"\(by ({NUMBER}) percentage points, ({NUMBER}) to ({NUMBER})(?:, with ([\d,]+))?\)",
        text,
    ):
        said = [int(n.replace(",", "")) for n in re.split(r", | and ", listing)]
        named |= dict.fromkeys(said, side)
        own = welch(*pairs[numbers.index(int(most.replace(",", "")) if most else said[-1])])
        expected = (abs(own[0]), *sorted(map(abs, own[1:])))
        for part, figure, value in zip(("value", "low", "high"), figures, expected, strict=True):
            check.number(f"labels, {side}, {part}", figure, 100 * value)
    adjusted = holm([welch_p(*pair) for pair in pairs])
    ours = {
        n: "above" if np.mean(first) > np.mean(second) else "below"
        for n, (first, second), p in zip(numbers, pairs, adjusted, strict=True)
        if p < 0.05
    }
    check.text("labels that differ", sorted(named.items()), sorted(ours.items()))


def _time_to(history: pd.DataFrame, accuracy: float) -> tuple[float, float] | None:
    """Epoch and seconds at which validation accuracy is first that high, if it ever is."""
    reached = history[history["val_accuracy"] >= accuracy]
    return None if reached.empty else (reached["epoch"].iloc[0], reached["seconds"].iloc[0])


def confusions_by_id(check: Comparison, page: Page, records: Records) -> None:
    """The matrices whose charts are named by a run, and the sentence above each."""
    for name, chart in page.charts.items():
        if found := re.fullmatch(r"confusion-([0-9a-f]{12})", name):
            chart_of_confusion(check, chart, records[found[1]])
            sentence_of_confusion(check, page.before(chart), records[found[1]])


def day4(check: Comparison, page: Page, records: Records) -> None:
    runs = records.of(page.record["compared"])
    for name, chart in page.charts.items():
        found = re.fullmatch(r"confusion-(.+)", name)
        if found and not re.fullmatch(r"[0-9a-f]{12}", found[1]):
            check.at(page.name, "choice")
            subject = _subject(chart, found[1], runs)
            small = found[1] == "small_cnn"
            alike = [run for run in runs if (run.recipe["model"] == "small_cnn") == small]
            best = chosen(filter(_learned, alike))
            check.text(f"the run that stands for {found[1]}", subject.id, best.id)
            diagnosed(check, page, found[1], subject, chart)
    check.at(page.name, "confusion matrices of all models")
    confusions_by_id(check, page, records)


def _learned(run: Run) -> bool:
    """Not a head on a backbone of random weights."""
    recipe = run.recipe
    random = recipe.get("weights") == "none" and recipe.get("strategy") == "head"
    return recipe["model"] == "small_cnn" or not random


def _subject(chart: Chart, kind: str, runs: list[Run]) -> Run:
    """The run of that kind whose matrix is nearest to the printed one; the best of equal ones."""
    cells = {(r["true"], r["predicted"]): r["count"] for r in chart.rows if "count" in r}

    def distance(run: Run) -> int:
        classes = run.dataset["classes"]
        return sum(
            abs(cells.get((a, b), 0) - int(run.counts[i, j]))
            for i, a in enumerate(classes)
            for j, b in enumerate(classes)
        )

    of_kind = [run for run in runs if re.sub(r"[^a-z0-9_-]", "-", run.recipe["model"]) == kind]
    least = min(map(distance, of_kind))
    return chosen([run for run in of_kind if distance(run) == least])


def diagnosed(check: Comparison, page: Page, kind: str, run: Run, confusion: Chart) -> None:
    """All that day 4 prints of one of its subjects."""
    check.at(page.name, "confusion matrices")
    chart_of_confusion(check, confusion, run)
    sentence_of_confusion(check, page.before(confusion), run)
    if confused(run):
        table = page.after(confusion, Table)
        if isinstance(table, Table) and table.head[:2] == ["Class A", "Class B"]:
            table_of_pairs(check, table, run)
        else:
            check.missing(f"confused pairs of {kind}")

    check.at(page.name, "attacks")
    attacks = page.charts[f"attacks-{kind}"]
    attacks_of(check, attacks, run)
    text = page.before(attacks)
    step = re.search(r"ε = ([\d.]+)/255", text)
    printed = [found[0] for found in INTERVAL.finditer(text)]
    if step and "fools none" in text and printed:
        for at in (0, float(step[1])):
            check.interval(f"{kind}, at {at:g}", printed[0], attack_at(run, "pgd", at))
    elif not step or len(printed) < 2:
        check.missing(f"sentence on attacks of {kind}")
    else:
        check.interval(f"{kind}, clean", printed[0], attack_at(run, "pgd", 0))
        check.interval(f"{kind}, attacked", printed[1], attack_at(run, "pgd", float(step[1])))

    check.at(page.name, "corruptions")
    for row in (
        page.charts[f"corruptions-{kind}"].table("severity", "accuracy", "n").to_dict("records")
    ):
        where, right = f"{kind}, {row['corruption']} {row['severity']}", row["accuracy"] * row["n"]
        for name, value in zip(
            ("accuracy", "low", "high"), wilson(round(right), row["n"]), strict=True
        ):
            check.datum(f"{where}, {name}", row[name], value)

    check.at(page.name, "calibration")
    reliability = page.charts[f"reliability-{kind}"]
    calibration_of(check, kind, page.before(reliability, "^Before scaling"), run)
    fit_of(check, kind, page.before(reliability, "validation pictures? "), run)
    reliability_of(check, reliability, run)
    measures_of(check, page, page.charts[f"calibration-{kind}"], run)

    check.at(page.name, "selective prediction")
    selective = page.charts[f"selective-{kind}"]
    accuracy, confidence = run.calibration.kept(), -np.sort(-run.calibration.confidence("after"))
    for row in selective.table("coverage", "accuracy", "n").to_dict("records"):
        where, kept = f"{kind}, {row['n']} kept", int(row["n"])
        check.datum(f"{where}, accuracy", row["accuracy"], accuracy[kept - 1])
        check.datum(f"{where}, coverage", row["coverage"], kept / len(accuracy))
        check.datum(f"{where}, threshold", row["threshold"], confidence[kept - 1])
    area = re.search(r"\(AURC\): ([\d.]+) %", selective.subtitle)
    check.number(f"{kind}, AURC", area[1] if area else "", 100 * (1 - accuracy.mean()))


def measures_of(check: Comparison, page: Page, chart: Chart, run: Run) -> None:
    """The measures before and after scaling, in the chart and in the table below it."""
    own, rows = run.calibration, chart.table("metric", "scaling", "value").to_dict("records")
    for row in rows:
        where = f"{chart.name}, {row['metric']} {row['scaling']}"
        value, low, high, error = own.measure(METRICS[row["metric"]], row["scaling"])
        check.datum(where, row["value"], value)
        check.datum(f"{where}, low", row["low"], low, ERRORS * error)
        check.datum(f"{where}, high", row["high"], high, ERRORS * error)
    table = page.after(chart, Table)
    if not isinstance(table, Table) or table.head[:2] != ["Metric", "Scaling"]:
        check.missing(f"table below {chart.name}")
        return
    for cells in (dict(zip(table.head, row, strict=True)) for row in table.rows):
        where = f"table below {chart.name}, {cells['Metric']} {cells['Scaling']}"
        value, low, high, error = own.measure(METRICS[cells["Metric"]], cells["Scaling"])
        temperature = own.temperature if cells["Scaling"] == "after" else 1.0
        check.short(where, cells["Value"], value)
        check.short(f"{where}, temperature", cells["Temperature"], temperature)
        check.number(f"{where}, low", cells["Low"], low, ERRORS * error)
        check.number(f"{where}, high", cells["High"], high, ERRORS * error)
        check.number(f"{where}, n", cells["Pictures"], len(own.labels))


def day5(check: Comparison, page: Page, records: Records) -> None:
    runs = records.of(page.record["compared"])
    check.at(page.name, "standings")
    table = next((table for table in page.tables if table.head[:1] == ["Candidate"]), None)
    if table is None:
        check.missing("standings")
        return
    groups = standing(runs)
    check.text("order", table.runs, [group[0].id for group in groups])
    first = records[table.runs[0]]
    check.at(page.name, "selection")
    text = page.sentence("^Highest (?:mean )?validation accuracy")
    found = re.search(
        rf", ({NUMBER}) %.*?\. Its (?:mean )?test accuracy is ({NUMBER} % \([^)]+\))", text
    )
    if not found:
        check.missing("sentence on the selection")
    else:
        val = np.mean([run.correct("val").mean() for run in groups[0]])
        check.number("validation accuracy", found[1], 100 * val)
        check.interval("test accuracy", found[2], recipe_accuracy(groups[0]))
        if len(groups) > 1:
            lead(check, text, *groups[:2])
    if packed := re.search(
        rf"accuracy, (\d+): ({NUMBER}) % on validation, (.+?\)) on test", page.sentence("^Packed")
    ):
        check.number("packed seed", packed[1], first.recipe["seed"])
        check.number("its validation accuracy", packed[2], 100 * first.correct("val").mean())
        check.interval(
            "its test accuracy", packed[3], wilson(first.correct().sum(), len(first.correct()))
        )
    check.at(page.name, "calibration")
    chart = page.charts["reliability"]
    calibration_of(check, "the selected model", page.before(chart, "^Before scaling"), first)
    fit_of(check, "the selected model", page.before(chart, "validation pictures? "), first)
    reliability_of(check, chart, first)
    check.at(page.name, "agreement")
    same = re.search(
        rf"for ({NUMBER}) of ({NUMBER}) test pictures?", page.sentence("The bundle predicts")
    )
    check.number("test pictures", same[2] if same else "", len(first.correct()))


def lead(check: Comparison, text: str, first: list[Run], second: list[Run]) -> None:
    """The lead over the second-best recipe, on the same pictures; of single runs Tango's."""
    single = min(len(first), len(second)) == 1
    one, other = first[0].correct(), second[0].correct()
    gap = tango(one, other) if single else recipe_difference(first, second)
    value, low, high = (100 * x for x in gap)
    clear = low > 0 or high < 0
    check.text("the lead is significant", "not significantly different" not in text, clear)
    p = mcnemar(one, other) if single else 0.1
    if (p < 0.01 and not clear) or (p > 0.2 and clear):  # the two may part at the border alone
        check.missing(f"McNemar's p = {p:.3f} does not go with {low:.1f} to {high:.1f}")
    if ends := re.search(r"(?:difference|by) ([+-][\d.]+) to ([+-][\d.]+) percentage", text):
        check.number("lead, low", ends[1], low)
        check.number("lead, high", ends[2], high)
    elif sizes := re.search(r"([\d.]+) percentage points \(([\d.]+) to ([\d.]+)\)", text):
        least, most = sorted((abs(low), abs(high)))
        for name, printed, own in zip(
            ("", ", low", ", high"), sizes.groups(), (abs(value), least, most), strict=True
        ):
            check.number(f"lead{name}", printed, own)
    else:
        check.missing("lead")


# The model card


def sections(text: str) -> dict[str, str]:
    """A Markdown page's parts by their headings."""
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def markdown_tables(text: str) -> Iterator[list[list[str]]]:
    """The pipe tables of a text, without their rules."""
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, flags=re.MULTILINE):
        rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]
            for line in block.strip().splitlines()
        ]
        yield [row for i, row in enumerate(rows) if i != 1]


def card(check: Comparison, path: Path, records: Records) -> None:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", path.read_text(encoding="utf-8"))
    text = text.replace("\xa0", " ").replace("\u2060", "").replace("\u2212", "-")
    run, parts = records[re.search(r"\brun ([0-9a-f]{12})\b", text)[1]], sections(text)
    page, own, correct = path.stem, run.calibration, run.correct()
    accuracy, total = wilson(correct.sum(), len(correct)), len(correct)

    check.at(page, "summary")
    printed = re.search(r"test accuracy is \*\*(.+?)\*\*, measured on ([\d,]+) test", parts[""])
    check.interval("accuracy", printed[1], accuracy)
    check.number("pictures", printed[2], total)
    if mean := re.search(r"mean test accuracy is\s+(.+?\))", parts[""], re.DOTALL):
        family = [one for one in records.all if one.family == run.family]
        check.interval("mean over seeds", mean[1], recipe_accuracy(family))
    *ece, error = own.measure("ece", "after")
    printed = re.search(r"\(ECE\)\s+(.+?\))", parts[""], re.DOTALL)
    check.interval("ECE", printed[1], ece, error=ERRORS * error)
    *nll, error = own.measure("nll", "after")
    printed = re.search(r"log-likelihood is\s+(.+?\))", parts[""], re.DOTALL)
    check.interval("NLL", printed[1], nll, 1, ERRORS * error)
    printed = re.search(r"by a temperature of ([\d.]+)", text)
    check.number("temperature", printed[1], own.temperature)
    printed = re.search(r"\| Network \| .+?, ([\d,]+) parameters", text)
    check.number("parameters", printed[1], run.summary["parameters"])

    check.at(page, "accuracy")
    printed = re.search(r"Test accuracy: (.+?\))", parts["Accuracy"])
    check.interval("accuracy", printed[1], accuracy)
    card_classes(check, next(markdown_tables(parts["Accuracy"])), run)

    check.at(page, "calibration")
    names = ("nll", "brier", "ece", "equal mass", "class-wise")
    _, *rows = next(markdown_tables(parts["Calibration"]))
    for name, row in zip(names, rows, strict=True):
        for scaling, cell in zip(("before", "after"), row[1:], strict=True):
            *interval, error = own.measure(name, scaling)
            scale = 1 if name in ("nll", "brier") else 100
            check.interval(f"{row[0]}, {scaling}", cell, interval, scale, ERRORS * error)
    found = re.search(r"(?:All [\d,]+ validation|The temperature, ).*", parts["Calibration"])
    fit_of(check, "the temperature", found[0] if found else "", run)
    sure = own.confidence("after") >= 0.9
    printed = re.search(r"more for ([\d,]+) of the", parts["Calibration"])
    check.number("confident", printed[1] if printed else "", sure.sum() or math.nan)
    if sure.any() and (found := re.search(r"those is\s+(.+?\))", parts["Calibration"], re.DOTALL)):
        check.interval(
            "accuracy of the confident", found[1], wilson(correct[sure].sum(), sure.sum())
        )

    check.at(page, "robustness")
    card_robustness(check, parts["Robustness"], run)
    check.at(page, "errors")
    card_errors(check, parts["Failure modes"], run)
    check.at(page, "counts")
    card_counts(check, parts, run, records)


def card_classes(check: Comparison, table: list[list[str]], run: Run) -> None:
    matrix = run.counts
    for i, (row, name) in enumerate(zip(table[1:], run.dataset["classes"], strict=True)):
        total, times = matrix[i].sum(), matrix[:, i].sum()
        if total:
            check.interval(f"{name}, accuracy", row[1], wilson(matrix[i, i], total))
        if times:
            check.number(f"{name}, precision", row[2], 100 * matrix[i, i] / times)
        else:
            check.text(f"{name}, precision", row[2], "not predicted")
        check.number(f"{name}, n", row[3], total)


def card_robustness(check: Comparison, text: str, run: Run) -> None:
    tables = {table[0][0]: table for table in markdown_tables(text)}
    number = re.search(r"Accuracy on ([\d,]+) test pictures? whose", text)
    if (
        "ε" in tables
        and run.attacks is not None
        and run.attacks["n"].iloc[0] == int(number[1].replace(",", ""))
    ):
        head, *rows = tables["ε"]
        for row in rows:
            step = float(row[0].partition("/")[0])
            for heading, cell in zip(head[1:], row[1:], strict=True):
                expected = attack_at(run, heading.lower(), step)
                check.interval(f"{heading} at {row[0]}", cell, expected)
        clean = re.search(r"attack it is\s+(.+?\))", text, re.DOTALL)
        check.interval("without attack", clean[1], attack_at(run, "pgd", 0))
    if "Corruption" in tables:
        head, *rows = tables["Corruption"]
        pictures = int(re.search(r"on\s+([\d,]+) test pictures?; the", text)[1].replace(",", ""))
        for row in rows:
            check.text(f"cells of {row[0]}", len(row), len(head))
            for severity, cell in enumerate(row[1:]):
                share = float(cell.partition(" ")[0]) / 100
                nearest = round(share * pictures) / pictures
                check.number(f"{row[0]}, column {severity + 1}", cell, 100 * nearest)


def card_errors(check: Comparison, text: str, run: Run) -> None:
    wrong, total, classes = ~run.correct(), len(run.correct()), run.dataset["classes"]
    if not wrong.any():
        check.text("errors", "misclassifies none" in text, True)
        return
    printed = re.search(r"misclassifies ([\d,]+) of the ([\d,]+)", text)
    check.number("errors", printed[1], wrong.sum())
    check.number("pictures", printed[2], total)
    matrix, sums = run.counts, run.counts.sum(axis=1)
    lowest = min(m / s for m, s in zip(matrix.diagonal(), sums, strict=True) if s)
    among = {
        classes[i]: i for i in range(len(classes)) if sums[i] and matrix[i, i] / sums[i] == lowest
    }
    printed = re.search(r"lowest accuracy is\s+(.+?): (.+?\))", text, re.DOTALL)
    named = printed[1] if printed else "none" if "No class is significantly less" in text else ""
    check.text("lowest class", named in {*among, "none"}, True)
    if printed and named in among:
        i = among[named]
        check.interval("lowest class", printed[2], wilson(matrix[i, i], sums[i]))
    pairs, confident = markdown_tables(text)
    for row, (_, a, b, ab, ba) in zip(pairs[1:], confused(run), strict=False):
        expected = [f"{classes[a]} → {classes[b]}", f"{ab:,}", f"{ba:,}"]
        check.text(f"pair {row[0]}", row, expected)
    confidence = run.calibration.confidence("after")
    printed = re.search(r"([\d,]+) of these errors", text)
    check.number("confident errors", printed[1], (confidence[wrong] >= 0.9).sum())
    order = sorted(np.flatnonzero(wrong), key=lambda i: -confidence[i])
    for row, i in zip(confident[1:], order, strict=False):
        check.number(f"confidence of {row[0]}", row[2].lstrip("> "), 100 * confidence[i], 0.05)


def card_counts(check: Comparison, parts: dict[str, str], run: Run, records: Records) -> None:
    sizes, size = run.dataset["pictures"], len(run.dataset["classes"])
    _, *rows = next(markdown_tables(parts["Data"]))
    for row in rows:
        check.number(f"{row[0]} pictures", row[1], sizes[row[0]])
        if row[0] != "train":  # the records hold no training labels
            counts = np.bincount(run.labels(row[0]), minlength=size)
            ends = sorted({int(counts.min()), int(counts.max())})
            check.text(f"{row[0]} per class", row[2], "–".join(f"{end:,}" for end in ends))
    accuracy = wilson(run.correct().sum(), len(run.correct()))
    text = parts["Limitations"]
    printed = re.search(r"interval of\s+([\d.]+) percentage", text)
    check.number("width of the interval", printed[1], 100 * (accuracy[2] - accuracy[1]))
    printed = re.search(r"accuracy on them, ([\d.]+) %", text)
    check.number("validation accuracy", printed[1], 100 * run.correct("val").mean())
    if found := re.search(
        r"Of ([\d,]+) runs that differ.*?between ([\d.]+) % and\s+([\d.]+) %", text, re.DOTALL
    ):
        same = [
            other.correct().mean()
            for other in records.all
            if {**other.recipe, "seed": 0} == {**run.recipe, "seed": 0}
            and other.dataset["fingerprint"] == run.dataset["fingerprint"]
        ]
        check.number("runs of the recipe", found[1], len(same))
        check.number("lowest seed", found[2], 100 * min(same))
        check.number("highest seed", found[3], 100 * max(same))


DAYS = {
    **{"home": home, "day1_augmentations": day1, "day2_from_scratch": day2},
    **{"day3_transfer": day3, "day4_diagnostics": day4, "day5_artifacts": day5},
}


def recount(study: Path, runs: Path, only: str = "") -> Comparison:
    """Compare all pages that the study has, or only the one of that name."""
    check, records = Comparison(), Records(runs)
    for name, compare in DAYS.items():
        if only in ("", name) and (study / f"{name}.ipynb").exists():
            page = Page(study / f"{name}.ipynb")
            for part in (compare, tables_of_runs, charts_of_settings):
                with _lookups(check):
                    part(check, page, records)
    if only in ("", "model_card") and (study / "model_card.md").exists():
        with _lookups(check):
            card(check, study / "model_card.md", records)
    return check


@contextmanager
def _lookups(check: Comparison) -> Iterator[None]:
    """What is not found on a page, or is not what it should be, is a disagreement."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, StopIteration) as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno
        check.missing(f"{type(error).__name__}: {error} (line {line} of {Path(__file__).name})")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", type=Path, help="the study's folder")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: runs")
    parser.add_argument("--only", default="", metavar="PAGE", help="such as day4_diagnostics")
    given = parser.parse_args(arguments)
    check = recount(given.study, given.runs.absolute(), given.only)
    for (page, group), number in check.count.items():
        print(f"{page}, {group}: {number:,} compared")
    for line in check.wrong:
        print(f"DISAGREES: {line}")
    total = sum(check.count.values())
    print(f"{total:,} figures compared, {len(check.wrong):,} disagree")
    return 1 if check.wrong or not total else 0


if __name__ == "__main__":
    sys.exit(main())
