"""Which web pages may use the service, and what a browser may do with its responses.

A page of any site can send requests to an address that only its reader's machine can reach. The
browser says where such a request comes from (Origin, Sec-Fetch-Site), and which name it used for
the service (Host); a name that a stranger owns may point to this machine (DNS rebinding), whereas a
literal IP address cannot be made to point elsewhere. Clients other than browsers send neither and
are not concerned. https://www.w3.org/TR/fetch-metadata/, RFC 9110, sections 7.2 and 15.5.20.
"""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import Problem

ANY = "*"
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/?#@\\\s]+)(?::(\d{0,5}))?", re.IGNORECASE)
SHOWN = 60  # characters of an origin in a message

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # The pages have policies of their own, which say more.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

ENCODED_HEADERS = [
    (name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()
]


class OwnSite:
    """ASGI middleware that refuses requests of foreign sites, and adds the security headers.

    Parameters
    ----------
    names : sequence of str     names by which the service may be called, or "*" for any
    origins : sequence of str   other origins whose pages may call it, or "*" for any
    """

    def __init__(
        self, app: ASGIApp, names: Sequence[str] = (ANY,), origins: Sequence[str] = ()
    ) -> None:
        self.app = app
        self._names = {name.lower().rstrip(".") for name in names}
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                missing = [header for header in ENCODED_HEADERS if header[0] not in present]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        try:
            host = self._check_host(scope)
            self._check_origin(scope, host)
        except Problem as problem:
            response = problem.response(scope["state"]["request_id"])
            await response(scope, receive, send_with_headers)
        else:
            await self.app(scope, receive, send_with_headers)

    def _check_host(self, scope: Scope) -> str:
        """The Host; raises Problem 400 if it is no host, 421 if it is not the service's."""
        sent = values(scope, b"host")
        if not sent and scope.get("http_version") == "1.0":
            return ""  # no browser
        host = HOST.fullmatch(sent[0]) if len(sent) == 1 else None
        if host is None:
            raise Problem(400, "bad_host", "send one header Host with the name of the service")
        name = host[1].lower().rstrip(".")
        if not (self._names & {name, ANY} or is_address(name)):
            message = "the name in the header Host is not this service's; --allow-host admits it"
            raise Problem(421, "foreign_host", message)
        return sent[0].lower()

    def _check_origin(self, scope: Scope, host: str) -> None:
        """Raises Problem 403 if a page of another site sent the request."""
        origins, sites = values(scope, b"origin"), values(scope, b"sec-fetch-site")
        if self._origins & {ANY, *origins} or sites in (["same-origin"], ["none"]):
            return
        if origins:
            foreign = any(not is_own(origin, host) for origin in origins)
        else:
            foreign = bool(sites) and not is_followed_link(scope)
        if foreign:
            where = repr(origins[0][:SHOWN]) if origins else "another site"
            message = f"pages of {where} may not call this service; --cors admits an origin"
            raise Problem(403, "foreign_origin", message)


def values(scope: Scope, name: bytes) -> list[str]:
    """Every value of a header."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def is_own(origin: str, host: str) -> bool:
    """Whether an origin is the host of the request; TLS may end before the service."""
    try:
        scheme, netloc = urlsplit(origin.lower())[:2]
    except ValueError:
        return False
    standard = {"http": ":80", "https": ":443"}.get(scheme)
    return standard is not None and netloc.removesuffix(standard) == host.removesuffix(standard)


def is_followed_link(scope: Scope) -> bool:
    """Whether a reader followed a link to a page, which the linking site cannot read.

    Pages cannot be framed, and no GET changes anything.
    """
    return (
        scope["method"] in ("GET", "HEAD")
        and values(scope, b"sec-fetch-mode") == ["navigate"]
        and values(scope, b"sec-fetch-dest") == ["document"]
    )
