"""Write labels.csv in the background on a pause, and read the edits of other programs."""

import threading
import time

from labeler.errors import NotSaved
from labeler.record.session import Session
from labeler.record.table import stamp


class Autosave:
    """Keeps labels.csv of a session up to date, in the background.

    Parameters
    ----------
    session : Session
    pause : float      seconds without a change after which it is written (default: 1.5)
    interval : float   seconds after which it is written even without a pause (default: 60)
    """

    def __init__(self, session: Session, pause: float = 1.5, interval: float = 60.0) -> None:
        self._session, self._pause, self._interval = session, pause, interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labels.csv", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop writing labels.csv."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        session, current = self._session, stamp(self._session.table_path)
        saved = time.monotonic()
        last_error = ""
        while not self._stopping.wait(min(0.5, self._pause / 2)):
            now = time.monotonic()
            before, current = current, stamp(session.table_path)
            edited = session.edited_elsewhere and current == before  # and complete
            paused = now - max(session.last_change, saved) > self._pause
            if not edited and not (session.unsaved and (paused or now - saved > self._interval)):
                continue
            try:
                session.save()
                last_error = ""
            except NotSaved as error:
                if str(error) != last_error:  # report it once
                    last_error = str(error)
                    session.messages.append(f"{last_error}. All labels are in the journal.")
            saved = now
