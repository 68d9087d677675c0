"""The end of the service: within its grace, whatever is running, and without a traceback."""

import json
import resource
import signal
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from api.server import OTHER_FILES, allow_open_files
from lib.errors import UserError
from tests.api.service import ROOT, serving

GRACE = 4  # shorter than a body may stop
LARGE = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
UNFINISHED = {
    "idle": b"",
    "kept alive": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost:",
    "no body": BODY,
    "not reading": LARGE * 8,
}


@pytest.mark.parametrize("kind", UNFINISHED)
def test_the_process_ends_within_its_grace(bundle, tmp_path, kind):
    with (
        serving(bundle, tmp_path, "--grace", str(GRACE)) as server,
        closing(socket.socket()) as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(UNFINISHED[kind])
        server.client.get("/healthz")  # what was sent before has arrived
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(4 * GRACE) == 0
        text = server.log.read_text()
        assert "Traceback" not in text
        assert '"level": "error"' not in text
        statuses = {
            json.loads(line)["status"]
            for line in text.splitlines()
            if json.loads(line)["event"] == "request"
        }
        assert statuses <= {200, 499, 503}
        if kind == "no body":
            answer = connection.recv(65_536)
            assert b" 503 " in answer.split(b"\r\n")[0]
            assert b'"code":"stopping"' in answer
            assert 503 in statuses


COMPUTES = """
import signal, sys, time
from api.__main__ import main
from lib.inference import Predictor

whole = Predictor.probabilities
def slow(self, images, *arguments):
    if images.max() > 0:
        print("computing", flush=True)
        time.sleep(float(sys.argv[1]))
    time.sleep(0.05)  # too long for the event loop to compute it itself
    return whole(self, images, *arguments)
Predictor.probabilities = slow
main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("seconds", "grace", "status", "answered"), [(2, 60, 0, "predictions"), (600, 2, 1, "stopping")]
)
def test_a_model_that_computes_is_waited_for_and_does_not_keep_the_process(
    bundle, pngs, tmp_path, seconds, grace, status, answered
):
    command = [sys.executable, "-c", COMPUTES, str(seconds), "--bundle", str(bundle)]
    command += ["--port", "0", "--grace", str(grace)]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        curl = ["curl", "-s", "-F", "file=@-;filename=a.png", f"http://127.0.0.1:{port}/predict"]
        with subprocess.Popen(curl, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as asked:
            asked.stdin.write(pngs[0])
            asked.stdin.close()
            assert process.stdout.readline() == "computing\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == status
            answer = json.loads(asked.stdout.read())
            assert answered in (*answer, answer.get("code"))
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert any(line["event"] == "stopped" for line in lines) is bool(status)
    assert not any("traceback" in line for line in lines)


def test_open_files_are_allowed_as_far_as_the_system_does(monkeypatch):
    limits = {"now": (256, 4_096)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.update(now=pair))
    allow_open_files(100)
    assert limits["now"] == (256, 4_096)
    allow_open_files(512)
    assert limits["now"] == (512 + OTHER_FILES, 4_096)
    with pytest.raises(UserError, match="--max-connections 4000 needs 4128 open files"):
        allow_open_files(4_000)
    limits["now"] = (256, resource.RLIM_INFINITY)
    allow_open_files(4_000)
    assert limits["now"] == (4_128, resource.RLIM_INFINITY)
