"""Log lines as JSON, one object per line; pictures and file names are never logged."""

import json
import logging
import sys
import warnings
from datetime import UTC, datetime

log = logging.getLogger("daybook.api")


class JsonLines(logging.Formatter):
    """time, level, event, the fields in `extra={"fields": {...}}`, and a traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: str = "info") -> None:
    """Write the log of this process, including that of uvicorn, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    # What no line contains need not be found out for each: docs.python.org/3/howto/logging.html
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    # A damaged picture is its sender's mistake and gets a response that says so.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")
