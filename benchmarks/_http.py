"""Requests to the service, as bytes."""


def form(*pictures: bytes) -> tuple[bytes, str]:
    """A form with these files, and its content type."""
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + picture + b"\r\n"
        for picture in pictures
    ]
    return b"".join(parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def post(path: str, body: bytes, content_type: str, announced: int | None = None) -> bytes:
    """A whole request; `announced` is the length that its head gives, if not the true one."""
    length = len(body) if announced is None else announced
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode() + body
