"""Who is too slow to wait for."""

import pytest

from api.pace import Pace


@pytest.mark.parametrize(
    ("received", "seconds", "silent", "gives_up"),
    [
        (0, 4.9, 4.9, False),  # within the grace
        (0, 5.1, 5.1, True),
        (10_000, 9.9, 0, False),  # 2 kB/s after the grace
        (10_000, 10.1, 0, True),
        (64_000_000, 200, 9.9, False),
        (64_000_000, 200, 10, True),  # fast before, and silent now
        (400_000, 204, 0, False),  # a slow sender that goes on
    ],
)
def test_a_sender_must_keep_the_pace_and_never_stop_for_long(received, seconds, silent, gives_up):
    assert Pace().too_slow(received, seconds, silent) is gives_up


def test_patience_ends_when_the_sender_would_be_too_slow():
    pace = Pace()
    assert pace.patience(0, 0) == 5
    assert pace.patience(0, 4) == 1
    assert pace.patience(0, 6) == 0
    assert pace.patience(64_000_000, 15) == 10
    for received, seconds in [(0, 0), (0, 4), (10_000, 3)]:
        wait = pace.patience(received, seconds)
        assert not pace.too_slow(received, seconds + wait - 0.01, wait - 0.01)
        assert pace.too_slow(received, seconds + wait + 0.01, wait + 0.01)
