"""The finished site over HTTP."""

import threading
import urllib.request

import pytest

from lib.errors import UserError
from report.server import Server


def test_a_site_is_served_and_a_taken_port_is_named(tmp_path):
    (tmp_path / "index.html").write_text("home", encoding="utf-8")
    with Server(tmp_path, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == b"home"
        with pytest.raises(UserError, match=r"port \d+: .*choose another with --port"):
            Server(tmp_path, server.server_port)
        server.shutdown()


def test_an_impossible_port_is_named(tmp_path):
    with pytest.raises(UserError, match="port 99999"):
        Server(tmp_path, 99999)
