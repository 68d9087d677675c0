import numpy as np

from lib.diagnosis.calibration import calibrate
from lib.study import calibration_words


def test_calibration_is_told_with_its_direction():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    logits = np.eye(3)[labels] * 0.5 + rng.normal(0, 0.1, (600, 3))  # right, with little confidence
    sentence = calibration_words.calibration_sentence(
        calibrate(logits, labels, logits, labels), "net"
    )
    assert sentence.startswith(
        "Before scaling, the model (net) is under-confident: mean confidence "
    )
    assert (
        ", below 1, raises the confidence; it changes the negative log-likelihood by −" in sentence
    )


def test_a_temperature_is_told_with_what_it_was_fitted_on():
    labels = np.arange(60) % 3
    certain = np.eye(3)[labels] * 2
    sentence = calibration_words.temperature_sentence(calibrate(certain, labels, certain, labels))
    assert sentence.startswith("All 60 validation pictures are predicted correctly, so they do not")
    assert "one expected error in 62 gives" in sentence

    certain[0] = [0, 2, 0]
    scaled = calibrate(certain, labels, certain, labels)
    sentence = calibration_words.temperature_sentence(scaled)
    assert sentence.startswith(
        f"The temperature, {scaled.temperature:.2f}, is fitted on the 60 val"
    )
    assert "also chose the epoch and the recipe" in sentence
