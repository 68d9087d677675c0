"""Whether a sender or a reader is too slow to wait for.

A flat limit of time refuses a large body on a slow line, and grants the same time to a client that
sends nothing. A pace asks for progress instead.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """The slowest pace that is waited for."""

    bytes_per_second: float = 2_000.0  # a modem's
    grace: float = 5.0  # seconds at the beginning that do not count
    stall: float = 10.0  # seconds without any byte, however fast it was before

    def too_slow(self, received: int, seconds: float, silent: float = 0.0) -> bool:
        """Whether to give up.

        Parameters
        ----------
        received : int    bytes so far
        seconds : float   since the beginning
        silent : float    seconds since the last byte
        """
        return silent >= self.stall or seconds > self.allowed(received)

    def allowed(self, received: int) -> float:
        """Seconds from the beginning after which a sender of so many bytes is too slow."""
        return self.grace + received / self.bytes_per_second

    def patience(self, received: int, seconds: float) -> float:
        """Seconds to wait for the next byte at most, for a time-out around one `receive`."""
        return max(0.0, min(self.stall, self.allowed(received) - seconds))
