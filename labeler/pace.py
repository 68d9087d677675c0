"""Labels per minute, and the time that the remaining pictures will take."""

from collections import deque
from itertools import pairwise

PAUSE = 15.0  # seconds; a longer interval counts as a break of this length
FEWEST = 5  # labels before a pace is shown


class Pace:
    """The pace of the last labels, without breaks.

    Parameters
    ----------
    labels : int   number of last labels that count
    """

    def __init__(self, labels: int = 40) -> None:
        self._times: deque[float] = deque(maxlen=labels)

    def add(self, now: float) -> None:
        """Count a label at this time (in seconds of any clock)."""
        self._times.append(now)

    def per_minute(self) -> float | None:
        """Labels per minute, None for fewer than `FEWEST` labels."""
        if len(self._times) < FEWEST:
            return None
        times = list(self._times)
        elapsed = sum(min(b - a, PAUSE) for a, b in pairwise(times))
        return 60 * (len(times) - 1) / max(elapsed, 1e-3)

    def describe(self, left: int) -> str:
        """The pace and the time left for `left` pictures, shown beside the progress bar."""
        pace = self.per_minute()
        if pace is None or not left:
            return ""
        return f"{pace:,.0f} per minute · {duration(60 * left / pace)} left"


def duration(seconds: float) -> str:
    """A duration in words: `under a minute`, `12 min`, `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
