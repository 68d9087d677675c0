"""Write labels.csv in the background, at most a second late, and read the edits of other programs.

Writing takes longer the larger the folder, and competes with the window for the processor. It may
take a fortieth of the time: where it costs 20 milliseconds or less, labels.csv is never more than a
second behind the labels, at whatever pace they come; where it costs half a second, twenty.
"""

import threading
import time
from collections.abc import Callable

from labeler.errors import NotSaved
from labeler.record.session import Session
from labeler.record.table import stamp

SHARE = 40  # times what a write took, from its start to the start of the next
CHECK = 0.25  # seconds between two looks at the file
RETRY = 5.0  # seconds after a write that failed


class Autosave:
    """Keeps labels.csv of a session up to date.

    Parameters
    ----------
    session : Session
    shortest, longest : float   limits of the time between two writes, in seconds
    clock : returns seconds, from any start
    """

    def __init__(
        self,
        session: Session,
        shortest: float = 0.5,
        longest: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session, self._clock = session, clock
        self._shortest, self._longest = shortest, longest
        self._due = clock()  # not before this time
        self._seen = stamp(session.table_path)
        self._last_error = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labels.csv", daemon=True)

    def start(self) -> None:
        """Begin to work in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop writing labels.csv."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = self.step()

    def step(self) -> float:
        """Write or read labels.csv if it is time to; the seconds until the next step."""
        session, start = self._session, self._clock()
        before, self._seen = self._seen, stamp(session.table_path)
        edited = session.edited_elsewhere and self._seen == before  # and complete
        if edited or (session.unsaved and start >= self._due):
            failed = not self._save()
            cost = self._clock() - start
            wait = max(self._shortest, SHARE * cost, RETRY if failed else 0)
            self._due = start + min(wait, self._longest)
        check = min(CHECK, self._shortest)
        return min(check, max(0.0, self._due - self._clock()) or check)

    def _save(self) -> bool:
        """Save, report an error once, and return whether there was none."""
        try:
            self._session.save()
        except NotSaved as error:
            if str(error) != self._last_error:
                self._last_error = str(error)
                self._session.messages.append(f"{error}. All labels are in the journal.")
            return False
        self._last_error = ""
        return True
