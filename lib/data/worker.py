"""Decode pictures from standard input, in a process that its owner may kill at any time.

    python -m lib.data.worker SIDE MOST_PIXELS MOST_BYTES

A message is its length, 8 bytes, and then its parts, each after its own length. Those of a request
are picture files. Those of the response are what became of them: `ok` and pixels uint8 (SIDE, SIDE,
3), or `no` and the reason in UTF-8. A response without parts says that the process is ready. It
ends with its standard input. MOST_BYTES bounds its memory; what needs more is refused.
"""

import struct
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from lib.data.picture_files import UnreadablePicture
from lib.data.pictures import decode

LENGTH = struct.Struct(">Q")

Answer = bytes | str  # pixels uint8 (SIDE, SIDE, 3), or the reason why there are none


def message(parts: Sequence[bytes | bytearray]) -> bytes:
    """The parts as one message, with its length."""
    pieces = [piece for part in parts for piece in (LENGTH.pack(len(part)), part)]
    return b"".join([LENGTH.pack(sum(map(len, pieces))), *pieces])


def parts(content: bytes) -> Iterator[bytes]:
    """The parts of a message, from what follows its length."""
    start = 0
    while start < len(content):
        (length,) = LENGTH.unpack_from(content, start)
        start += LENGTH.size + length
        yield content[start - length : start]


def answers(content: bytes) -> Iterator[Answer]:
    """What became of each file, from what follows the length of a response."""
    for part in parts(content):
        yield part[2:] if part.startswith(b"ok") else part[2:].decode()


def serve(requests: BinaryIO, responses: BinaryIO, side: int, most_pixels: int) -> None:
    """Say that it is ready; then answer requests until there are no more."""

    def answer(data: bytes) -> bytes:
        try:
            return b"ok" + decode(data, side, most_pixels).tobytes()
        except UnreadablePicture as error:
            return b"no" + error.reason.encode("utf-8", "replace")

    response: list[bytes] = []
    while True:
        responses.write(message(response))
        responses.flush()
        length = requests.read(LENGTH.size)
        if not length:
            return
        response = [answer(data) for data in parts(requests.read(*LENGTH.unpack(length)))]


def limit_memory(most_bytes: int) -> None:
    """Let allocations beyond so many bytes fail, where the system can."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))


def main() -> None:
    side, most_pixels, most_bytes = map(int, sys.argv[1:4])
    warnings.simplefilter("ignore")  # Pillow's, about pictures that are nobody's here
    limit_memory(most_bytes)
    serve(sys.stdin.buffer, sys.stdout.buffer, side, most_pixels)


if __name__ == "__main__":
    main()
