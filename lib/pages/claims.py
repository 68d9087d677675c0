"""Chart titles and findings that claim only significant differences.

Groups of runs are compared over their seeds, on the same test pictures. Validation decides which
group is the best and which the second, so that the test pictures of that comparison chose nothing;
the two are compared at 5 % by Welch's t-test (1947). What all have in common to be compared with,
such as no augmentation or the head alone, is compared with each by the same test and Holm's
correction (1979): Dunnett's would take spreads as one that differ tenfold between settings. An end
of a ranking is named if it differs from its neighbour, which needs no correction for having been
picked (Gutmann & Maymin 1987; Hung & Fithian 2019). Where nothing is significant, a finding says
how large a difference could have been seen.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from lib.intervals import Interval, accuracy_interval, difference_interval, differs
from lib.multiplicity import clear_differences
from lib.pages.palette import label
from lib.pages.wording import (
    count,
    display_name,
    duration,
    listed,
    per_cent,
    plural,
    points,
    signed,
    span,
    unseen,
)

Groups = Mapping[str, NDArray[np.float64]]
LEVEL = 0.05  # of the test behind a claim
REFERENCES = {label(name) for name in ("none", "random_weights", "head")}  # compared with others


def groups_of(
    table: pd.DataFrame, by: str, value: str, decided_by: str = ""
) -> dict[str, NDArray[np.float64]]:
    """The values of every group, best mean first; runs without a value are left out.

    `decided_by` is the column whose mean tells which group is the best; empty: `value` itself.
    """
    present = table.dropna(subset=[value])
    parts = {display_name(by, name): part for name, part in present.groupby(by, sort=False)}
    order = sorted(parts, key=lambda name: -parts[name][decided_by or value].mean())
    return {name: parts[name][value].to_numpy(dtype=float) for name in order}


def seeds_of(groups: Groups) -> str:
    """How many seeds stand behind each group."""
    return span([len(values) for values in groups.values()], "seed")


def repeated(groups: Groups) -> bool:
    """Whether any setting was trained with more than one seed."""
    return any(len(values) > 1 for values in groups.values())


def spread_of(counts: Iterable[int], interval: str) -> str:
    """What `lib.intervals.mean_accuracy` gives for settings of so many seeds: `its {interval}`.

    `counts` are the settings' numbers of seeds; of two seeds there is a range and no interval.
    """
    several = {int(count) for count in counts}
    if several == {2}:
        return "the range of the two seeds"
    return f"its {interval}" + (" (of two seeds their range)" if 2 in several else "")


def comparison(groups: Groups) -> str | None:
    """What is significant: how the first group differs from the second, and who from the reference.

    Parameters
    ----------
    groups : test accuracies over seeds (N,), the best by validation first
    """
    if len(groups) < 2 or any(len(values) < 2 for values in groups.values()):
        return None
    best, second = list(groups)[:2]
    lead = difference_interval(groups[best], groups[second])
    parts = []
    for reference in REFERENCES & groups.keys():
        decided = {best: second, second: best}.get(reference)  # by the lead
        apart = [
            f"{name} by {_by(gap)}"
            for name, gap in from_reference(groups, reference).items()
            if name != decided
        ]
        if apart:
            each = listed(apart, len(apart))
            parts.append(f"significantly different from {reference}: {each}")
    if lead.clear:
        parts.insert(0, f"{_first(groups)}, {_side(lead)} {second}, the second on validation")
    elif parts:
        parts.insert(0, f"{_first(groups)}, not significantly different from {second}")
    return "; ".join(parts) or None


def from_reference(groups: Groups, reference: str) -> dict[str, Interval]:
    """The groups that differ from the reference, and by how much: see `clear_differences`."""
    control = groups[reference]
    others = {name: (values, control) for name, values in groups.items() if name != reference}
    return clear_differences(others, 1 - LEVEL)


def _first(groups: Groups) -> str:
    best, values = next(iter(groups.items()))
    return f"Best on validation: {best}, test accuracy {per_cent(float(values.mean()))}"


def size_of(gap: Interval) -> str:
    """`3.1 percentage points (0.4 to 5.8)`; which way the difference goes is said beside it."""
    least, most = sorted((abs(gap.low), abs(gap.high)))
    return f"{points(gap.value)} ({100 * least:.1f} to {100 * most:.1f})"


def _side(lead: Interval) -> str:
    """`3.1 percentage points (0.4 to 5.8) above`."""
    return f"{size_of(lead)} {'above' if lead.low > 0 else 'below'}"


def _by(gap: Interval) -> str:
    """`3.1 percentage points (0.4 to 5.8)`, of a loss with minus signs."""
    size = points(gap.value)
    sign = "\N{MINUS SIGN}" if gap.value < 0 else ""
    return f"{sign}{size} ({signed(gap.low)} to {signed(gap.high)})"


def comparison_finding(table: pd.DataFrame, by: str) -> str:
    """What a comparison comes to, in a sentence that stands alone.

    Parameters
    ----------
    table : `by`, val_accuracy, test_accuracy; one row per run
    """
    groups = groups_of(table, by, "test_accuracy", decided_by="val_accuracy")
    if result := comparison(groups):
        return f"{result}."
    if any(len(values) < 2 for values in groups.values()):
        return "Trained with one seed only: differences may be due to chance."
    best, values = next(iter(groups.items()))
    mean = per_cent(float(values.mean()))
    text = f"No significant difference between {plural(by)} in test accuracy"
    if len(groups) < 2:
        return f"{text}."
    text += f" (best on validation: {best}, {mean} on test)"
    _, second, *_ = groups.values()
    gap = difference_interval(values, second)
    if not gap.high > gap.low:
        return f"{text}."
    return f"{text}; {unseen((gap.high - gap.low) / 2, 'lead')}."


@dataclass(frozen=True)
class Ends:
    """The rows of lowest and of highest accuracy, as far as they differ from their neighbours."""

    lowest: pd.Series | None = None
    highest: pd.Series | None = None

    def title(self, column: str) -> str:
        """`Lowest accuracy: cat, 77.7 %; highest: ship, 95.5 %`; empty if neither end differs.

        `column` has the rows' names.
        """
        ends = (("lowest", self.lowest), ("highest", self.highest))
        parts = [
            f"{name}: {row[column]}, {per_cent(row['accuracy'])}"
            for name, row in ends
            if row is not None
        ]
        if not parts:
            return ""
        first = parts[0].replace(":", " accuracy:", 1)
        return "; ".join([first[:1].upper() + first[1:], *parts[1:]])


def extremes(table: pd.DataFrame) -> Ends:
    """The rows (accuracy, n) of lowest and highest accuracy that differ from their neighbours."""
    known = table.dropna(subset=["accuracy"]).sort_values("accuracy", kind="stable")
    if len(known) < 2:
        return Ends()
    rows = [row for _, row in known.iterrows()]
    intervals = [accuracy_interval(round(r["accuracy"] * r["n"]), int(r["n"])) for r in rows]
    return Ends(
        rows[0] if differs(intervals[0], intervals[1]) else None,
        rows[-1] if differs(intervals[-1], intervals[-2]) else None,
    )


def smallest_visible(table: pd.DataFrame) -> float:
    """The difference of two rows (accuracy, n) below which none would be significant, about."""
    known = table.dropna(subset=["accuracy"])
    pictures = int(known["n"].median())
    middle = accuracy_interval(round(known["accuracy"].mean() * pictures), pictures)
    return float((middle - middle).high)


def time_title(table: pd.DataFrame) -> str:
    """The most accurate row of label, seconds, accuracy, low, high, or a faster one equal to it.

    Equal means not significantly different, and not below the best's interval: a row that is known
    too badly to differ from anything is no match for the best. With a column `seeds`, accuracies
    are means over so many; where two stand behind one, low and high are a range, which claims
    nothing.
    """
    neutral = "Accuracy against training time"
    if len(table) < 2 or table[["low", "high"]].isna().any(axis=None):
        return neutral
    if "seeds" in table and (table["seeds"] == 2).any():
        return neutral  # a range tells no noise
    rows = table.to_dict("index")
    intervals = {key: Interval.of(row) for key, row in rows.items()}
    best = table["accuracy"].idxmax()
    equals = [
        key
        for key, interval in intervals.items()
        if interval.value >= intervals[best].low and not differs(interval, intervals[best])
    ]
    quickest = table.loc[equals, "seconds"].idxmin()
    row = rows[quickest]
    if quickest != best:
        ratio = rows[best]["seconds"] / row["seconds"]
        if ratio < 1.2:
            return neutral
        return (
            f"{row['label']} trains {ratio:.1f} times faster than the most accurate setting; "
            "accuracy not significantly different"
        )
    if len(equals) > 1:
        return neutral
    seeds = int(row.get("seeds", 1))
    accuracy = "Best mean test accuracy" if seeds > 1 else "Best test accuracy"
    behind = f"{count(seeds, 'seed')}, {duration(row['seconds'])} of training"
    return f"{accuracy}: {row['label']}, {per_cent(row['accuracy'])} ({behind})"


# Parts of one network's predictions


def stands_out(pairs: pd.DataFrame) -> bool:
    """Whether the first pair of classes has significantly more errors than the second.

    `pairs` are of `lib.diagnosis.mistakes.most_confused`.

    By an exact binomial test of the winner against the runner-up, which is valid although the
    winner was picked by its count (Hung & Fithian, "Rank verification", 2019).
    """
    first, second = (int(errors) for errors in [*pairs["errors"].head(2), 0, 0][:2])
    return first > 0 and bool(stats.binomtest(first, first + second).pvalue < LEVEL)


def shares_differ(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether two parts without a picture in common differ in their share of correct ones.

    By Fisher's exact test (1935).

    Parameters
    ----------
    first, second : of each part, how many are correct and how many there are
    """
    counts = [[correct, total - correct] for correct, total in (first, second)]
    return min(first[1], second[1]) > 0 and bool(stats.fisher_exact(counts).pvalue < LEVEL)


def changes(table: pd.DataFrame) -> dict[str, int]:
    """By metric: -1 if it is significantly lowered, 1 if it is raised so, otherwise 0.

    Columns: metric, low, high (of the change, on the same pictures).
    """
    rows = table.to_dict("records")
    return {row["metric"]: int(row["low"] > 0) - int(row["high"] < 0) for row in rows}
