"""Numbers and names as pages write them."""

from collections.abc import Hashable, Iterable, Sequence
from numbers import Real

from lib.pages.palette import label

NO_BREAK = "\N{NO-BREAK SPACE}"


def per_cent(share: float, digits: int = 1) -> str:
    """0.9312 as `93.1 %`, with a space that doesn't break."""
    return f"{share:.{digits}%}".replace("%", f"{NO_BREAK}%")


def points(difference: float) -> str:
    """A difference of proportions, as `3.1 percentage points`; small ones get a second digit."""
    size = abs(difference) * 100
    return f"{size:.1f} percentage points" if size >= 0.95 else f"{size:.2f} percentage points"


def signed(difference: float) -> str:
    """A difference of proportions in percentage points, as `+3.1` or `−0.4`."""
    return f"{difference * 100:+.1f}".replace("-", "\N{MINUS SIGN}")


def unseen(difference: float, noun: str) -> str:
    """How large a difference of accuracies must be to be seen, or that none could be.

    `a lead of less than 3.1 percentage points could not be seen`, of the noun `lead`; two seeds
    may tell so little that no two accuracies are far enough apart: `no lead could be seen`.
    """
    if difference >= 1:
        return f"no {noun} could be seen"
    return f"a {noun} of less than {points(difference)} could not be seen"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 seed`, `3 seeds`, `10,000 pictures`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """`a`, `a and b`, `a, b and c`; of more than `most` the first, and how many more."""
    shown = [*names[:most], *([f"{len(names) - most:,} more"] if len(names) > most else [])]
    return " and ".join([*([", ".join(shown[:-1])] if shown[1:] else []), *shown[-1:]])


def left_out(skipped: Sequence[str], passed_over: Sequence[str]) -> list[str]:
    """Sentences on what a folder holds and a study doesn't use; none where it uses all.

    Parameters
    ----------
    skipped : ids of pictures that cannot be read
    passed_over : `Dataset.left_out`, a line for each reason
    """
    unreadable = f"{count(len(skipped), 'unreadable picture')} left out: {listed(skipped)}."
    return [*([unreadable] if skipped else []), *(f"Passed over: {one}." for one in passed_over)]


def split_sizes(train: int, val: int, test: int, used: int) -> str:
    """How many pictures each split holds, in a sentence.

    Parameters
    ----------
    train, val, test : int   the pictures of each split
    used : int               how many of train this notebook trains on
    """
    text = (
        f"{count(train, 'picture')} for training, {val:,} for validation and {test:,} for the test"
    )
    return f"{text}." if used == train else f"{text}; this notebook trains on {used:,}."


HEADINGS = {  # of columns whose names are not a reader's words
    "run_id": "Run",
    "val_accuracy": "Validation accuracy",
    "val_loss": "Validation loss",
    "train_accuracy": "Training accuracy",
    "train_loss": "Training loss",
    "seconds": "Training time (s)",
    "images_per_second": "Pictures per second",
    "seconds_per_step": "Seconds per step",
    "peak_memory_mib": "Peak memory (MiB)",
    "taken": "Used in training",
    "lr": "Learning rate",
    "n": "Pictures",
    "trainable": "Trainable parameters",
    "total": "All parameters",
    "epochs_to_target": "Epochs to target",
    "seconds_to_target": "Seconds to target",
    "reached_by": "Target reached by",
    "source": "Backbone weights",
    "class_a": "Class A",
    "class_b": "Class B",
    "a_as_b": "A predicted as B",
    "b_as_a": "B predicted as A",
    "share_of_both": "Share of A and B",
    "epsilon_255": "ε (in 1/255)",
}
PLURALS = {  # of what settings differ in, where it is not the name and an s
    "strategy": "fine-tuning strategies",
    "source": "backbone weights",
    "label_smoothing": "amounts of label smoothing",
    "regularisation": "combinations of label smoothing and weight decay",
}


def axis_title(column: str) -> str:
    """A column's name as an axis or a table's head shows it."""
    words = column.replace("_", " ")
    return HEADINGS.get(column, words[:1].upper() + words[1:])


def plural(column: str) -> str:
    """What several settings that differ in `column` are: `augmentations`."""
    return PLURALS.get(column, column.replace("_", " ") + "s")


def display_name(column: str, value: Hashable) -> str:
    """A column's value as a page writes it: `MixUp`, and for a number what it is of."""
    if isinstance(value, Real):
        return f"{column.replace('_', ' ')} {value:g}"
    return label(value)


def corruption(name: str) -> str:
    """`gaussian_noise` as `Gaussian noise`, `jpeg` as `JPEG`."""
    return name.replace("_", " ").replace("gaussian", "Gaussian").replace("jpeg", "JPEG")


def span(numbers: Iterable[int], noun: str) -> str:
    """`3 seeds`, `2 to 3 seeds`; of no numbers, `0 seeds`."""
    ends = sorted(set(numbers)) or [0]
    upper = count(int(ends[-1]), noun)
    return upper if len(ends) == 1 else f"{ends[0]:,} to {upper}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"


def as_one_word(text: str) -> str:
    """The text as one word, for a narrow column."""
    joined = text.replace("–", "\N{WORD JOINER}–\N{WORD JOINER}")
    return joined.replace(" ", "\N{NO-BREAK SPACE}")


def file_size(length: int) -> str:
    """`812 bytes`, `4.1 kB`, `44.7 MB`."""
    if length < 1000:
        return count(length, "byte")
    return f"{length / 1e3:.1f} kB" if length < 1e6 else f"{length / 1e6:.1f} MB"
