"""Pictures from a multipart form, within limits on bytes and number.

Bytes are counted as they arrive, whatever length the request declares; a body that exceeds a limit
is refused at that byte, and one that falls behind the pace at that moment.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from api.clients import Shares, client_of
from api.errors import Problem, busy
from api.interruption import Deadline
from api.pace import Pace
from api.preamble import Preamble

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "file"  # the form field of a picture
PACE = Pace()
SMALL_BODY = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Limits on one request, and on the memory of all requests together."""

    file_bytes: int = 10_000_000
    files: int = 32
    request_bytes: int = 64_000_000
    total_bytes: int = 192_000_000  # of all bodies in memory
    small_bytes: int = 32_000_000  # of all bodies of up to `SMALL_BODY`, in addition
    seconds: float = 30.0  # until a body has arrived
    pixels: int = 25_000_000  # per picture; twice those of a 12-megapixel photograph
    request_pixels: int = 100_000_000
    waiting_pixels: int = 100_000_000  # of all requests whose pictures wait for their decoding
    decoding_bytes: int = 450_000_000  # memory of all decoding at a time
    decoding_seconds: float = 5.0  # per picture, after which it is given up

    @property
    def client_bytes(self) -> int:
        """What the bodies of one client may have of `total_bytes`."""
        return self.total_bytes // 2


@dataclass
class Upload:
    """One file as it arrived, with the name that the client gave it."""

    name: str = "the picture"
    data: bytearray = field(default_factory=bytearray)


class MemoryBudget:
    """The bytes of bodies in memory, over all requests; half of them are for one client.

    Bodies of up to `SMALL_BODY` bytes have a part of their own, so that large ones which come
    slowly do not keep them out.
    """

    def __init__(self, limits: Limits) -> None:
        self._small = Shares(limits.small_bytes, limits.small_bytes // 2)
        self._large = Shares(limits.total_bytes, limits.client_bytes)

    def reservation(self, request: Request) -> "Reservation":
        """One request's part of the budget."""
        client = client_of(request.client.host if request.client else None)
        return Reservation(self._small, self._large, client)


class Reservation:
    """The bytes that one request has reserved: `size`; released when a `with` block ends."""

    def __init__(self, small: Shares, large: Shares, client: str) -> None:
        self._shares, self._large = small, large
        self._client = client
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def add(self, size: int) -> None:
        """Raises Problem 503 if the budget, or the client's half of it, is exhausted."""
        grown = self.size + size
        if self._shares is self._large or grown <= SMALL_BODY:
            if not self._shares.take(self._client, size):
                raise busy(1)
        else:
            if not self._large.take(self._client, grown):
                raise busy(1)
            self.release()
            self._shares = self._large
        self.size = grown

    def release(self) -> None:
        self._shares.give_back(self._client, self.size)
        self.size = 0


async def receive(
    request: Request,
    reservation: Reservation,
    limits: Limits,
    max_bytes: int,
    write: Callable[[bytes], object],
) -> None:
    """Pass the body to `write` as it arrives.

    Raises
    ------
    Problem   413 at the first byte beyond `max_bytes`, 408 after `limits.seconds` or when the
              sender falls behind the pace, 503 if the memory budget is exhausted
    """
    now = asyncio.get_running_loop().time
    started = now()
    received = 0
    try:
        with Deadline(min(limits.seconds, PACE.patience(0, 0))) as deadline:
            async for chunk in request.stream():
                if reservation.size + len(chunk) > max_bytes:
                    message = f"the body is larger than {max_bytes:,} bytes"
                    raise Problem(413, "too_large", message)
                reservation.add(len(chunk))
                write(chunk)
                received += len(chunk)
                wait = PACE.patience(received, now() - started)
                deadline.move(min(started + limits.seconds, now() + wait))
    except TimeoutError:
        raise _too_slow(received, now() - started, limits) from None


def _too_slow(received: int, seconds: float, limits: Limits) -> Problem:
    if seconds >= limits.seconds:
        message = f"the body did not arrive within {limits.seconds:g} s; send fewer pictures"
    else:
        message = (
            f"the body stopped or is too slow: {received:,} bytes in {seconds:.0f} s; send at "
            f"least {PACE.bytes_per_second:,.0f} bytes per second, without pauses of "
            f"{PACE.stall:g} s"
        )
    return Problem(408, "too_slow", message)


def check_encoding(request: Request) -> None:
    """Raises Problem 415 if the body has a content coding other than identity."""
    header = ",".join(request.headers.getlist("content-encoding"))
    codings = [coding.strip() for coding in header.split(",")]
    if any(coding.lower() not in ("", "identity") for coding in codings):
        message = f"Content-Encoding {header[:40]!r} is not supported; send the body uncompressed"
        # RFC 9110, 15.5.16: the response says which codings would have been accepted.
        raise Problem(415, "encoded_body", message, {"Accept-Encoding": "identity"})


async def read_files(request: Request, reservation: Reservation, limits: Limits) -> list[Upload]:
    """The files of a multipart form, at least one.

    Raises
    ------
    Problem   if it is not such a form, or exceeds a limit
    """
    check_encoding(request)
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        message = f"send pictures as multipart/form-data, each in a field {FIELD!r}"
        raise Problem(415, "not_a_form", message)
    try:
        form = _Form(limits)
        reader = _FormReader(options.get(b"boundary", b""), form)
        await receive(request, reservation, limits, limits.request_bytes, reader.write)
        reader.end()
    except FormParserError as error:
        raise Problem(400, "damaged_form", f"the form is damaged: {error}") from error
    return form.files()


class _FormReader:
    """A form's bytes on their way to its parser.

    The parser knows the form, and the form does not know the parser: what refers to itself in a
    circle stays in memory until the next search for garbage, here with all its files.
    """

    def __init__(self, boundary: bytes, form: "_Form") -> None:
        if not boundary:
            raise Problem(400, "damaged_form", "the content type of the form has no boundary")
        self._preamble = Preamble(boundary)
        self._parser = MultipartParser(boundary, form.callbacks())

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk if self._preamble.over else self._preamble.write(chunk))

    def end(self) -> None:
        if not self._preamble.over:
            self._parser.write(self._preamble.end())
        if not self._preamble.over:
            raise Problem(400, "damaged_form", self._preamble.missing())


