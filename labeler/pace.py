"""How fast does it go, and how long will the rest take?"""

from collections import deque
from itertools import pairwise

PAUSE = 15.0  # seconds; a longer interval is somebody looking away, not a slow label
FEWEST = 5  # labels before a pace is worth showing


class Pace:
    """The pace of the last labels, breaks left out."""

    def __init__(self, over: int = 40) -> None:
        self._times: deque[float] = deque(maxlen=over)

    def add(self, now: float) -> None:
        """Note a label given at this time (seconds on any clock)."""
        self._times.append(now)

    def per_minute(self) -> float | None:
        """Labels a minute, None before there are enough to tell."""
        if len(self._times) < FEWEST:
            return None
        times = list(self._times)
        spent = sum(min(b - a, PAUSE) for a, b in pairwise(times))
        return 60 * (len(times) - 1) / max(spent, 1e-3)

    def describe(self, left: int) -> str:
        """The pace and what remains of `left` pictures, for the end of the progress bar."""
        pace = self.per_minute()
        if pace is None or not left:
            return ""
        return f"{pace:,.0f} a minute · {duration(60 * left / pace)} left"


def duration(seconds: float) -> str:
    """A time as one says it: `under a minute`, `12 min`, `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
