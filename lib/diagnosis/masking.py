"""Whether a network's gradients mislead the attacks on it, so that it seems robust.

The signs of gradient masking are those of Athalye et al., "Obfuscated Gradients Give a False Sense
of Security" (ICML 2018): one step of FGSM beats the many of PGD, random search beats PGD, or
accuracy does not fall to 0 as epsilon grows.
"""

import math
from collections.abc import Iterable

import pandas as pd

from lib.diagnosis.robustness import COUNTS, TRIES
from lib.intervals import mcnemar
from lib.multiplicity import holm

LEVEL = 0.05
NEAR_ZERO = 0.01  # accuracy under the strongest attack that counts as fallen to 0


def gradient_masking_check(table: pd.DataFrame) -> str:
    """What was found of the signs of gradient masking, in sentences with counts.

    The two attacks are compared on the same pictures: McNemar's exact test for each epsilon, with
    Holm's correction for their number.

    Parameters
    ----------
    table : of `accuracy_under_attacks`; one that was stored without its counts gives a sentence
        that says so

    Raises
    ------
    ValueError   if the two attacks have no epsilon above 0 in common
    """
    steps = [
        set(table.loc[(table["attack"] == attack) & (table["epsilon"] > 0), "epsilon"])
        for attack in ("fgsm", "pgd")
    ]
    both = steps[0] & steps[1]
    if not both:
        raise ValueError("the table holds no epsilon that both fgsm and pgd were run with")
    rows = table[(table["attack"] == "pgd") & table["epsilon"].isin(both)].sort_values("epsilon")
    if not {*COUNTS} <= {*table.columns} or rows[[*COUNTS]].isna().any(axis=None):
        return (
            "Whether gradients are masked is not known: it was not counted which pictures one "
            "attack alone fools. Measure the attacks again."
        )
    return f"{_fgsm_against_pgd(rows)} {_noise_against_pgd(rows)} {_at_the_end(rows)}"


def _fgsm_against_pgd(rows: pd.DataFrame) -> str:
    by_fgsm, by_pgd = ([int(x) for x in rows[name]] for name in COUNTS[:2])
    adjusted = holm([mcnemar(*pair) for pair in zip(by_fgsm, by_pgd, strict=True)])
    weaker = [
        (step, one, other)
        for step, one, other, p in zip(rows["epsilon_255"], by_fgsm, by_pgd, adjusted, strict=True)
        if one > other and p < LEVEL
    ]
    total = _pictures(rows["n"].iloc[0])
    if weaker:
        where = "; ".join(
            f"ε = {step:.3g}/255 ({_pictures(one)} fooled by FGSM alone, {other} by PGD alone)"
            for step, one, other in weaker
        )
        return (
            f"On {total}, PGD is significantly weaker than FGSM at {where}: a sign of gradient "
            "masking; the measured robustness is not reliable."
        )
    return (
        f"PGD is nowhere significantly weaker than FGSM: at {_steps(rows)}, of {total} FGSM alone "
        f"fools {_row(by_fgsm)}, PGD alone {_row(by_pgd)}. Fewer than {_fewest_seen(len(rows))} "
        "fooled by FGSM alone at one ε could not have been seen."
    )


def _fewest_seen(tests: int) -> int:
    """How many pictures, all fooled by one attack alone, McNemar's test sees among so many."""
    return math.ceil(1 + math.log2(tests / LEVEL))


def _noise_against_pgd(rows: pd.DataFrame) -> str:
    counts = [int(count) for count in rows["noise_not_pgd"]]
    search = f"Random search ({TRIES['noise']} draws of sign noise per picture and ε)"
    if not any(counts):
        return f"{search} fools no picture that PGD does not."
    return (
        f"{search} fools {_row(counts)} pictures at {_steps(rows)} that PGD does not: a further "
        "sign of gradient masking."
    )


def _at_the_end(rows: pd.DataFrame) -> str:
    last = rows.iloc[-1]
    accuracy = f"{last['accuracy']:.1%}".replace("%", "\N{NO-BREAK SPACE}%")
    where = f"at ε = {last['epsilon_255']:.3g}/255"
    if last["accuracy"] <= NEAR_ZERO:
        return f"Accuracy under PGD falls to {accuracy} {where}, as it must where ε is large."
    return (
        f"Accuracy under PGD is {accuracy} {where}; whether it falls to 0, as it must where ε is "
        "large, was not seen."
    )


def _pictures(number: float) -> str:
    return f"{int(number):,} picture" + ("" if number == 1 else "s")


def _steps(rows: pd.DataFrame) -> str:
    return f"ε = {_row([f'{step:.3g}' for step in rows['epsilon_255']])}/255"


def _row(values: Iterable[object]) -> str:
    """`1, 2 and 4`."""
    *others, last = map(str, values)
    return f"{', '.join(others)} and {last}" if others else last
