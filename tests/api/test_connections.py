"""Connections and heads beyond the limits, as a client sees them."""

import json
import socket
import time
from contextlib import ExitStack, closing, contextmanager, suppress

import httpx
import psutil
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api import connections
from api.connections import Connection
from tests.api.service import serving, wait_until

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
LARGE = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def strict(bundle, tmp_path_factory):
    """The service with short times and few places."""
    flags = ["--head-seconds", "0.5", "--idle-seconds", "1", "--read-seconds", "0.5"]
    flags += ["--max-connections-per-client", "12", "--request-seconds", "2"]
    with serving(bundle, tmp_path_factory.mktemp("strict"), *flags) as server:
        yield server


@pytest.fixture(scope="module")
def crowded(bundle, tmp_path_factory):
    flags = ["--max-connections", "3", "--max-connections-per-client", "2"]
    with serving(bundle, tmp_path_factory.mktemp("crowded"), *flags) as server:
        yield server


@contextmanager
def connected(server, address="127.0.0.1"):
    """A connection from this address; every test leaves none open."""
    source = (address, 0)
    with closing(socket.create_connection(("127.0.0.1", server.port), 30, source)) as connection:
        yield connection


def sent(connection, data):
    """Send all, unless the server answers before."""
    with suppress(OSError):
        connection.sendall(data)


def until_closed(connection):
    """What arrives until the server closes the connection."""
    received = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65_536):
            received += chunk
    return received


def status(response):
    return int(response.split()[1])


def code(response):
    """The code of a refusal, which has the shape of every refusal."""
    head, _, body = response.partition(b"\r\n\r\n")
    answer = json.loads(body)
    assert set(answer) == {"error", "code", "request_id"}
    assert f"X-Request-ID: {answer['request_id']}".encode() in head
    assert b"Connection: close" in head
    return answer["code"]


def test_what_is_used_of_uvicorn_is_there():
    """The parts that a new version may rename."""
    source = vars(HttpToolsProtocol)
    overridden = set(vars(Connection)) & {
        *("connection_made", "connection_lost", "data_received", "on_message_begin", "on_url"),
        *("on_header", "on_headers_complete", "on_message_complete", "on_response_complete"),
        *("timeout_keep_alive_handler", "send_400_response", "pause_writing", "resume_writing"),
        "shutdown",
    }
    assert len(overridden) == 14
    assert overridden <= set(source)
    names = HttpToolsProtocol.__init__.__code__.co_names
    assert set(connections.USED) <= set(names)
    assert set(connections.USED_OF_CYCLE) <= set(RequestResponseCycle.__init__.__code__.co_names)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (HEAD + b"X: " + b"x" * 26_000_000, "head_too_large"),
        (HEAD + b"X: " + b"x" * 17_000 + b"\r\n\r\n", "head_too_large"),
        (HEAD + b"x" * 20_000, "head_too_large"),
        (b"GET /" + b"x" * 17_000, "head_too_large"),
        (b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "head_too_large"),
        (HEAD + b"a:b\r\n" * 960_000 + b"\r\n", "too_many_headers"),
        (HEAD + b"a:b\r\n" * 100 + b"\r\n", "too_many_headers"),
    ],
)
def test_a_head_beyond_the_limits_is_refused(server, head, expected):
    before = server.memory()
    with connected(server) as connection:
        sent(connection, head)
        answer = until_closed(connection)
    assert status(answer) == 431
    assert code(answer) == expected
    assert server.memory() - before < 10_000_000


def test_a_head_within_the_limits_is_answered(server):
    head = HEAD + b"X: " + b"x" * 15_000 + b"\r\n" + b"a:b\r\n" * 97 + b"Connection: close\r\n\r\n"
    for cut in (len(head), 7_000):  # in one piece and in two
        with connected(server) as connection:
            connection.sendall(head[:cut])
            connection.sendall(head[cut:])
            assert status(until_closed(connection)) == 200


def test_large_bodies_and_many_requests_are_no_heads(server, pngs):
    request = httpx.Request("POST", "http://localhost/predict", files={"file": pngs[0]})
    body = request.read() + b" " * 60_000  # an epilogue
    head = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {request.headers['Content-Type']}\r\n\r\n"
    ).encode()
    with connected(server) as connection:
        connection.sendall(head + body + HEAD + b"\r\n" + HEAD + b"Connection: close\r\n\r\n")
        answers = until_closed(connection)
    assert answers.count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "text/plain"])
