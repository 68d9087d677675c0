"""Decode pictures from standard input, in a process that its owner may kill at any time.

    python -m lib.data.worker SIDE MOST_PIXELS MOST_BYTES

A request is a number of files, 8 bytes, and for each its length, 8 bytes, and its content. The
response has for each `ok` or `no` (2 bytes), a length, 8 bytes, and that many bytes: pixels uint8
(SIDE, SIDE, 3), or the reason in UTF-8; it is sent when all files have been decoded. The
process ends with its standard input. MOST_BYTES bounds its memory; what needs more is refused.
"""

import struct
import sys
import warnings
from typing import BinaryIO

from lib.data.picture_files import UnreadablePicture
from lib.data.pictures import decode

LENGTH = struct.Struct(">Q")


def serve(requests: BinaryIO, responses: BinaryIO, side: int, most_pixels: int) -> None:
    """Say that it is ready, with an empty answer; then answer requests until there are no more."""
    responses.write(b"ok" + LENGTH.pack(0))
    responses.flush()
    while header := requests.read(LENGTH.size):
        for _ in range(*LENGTH.unpack(header)):
            data = requests.read(*LENGTH.unpack(requests.read(LENGTH.size)))
            try:
                mark, answer = b"ok", decode(data, side, most_pixels).tobytes()
            except UnreadablePicture as error:
                mark, answer = b"no", error.reason.encode("utf-8", "replace")
            responses.write(mark + LENGTH.pack(len(answer)) + answer)
        responses.flush()


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
