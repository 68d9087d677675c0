"""How fast the bytes of large messages are read.

Reading costs the event loop time for every megabyte, whatever becomes of it: also what belongs to a
request that was refused has to be read, or its client would not see why. So large messages share a
rate, and what they leave of the loop's time is for the others.
"""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl


class Rate:
    """A rate that connections share: each rests after its bytes as long as these take."""

    def __init__(self, bytes_per_second: float) -> None:
        self._bytes_per_second = bytes_per_second
        self._free_at = 0.0

    def rest(self, size: int, now: float) -> float:
        """Seconds to rest after `size` bytes that have come at `now`."""
        self._free_at = max(now, self._free_at) + size / self._bytes_per_second
        return self._free_at - now


class Flow(FlowControl):
    """uvicorn's control of one connection, which can also rest from reading for a while."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._rests = False
        self._resumes = False  # as soon as it does not rest any more

    def rest(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        if self._rests:
            return
        self._resumes = not self.read_paused
        super().pause_reading()
        self._rests = True
        loop.call_later(seconds, self._end_rest)

    def pause_reading(self) -> None:
        self._resumes = False
        super().pause_reading()

    def resume_reading(self) -> None:
        self._resumes = True
        if not self._rests:
            super().resume_reading()

    def _end_rest(self) -> None:
        self._rests = False
        if self._resumes and not self._transport.is_closing():
            super().resume_reading()
