"""Sentences on a model's calibration, which days 4 and 5 and the model card share."""

from lib.diagnosis.calibration import Calibration
from lib.intervals import CalibratedReference
from lib.pages.wording import count, per_cent


def calibration_sentence(scaled: Calibration, name: str) -> str:
    """In which direction the confidence was off, and what temperature scaling does to it."""
    confidence, accuracy = scaled.means("before")
    off = "neither clearly over- nor under-confident"
    if scaled.excess.clear:
        off = "over-confident" if scaled.excess.value > 0 else "under-confident"
    change = "raises" if scaled.temperature < 1 else "lowers"
    side = "below" if scaled.temperature < 1 else "above"
    before, after = scaled.metric("ece", "before"), scaled.metric("ece", "after")
    chance = reference_words(scaled.reference, int(scaled.metrics["n"].iloc[0]))
    nll = format(scaled.change("nll"), "+.3f").replace("-", "\N{MINUS SIGN}")
    return (
        f"Before scaling, the model ({name}) is {off}: mean confidence {per_cent(confidence)}, "
        f"accuracy {per_cent(accuracy)}. A temperature of {scaled.temperature:.2f}, {side} 1, "
        f"{change} the confidence; it changes the negative log-likelihood by {nll}. "
        f"Expected calibration error: {before} before, {after} after; {chance}."
    )


def temperature_sentence(scaled: Calibration) -> str:
    """What the temperature was fitted on, and what that is worth."""
    return fit_words(scaled.temperature, scaled.fitted_on, scaled.faultless)


def fit_words(temperature: float, pictures: int, faultless: bool) -> str:
    """What a temperature is worth that was fitted on so many validation pictures."""
    if faultless:
        return (
            f"All {count(pictures, 'validation picture')} are predicted correctly, so they do not "
            f"determine a temperature: {temperature:.2f} is what one expected error in "
            f"{pictures + 2:,} gives (Platt, 1999)."
        )
    return (
        f"The temperature, {temperature:.2f}, is fitted on the "
        f"{count(pictures, 'validation picture')} that also chose the epoch and the recipe: their "
        "accuracy is too optimistic, and the confidence may be left somewhat too high."
    )


def reference_words(reference: CalibratedReference, pictures: int) -> str:
    """What calibration error a calibrated model would show on as many pictures."""
    words = (
        f"a perfectly calibrated model would show {per_cent(reference.mean)} on "
        f"{count(pictures, 'picture')}, at most {per_cent(reference.high)} in 95 of 100 cases"
    )
    return f"{words}, so the rest is more than chance" if reference.told_apart else words