def test_a_large_message_is_read_at_the_rate(bundle, tmp_path, kind):
    """Also what belongs to a request that was refused at its head."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + bytes(5_000_000)
    body = b"\r\n".join([part, part, b"--b--"])
    head = (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {kind}\r\n\r\n"
    ).encode()
    with serving(bundle, tmp_path, "--large-body-rate", "10") as slow, connected(slow) as one:
        started = time.perf_counter()
        one.sendall(head + body + HEAD + b"Connection: close\r\n\r\n")
        answers = until_closed(one)
        assert time.perf_counter() - started > 0.8  # ten megabytes without the first
    assert answers.count(b"HTTP/1.1 415") == 1
    assert answers.count(b"HTTP/1.1 200") == 1


def test_what_is_not_http_is_refused_in_the_one_shape(server):
    for strange in (b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with connected(server) as connection:
            sent(connection, strange)
            answer = until_closed(connection)
        assert (status(answer), code(answer)) == (400, "bad_request")


@pytest.mark.parametrize("begun", [b"G", b"GET /healthz HTT", HEAD, HEAD + b"X: half"])
def test_a_half_head_is_refused_in_time(strict, begun):
    with connected(strict) as connection:
        connection.sendall(begun)
        answer = until_closed(connection)
    assert (status(answer), code(answer)) == (408, "too_slow")


@pytest.mark.parametrize("begun", [b"", b"\r\n"])
def test_a_connection_that_asks_nothing_is_closed(strict, begun):
    with connected(strict) as connection:
        connection.sendall(begun)
        assert until_closed(connection) == b""


def test_a_head_that_drips_is_refused_in_time(strict):
    """Data does not start the time anew, in a first request or in a later one."""
    for before in (b"", HEAD + b"\r\n"):
        with connected(strict) as connection:
            connection.sendall(before + b"GET /healthz HTTP/1.1\r\n")
            connection.settimeout(0.1)
            answer = b""
            for _ in range(100):
                sent(connection, b"X: y\r\n")
                try:
                    chunk = connection.recv(65_536)
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
                if not chunk:
                    break
                answer += chunk
            else:
                pytest.fail("the head may drip for ever")
        assert b"HTTP/1.1 408" in answer


def test_an_idle_connection_is_closed_after_its_response(strict):
    with connected(strict) as connection:
        connection.sendall(HEAD + b"\r\n")
        answer = until_closed(connection)
    assert status(answer) == 200


def test_the_rest_of_a_refused_request_is_not_read_for_ever(strict):
    with connected(strict) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\n")
        connection.sendall(b"Content-Length: 1000000\r\n\r\n")
        connection.settimeout(0.1)
        for _ in range(100):
            try:
                connection.sendall(b"x")
                if not connection.recv(65_536):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("the rest is read for ever")


def test_a_request_without_its_body_is_refused_in_time(strict):
    with connected(strict) as connection:
        connection.sendall(b"POST /v2/models/digits/infer HTTP/1.1\r\nHost: localhost\r\n")
        connection.sendall(b"Content-Length: 100\r\n\r\n")
        answer = until_closed(connection)
    assert status(answer) == 503
    assert b'"code":"timeout"' in answer


@pytest.mark.parametrize("asked", [LARGE, LARGE * 8, (HEAD + b"\r\n") * 12])
def test_a_client_that_does_not_read_is_cut_off(strict, asked):
    """The service has no connection of this address any more, though the client closes none."""
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", strict.port))
        connection.sendall(asked)
        assert connection.recv(1) == b"H"  # of the first answer, and nothing after it
        wait_until(lambda: not established(strict, connection.getsockname()[1]))


def established(server, port):
    """Whether the service still has its end of the connection from that port."""
    ends = (server.port, port)
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return any(c.raddr and (c.laddr.port, c.raddr.port) == ends for c in found)


def test_too_many_requests_at_once_end_the_connection(server):
    with connected(server) as connection:
        sent(connection, (HEAD + b"\r\n") * 1_000)
        assert until_closed(connection).count(b"HTTP/1.1 200") <= connections.MAX_PIPELINED


def test_places_are_limited_per_client_and_in_all(crowded):
    crowded.client.close()
    with ExitStack() as opened:
        for address in ("127.0.0.2", "127.0.0.2", "127.0.0.3"):
            taken = opened.enter_context(connected(crowded, address))
            taken.sendall(HEAD + b"\r\n")
            assert status(taken.recv(65_536)) == 200
        for address in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
            with connected(crowded, address) as refused:
                answer = until_closed(refused)
            assert (status(answer), code(answer)) == (503, "busy")
            assert b"retry-after: 1" in answer.lower()

    def answered():
        with connected(crowded, "127.0.0.4") as connection:
            sent(connection, HEAD + b"Connection: close\r\n\r\n")
            return until_closed(connection).startswith(b"HTTP/1.1 200")

    wait_until(answered)


def test_one_client_does_not_take_every_place(crowded):
    with ExitStack() as opened:
        for _ in range(2):
            connection = opened.enter_context(connected(crowded, "127.0.0.5"))
            connection.sendall(HEAD + b"\r\n")
            assert status(connection.recv(65_536)) == 200
        with connected(crowded, "127.0.0.5") as refused:
            assert status(until_closed(refused)) == 503
        with connected(crowded, "127.0.0.6") as other:
            other.sendall(HEAD + b"\r\n")
            assert status(other.recv(65_536)) == 200