class _Form:
    """The files of a form, collected while python-multipart parses it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._files: list[Upload] = []
        self._header = (bytearray(), bytearray())  # name and value of the one being parsed
        self._disposition = b""
        self._complete = False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, a, b: self._header[0].extend(data[a:b]),
            "on_header_value": lambda data, a, b: self._header[1].extend(data[a:b]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._extend,
            "on_end": self._end,
        }

    def files(self) -> list[Upload]:
        if not self._complete:
            raise Problem(400, "damaged_form", "the form ends before its closing boundary")
        if not self._files:
            raise Problem(
                422, "no_file", f"the form has no picture; send one in the field {FIELD!r}"
            )
        return self._files

    def _begin(self) -> None:
        self._disposition = b""

    def _end_header(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        name.clear()
        value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        field_name = options.get(b"name", b"").decode("utf-8", "replace")
        if field_name != FIELD:
            message = f"unknown field {field_name[:40]!r}; send pictures in the field {FIELD!r}"
            raise Problem(422, "unknown_field", message)
        if len(self._files) == self._limits.files:
            message = f"more than {self._limits.files} files in one request"
            raise Problem(413, "too_many_files", message)
        name = options.get(b"filename", b"").decode("utf-8", "replace")[:100]
        self._files.append(Upload(name or f"picture {len(self._files) + 1}"))

    def _extend(self, data: bytes, start: int, end: int) -> None:
        upload = self._files[-1]
        upload.data += data[start:end]
        if len(upload.data) > self._limits.file_bytes:
            message = f"{upload.name}: larger than {self._limits.file_bytes:,} bytes"
            raise Problem(413, "too_large", message)

    def _end(self) -> None:
        self._complete = True
