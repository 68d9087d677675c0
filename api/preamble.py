"""The text that a multipart body may have before its first boundary, and that readers discard.

RFC 2046, section 5.1.1. python-multipart expects the first boundary at the beginning of the body.
"""

import re

PADDING = 256  # blanks after a boundary, at most; the standard sets no limit
SHOWN = 40  # bytes of a boundary in a message


class Preamble:
    """Finds a body's first boundary in chunks of any size, and keeps no more than its length."""

    def __init__(self, boundary: bytes) -> None:
        self._dashed = b"--" + boundary
        line = rb"\r\n%b(--)?[ \t]{0,%d}\r\n" % (re.escape(self._dashed), PADDING)
        self._line = re.compile(line)
        self._longest = len(self._dashed) + PADDING + len(b"\r\n--\r\n")
        self._seen = b"\r\n"  # a boundary begins a line, and so does the body
        self.over = False

    def write(self, chunk: bytes) -> bytes:
        """The chunk from the first boundary on, without blanks after it; until then, nothing."""
        seen = self._seen + chunk
        found = self._line.search(seen)
        if found is None:
            self._seen = seen[-self._longest :]  # where a boundary may have begun
            return b""
        self.over = True
        return self._dashed + (found[1] or b"") + b"\r\n" + seen[found.end() :]

    def end(self) -> bytes:
        """The first boundary if it is the body's last line, whose line break may be missing."""
        return self.write(b"\r\n")

    def missing(self) -> str:
        """What to say of a body without a boundary."""
        return f"no line of the form is its boundary {self._dashed[:SHOWN].decode('latin-1')!r}"
