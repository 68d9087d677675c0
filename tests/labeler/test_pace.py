import pytest

from labeler.pace import Pace, duration


def test_no_pace_before_the_fifth_label():
    pace = Pace()
    for second in range(4):
        pace.add(second)
    assert pace.per_minute() is None
    assert pace.describe(100) == ""
    pace.add(4)
    assert pace.per_minute() == 60


def test_breaks_are_left_out():
    pace = Pace()
    for second in (0, 1, 2, 1000, 1001, 1002):
        pace.add(second)
    assert pace.per_minute() == pytest.approx(60 * 5 / (4 + 15))


def test_only_the_last_labels_count():
    pace = Pace(labels=6)
    for second in (0, 10, 20, 30, 40, 50, 50.5, 51, 51.5, 52, 52.5):
        pace.add(second)
    assert pace.per_minute() == 120


def test_pace_and_time_left_in_words():
    pace = Pace()
    for number in range(10):
        pace.add(number / 2)
    assert pace.describe(120 * 90) == "120 per minute · 1 h 30 min left"
    assert pace.describe(0) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "under a minute"), (59, "under a minute"), (61, "1 min"), (3570, "1 h"), (7200, "2 h")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
