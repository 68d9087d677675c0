"""Log lines."""

import json

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
