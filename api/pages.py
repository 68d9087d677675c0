"""The pages of the service, and what a browser may load for them."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi.openapi.docs import get_swagger_ui_html

ASSETS = "/static-offline-docs"  # of the page /docs


@dataclass(frozen=True)
class Page:
    """A page and its content policy."""

    html: str
    policy: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Security-Policy": self.policy}


def at_root() -> Page:
    """The page at /."""
    html = (Path(__file__).parent / "page" / "index.html").read_text(encoding="utf-8")
    return Page(html, content_policy(html))


def documentation(title: str) -> Page:
    """The page /docs, whose script, style and icon are files of this service."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=title,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )
    html = bytes(page.body).decode()
    return Page(html, content_policy(html, assets=True))


def content_policy(html: str, assets: bool = False) -> str:
    """A policy that allows only the page's own script and style, and requests to its origin.

    Parameters
    ----------
    assets : bool   also files of this service as scripts, styles and pictures
    """
    own = "'self' " if assets else ""
    allowed = {}
    for tag in ("script", "style"):
        inline = html.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        allowed[tag] = f"{tag}-src {own}'sha256-{digest}'"
    return (
        f"default-src 'none'; {allowed['script']}; {allowed['style']}; img-src {own}blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
