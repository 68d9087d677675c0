"""Forms with text before their first boundary and after their last, in chunks of any size."""

import asyncio

import pytest
from starlette.requests import Request

from api.errors import Problem
from api.preamble import PADDING, Preamble
from api.uploads import Limits, MemoryBudget, read_files
from tests.api.service import refused

PREAMBLES = {
    "none": b"",
    "an empty line": b"\r\n",
    "text": b"This is a multi-part message in MIME format.\r\n",
    "hyphens": b"-- --\r\n-\r\n",
    "a longer boundary": b"--xyz\r\n--xy--z\r\n--xy-\r\n--xy z\r\n",
    "a shorter boundary": b"--x\r\n--\r\n",
    "a boundary within a line": b"see --xy\r\n --xy\r\n",
    "a boundary on a line of another kind": b"a\n--xy\r\nb\r--xy\r\n",
    "line breaks before the boundary": b"a\r\r\n\r\n\r\n",
    "a long line": b"-" * 3000 + b"\r\n",
}
EPILOGUES = {
    "none": b"",
    "a line break": b"\r\n",
    "blanks": b" \t\r\n",
    "text": b"\r\nThe end\r\n--xy\r\nof it",
}
CHUNKS = (1, 2, 3, 7, 64, 100_000)


def form(preamble=b"", epilogue=b"", blanks=b""):
    """Two files, the first of which looks much like a boundary."""
    head = b'Content-Disposition: form-data; name="file"; filename="%b"\r\n\r\n'
    delimiter = b"--xy" + blanks + b"\r\n"
    first = delimiter + head % b"a" + b"1\r\n--x\r\n--xyz\r\n"
    return preamble + first + delimiter + head % b"b" + b"2\r\n--xy--" + epilogue


def read(body, size=100_000, limits=None):
    """The files of a form that arrives in chunks of so many bytes."""
    limits = limits or Limits()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b""})

    async def receive():
        return messages.pop(0)

    headers = [(b"content-type", b"multipart/form-data; boundary=xy")]
    request = Request({"type": "http", "headers": headers}, receive)
    with MemoryBudget(limits).reservation(request) as reservation:
        uploads = asyncio.run(read_files(request, reservation, limits))
    return [(upload.name, bytes(upload.data)) for upload in uploads]


FILES = [("a", b"1\r\n--x\r\n--xyz"), ("b", b"2")]


@pytest.mark.parametrize("size", CHUNKS)
@pytest.mark.parametrize("preamble", PREAMBLES)
def test_what_comes_before_the_first_boundary_is_discarded(preamble, size):
    assert read(form(PREAMBLES[preamble]), size) == FILES


@pytest.mark.parametrize("size", CHUNKS)
@pytest.mark.parametrize("epilogue", EPILOGUES)
def test_what_comes_after_the_last_boundary_is_discarded(epilogue, size):
    assert read(form(b"before\r\n", EPILOGUES[epilogue]), size) == FILES


@pytest.mark.parametrize("size", CHUNKS)
@pytest.mark.parametrize("blanks", [b" ", b"\t", b" \t ", b" " * PADDING])
def test_blanks_after_a_boundary_are_discarded(blanks, size):
    assert read(form(blanks=blanks), size) == FILES
    assert read(form(b"before\r\n", b" \r\nafter", blanks), size) == FILES


def test_a_preamble_may_be_cut_anywhere():
    body = form(PREAMBLES["a longer boundary"], b"\r\nafter")
    for at in range(1, len(body)):
        preamble = Preamble(b"xy")
        rest = preamble.write(body[:at])
        rest += body[at:] if preamble.over else preamble.write(body[at:])
        assert rest == form(b"", b"\r\nafter")


@pytest.mark.parametrize("size", CHUNKS)
@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "no line of the form is its boundary '--xy'"),
        (b"only text\r\n --xy", 400, "no line of the form is its boundary '--xy'"),
        (b"text\r\n--xy", 400, "ends before its closing boundary"),
        (b"text\r\n--xy\r\n", 400, "ends before its closing boundary"),
        (b"text\r\n--xy--", 422, "the form has no picture"),
        (b"--xy-- \r\ntext", 422, "the form has no picture"),
    ],
)
def test_a_form_without_parts_is_refused(body, status, says, size):
    with pytest.raises(Problem, match=says) as raised:
        read(body, size)
    assert raised.value.status == status


def test_a_preamble_counts_towards_the_limit_and_is_not_kept():
    limits = Limits(request_bytes=1000)
    with pytest.raises(Problem, match="larger than 1,000 bytes"):
        read(form(b"a" * 1000 + b"\r\n"), 64, limits)
    preamble = Preamble(b"xy")
    for chunk in (b"\r\n--x", b"--xy ", b" ", b"\r\n"):
        for _ in range(1000):
            assert preamble.write(chunk) == b""
    assert len(preamble._seen) < 2 * PADDING


def test_the_service_takes_a_form_with_a_preamble_and_an_epilogue(server, pngs):
    head = b'Content-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    body = b"before\r\n--xy \r\n" + head + pngs[0] + b"\r\n--xy--\r\nafter"
    headers = {"Content-Type": "multipart/form-data; boundary=xy"}
    answer = server.client.post("/predict", headers=headers, content=body)
    assert answer.json()["predictions"] == [
        server.predict(pngs[0]).json()["predictions"][0] | {"file": "a.png"}
    ]
    answer = server.client.post("/predict", headers=headers, content=b"before\r\nafter")
    assert "no line of the form" in refused(answer, 400, "damaged_form")
