"""When is labels.csv written? On a pause, and read back when somebody else has written it."""

import threading
import time

from labeler.errors import NotSaved
from labeler.record.session import Session
from labeler.record.table import stamp


class Autosave:
    """Keeps a session's labels.csv up to date, in the background.

    Parameters
    ----------
    session : Session
    pause : float     seconds without a change after which it is written
    at_most : float   seconds after which it is written even without a pause
    """

    def __init__(self, session: Session, pause: float = 1.5, at_most: float = 60.0) -> None:
        self._session, self._pause, self._at_most = session, pause, at_most
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labels.csv", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave labels.csv as it is from here on."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        session, seen = self._session, stamp(self._session.table_path)
        saved = time.monotonic()
        complaint = ""
        while not self._stopping.wait(min(0.5, self._pause / 2)):
            now = time.monotonic()
            before, seen = seen, stamp(session.table_path)
            edited = session.edited_elsewhere and seen == before  # and not still being written
            rested = now - max(session.last_change, saved) > self._pause
            if not edited and not (session.unsaved and (rested or now - saved > self._at_most)):
                continue
            try:
                session.save()
                complaint = ""
            except NotSaved as error:
                if str(error) != complaint:  # once, not twice a second
                    complaint = str(error)
                    session.messages.append(f"{complaint}. The journal has every label.")
            saved = now
