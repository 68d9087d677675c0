"""Log lines: JSON, one object per line, without pictures."""

import json
import logging
import sys

from api.logs import JsonLines
from tests.api.service import wait_until


def test_log_lines_are_json_without_pictures_or_their_names(server, pngs):
    form = {"file": ("secret-name.png", pngs[0])}
    answer = server.client.post("/predict", files=form, headers={"X-Request-ID": "to-find"})
    assert answer.status_code == 200
    wait_until(lambda: "to-find" in server.log.read_text())
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "to-find"]
    assert set(line) == {
        *("time", "level", "event", "request_id", "method", "path", "status", "milliseconds")
    }
    assert "secret-name" not in server.log.read_text()


def test_a_traceback_stays_within_its_line():
    try:
        raise RuntimeError("out of memory")
    except RuntimeError:
        error = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed %d times", (2,), error)
    record.fields = {"request_id": "a-1"}
    text = JsonLines().format(record)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["event"]) == ("error", "failed 2 times")
    assert line["request_id"] == "a-1"
    assert line["traceback"].endswith("RuntimeError: out of memory")
