"""What ends the work on a request from outside: a time limit, or a client that has gone."""

import asyncio
from types import TracebackType
from typing import Self

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message


class Interruption:
    """A block that `interrupt` ends with an error.

    The block must belong to one task. As with `asyncio.timeout`, the task is cancelled, and at the
    end of the block the cancellation becomes the error, unless somebody else cancelled it too.

    Parameters
    ----------
    error : Exception   what is raised then
    """

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.happened = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        self._watch()
        return self

    def interrupt(self) -> None:
        self.happened = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._unwatch()
        if not self.happened:
            return
        ours_alone = self._task.uncancel() <= self._cancelled_before
        if ours_alone and kind is asyncio.CancelledError:
            raise self._error from raised

    def _watch(self) -> None:
        """Begin to look out for what interrupts."""

    def _unwatch(self) -> None:
        """End it."""


class Deadline(Interruption):
    """A time limit for a block, with TimeoutError.

    Moving it to a later time costs nothing: a timer that rings too early sets itself anew, whereas
    `asyncio.timeout` makes a new one for every move.

    Parameters
    ----------
    seconds : float   from the beginning of the block
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(TimeoutError())
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time() + seconds

    def _watch(self) -> None:
        self._timer = self._loop.call_at(self._at, self._ring)

    def move(self, at: float) -> None:
        """Set the limit to a later time, by the clock of the event loop."""
        self._at = at

    def lift(self) -> None:
        """End the limit; what has been interrupted stays so."""
        self._timer.cancel()

    def _ring(self) -> None:
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._ring)
        else:
            self.interrupt()

    def _unwatch(self) -> None:
        self._timer.cancel()


class WhileConnected(Interruption):
    """A block that ends with ClientDisconnect when the request's client closes the connection.

    The request's body must have been read, so that the next message can only be this one.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(ClientDisconnect())
        self._message: asyncio.Future[Message] = asyncio.ensure_future(request.receive())

    def _watch(self) -> None:
        self._message.add_done_callback(self._gone)

    def _gone(self, message: asyncio.Future[Message]) -> None:
        if not message.cancelled():
            self.interrupt()

    def _unwatch(self) -> None:
        self._message.remove_done_callback(self._gone)
        self._message.cancel()
