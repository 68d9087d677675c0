"""Files out of a request's body, without ever holding more than the limits allow.

Bytes are counted as they arrive, whatever the request's head promises; what is too much is refused
at that byte. A file is known by its content, not by its name, and its pixels are counted from its
own header before anything is decoded.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO

from fastapi import Request
from PIL import Image
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from api.errors import Problem, busy

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b"BM", b"GIF8")  # in that order
FIELD = "file"  # the form field that holds a picture


@dataclass(frozen=True)
class Limits:
    """How much one request may bring, and how much all of them may hold together."""

    file_bytes: int = 10_000_000
    files: int = 32
    request_bytes: int = 64_000_000
    held_bytes: int = 256_000_000
    pixels: int = 25_000_000  # of one picture; a phone's 12 megapixels fit twice
    seconds: float = 30.0  # for a body to arrive


@dataclass
class Upload:
    """One file as it arrived, and what it calls itself."""

    name: str = "the picture"
    data: bytearray = field(default_factory=bytearray)


class Store:
    """Counts the bytes that all requests hold at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @contextmanager
    def hold(self) -> Iterator["Hold"]:
        """One request's share; given back when the block ends."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self._held -= hold.size

    def take(self, size: int) -> None:
        if self._held + size > self._limits.held_bytes:
            raise busy(1)
        self._held += size


@dataclass
class Hold:
    """What one request holds."""

    store: Store
    size: int = 0

    def add(self, size: int) -> None:
        """Raises Problem 503 if all requests together hold too much."""
        self.store.take(size)
        self.size += size


async def receive(
    request: Request, hold: Hold, limits: Limits, most: int, write: Callable[[bytes], object]
) -> None:
    """Pass the body on to `write` as it arrives.

    Raises
    ------
    Problem   413 at the byte beyond `most`, 408 if it takes too long, 503 if no memory is left
    """
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                if hold.size + len(chunk) > most:
                    raise Problem(413, "too_large", f"the body is larger than {most:,} bytes")
                hold.add(len(chunk))
                write(chunk)
    except TimeoutError:
        message = f"the body did not arrive within {limits.seconds:g} s"
        raise Problem(408, "too_slow", message) from None


async def read_files(request: Request, hold: Hold, limits: Limits) -> list[Upload]:
    """The files of a multipart form, at least one.

    Raises
    ------
    Problem   if it is not such a form, or a limit is passed
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        message = f"send pictures as multipart/form-data, each in a field named {FIELD!r}"
        raise Problem(415, "not_a_form", message)
    try:
        form = _Form(options.get(b"boundary", b""), limits)
        await receive(request, hold, limits, limits.request_bytes, form.write)
    except FormParserError as error:
        raise Problem(400, "damaged_form", f"the form is damaged: {error}") from error
    return form.finished()


class _Form:
    """Collects a form's files while python-multipart reads it."""

    def __init__(self, boundary: bytes, limits: Limits) -> None:
        if not boundary:
            raise Problem(400, "damaged_form", "the form's content type names no boundary")
        self._limits = limits
        self._files: list[Upload] = []
        self._header = (bytearray(), bytearray())  # name and value of the one being read
        self._disposition = b""
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, a, b: self._header[0].extend(data[a:b]),
                "on_header_value": lambda data, a, b: self._header[1].extend(data[a:b]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._extend,
                "on_end": self._end,
            },
        )

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def finished(self) -> list[Upload]:
        if not self._complete:
            raise Problem(400, "damaged_form", "the form ends before its last boundary")
        if not self._files:
            raise Problem(422, "no_file", f"the form has no picture; send one as {FIELD!r}")
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
            message = f"unknown field {field_name[:40]!r}; send pictures as {FIELD!r}"
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


def count_pixels(upload: Upload, limits: Limits) -> int:
    """Pixels of a picture by its header, which is all that is read of it.

    Raises
    ------
    Problem   415 if it is no picture of a known kind, 413 if it is too large, 422 if damaged
    """
    if not upload.data:
        raise Problem(422, "unreadable", f"{upload.name}: the file is empty")
    if not upload.data.startswith(BEGINNINGS):
        known = ", ".join(FORMATS)
        raise Problem(
            415, "unknown_format", f"{upload.name}: not a picture of a known kind ({known})"
        )
    try:
        with Image.open(BytesIO(upload.data), formats=FORMATS) as image:
            pixels = image.width * image.height
    except Image.DecompressionBombError:
        raise _too_many_pixels(upload, limits) from None
    except Exception as error:  # Pillow's readers meet damaged bytes with any kind of exception
        message = f"{upload.name}: damaged, or not what its first bytes promise"
        raise Problem(422, "unreadable", message) from error
    if pixels > limits.pixels:
        raise _too_many_pixels(upload, limits)
    return pixels


def _too_many_pixels(upload: Upload, limits: Limits) -> Problem:
    message = f"{upload.name}: more than {limits.pixels:,} pixels"
    return Problem(413, "too_many_pixels", message)
