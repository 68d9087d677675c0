"""What is made to cost more than it cost its sender is refused, or decoded within its budget.

Each test uses the real service, with the pool of `benchmarks._hostile`; `benchmarks.hostile` sends
the same for minutes and measures.
"""

import re
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks import _hostile
from benchmarks._hostile import JPEG_OTHER, LARGE, large, webp_bomb
from benchmarks._http import form, post
from tests.api.service import refused, wait_until

PATHS = ("/predict", "/explain")
INFER = "/v2/models/digits/infer"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def bomb():
    return webp_bomb()


@contextmanager
def clients(server, data, number):
    """Connections that have sent this and read nothing, from an address each."""
    with ExitStack() as stack:
        opened = []
        for client in range(number):
            source = (f"127.0.2.{client + 1}", 0)
            connection = socket.create_connection(("127.0.0.1", server.port), 60, source)
            stack.enter_context(connection)
            threading.Thread(target=send, args=(connection, data), daemon=True).start()
            opened.append(connection)
        yield opened


def send(connection, data):
    with suppress(OSError):  # refused before all of it was sent
        connection.sendall(data)


def answered(connection):
    """Whether something can be read."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        connection.setblocking(True)


def children(server):
    pid = server.process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def most_memory(pid):
    """The most resident bytes that a process has had; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def busy(pid):
    """Hundredths of a second that a process has computed; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def test_forms_of_few_bytes_and_many_pixels_keep_nobody_out(server, bomb, pngs):
    data = post("/predict", *form(*[bomb] * 4))
    assert len(data) < 10_000
    with clients(server, data, 6) as connections:
        wait_until(lambda: any(map(answered, connections)))  # the rest of them is refused
        assert server.predict(pngs[0]).status_code == 200
        assert not all(map(answered, connections)), "the bombs were decoded before"
        statuses = sorted(connection.recv(12) for connection in connections)
    assert statuses.count(b"HTTP/1.1 503") >= 4
    assert set(statuses) <= {b"HTTP/1.1 503", b"HTTP/1.1 200"}


def test_pixels_of_a_request_are_limited(server, bomb):
    message = refused(server.predict(*[bomb] * 5), 413, "too_many_pixels")
    assert "100,000,000 pixels in one request" in message


def test_decoding_for_clients_that_left_ends(server, bomb, pngs):
    data = post("/predict", *form(*[bomb] * 4))
    before = {pid: busy(pid) for pid in children(server)}

    def decodes(pid):
        return busy(pid) - before.get(pid, 0) > 20

    with clients(server, data, 1):
        wait_until(lambda: any(map(decodes, children(server))))
        running = set(children(server))
    wait_until(lambda: running - set(children(server)))  # the one that decoded was killed
    assert server.predict(bomb).status_code == 200  # and there is room


@pytest.mark.parametrize("kind", [*LARGE])
def test_memory_of_the_largest_pictures_is_bounded(server, kind):
    data = large(kind)
    own = most_memory(server.process.pid)
    forms = post("/predict", *form(data))
    with clients(server, forms, 3) as connections:
        statuses = {connection.recv(12) for connection in connections}
        peaks = [most_memory(pid) for pid in children(server)]
    assert statuses == {b"HTTP/1.1 200"}
    assert max(peaks) < 600_000_000
    assert most_memory(server.process.pid) - own < 100_000_000


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_hostile.jpeg_with(900_000), "segments"),
        (_hostile.jpeg_with(2_000_000, JPEG_OTHER, b""), "segments"),
        (_hostile.png_with(800_000), "chunks"),
        (_hostile.gif_with(4_000_000), "blocks"),
        (_hostile.bmp_of_runs(9_000_000), "save it as PNG"),
        (_hostile.tiff_with(60_000), "entries"),
        (_hostile.jpeg_of_scans(2_500), "scans"),
    ],
    ids=["EXIF", "segments", "chunks", "blocks", "run lengths", "entries", "scans"],
)
def test_files_of_many_parts_are_refused(server, path, data, message):
    assert len(data) < 10_000_000
    response = server.client.post(path, files={"file": ("a.png", data)})
    assert message in refused(response, 422, "unreadable")


@pytest.mark.parametrize(("repeats", "message"), [(2, "more than once"), (5_000, "at most 16")])
def test_an_output_is_given_once(server, repeats, message):
    body = _hostile.request_of_outputs(repeats, 16)
    response = server.client.post(INFER, content=body, headers=JSON)
    assert message in refused(response, 400, "invalid_tensor")


@pytest.mark.parametrize(("length", "status"), [(100_000, 400), (1_000_000, 413), (9_000_000, 413)])
def test_tensors_of_objects_are_refused_before_they_fill_the_memory(server, length, status):
    own = most_memory(server.process.pid)
    body = _hostile.request_of_objects(length, 16)
    response = server.client.post(INFER, content=body, headers=JSON)
    assert response.status_code == status, response.text
    assert most_memory(server.process.pid) - own < 100_000_000


def test_bodies_that_do_not_come_keep_nobody_from_explanations(server, pngs):
    data = post("/explain", b"", form(b"")[1], announced=1_000_000)
    with clients(server, data, 10) as connections:
        response = server.client.post("/explain", files={"file": ("a.png", pngs[0])})
        assert response.status_code == 200
        assert not any(map(answered, connections))


def test_bodies_that_stop_keep_no_small_picture_out(server, pngs):
    body, content_type = form(*[bytes(9_900_000)] * 6)
    data = post("/predict", body[:-100], content_type, announced=len(body))
    with clients(server, data, 5) as connections:
        wait_until(lambda: any(map(answered, connections)))  # with 503: the memory is taken
        assert server.predict(pngs[0]).status_code == 200
        assert any(connection.recv(12) == b"HTTP/1.1 503" for connection in connections)
