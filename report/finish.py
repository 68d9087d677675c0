"""Correct the rendered pages, in the same way for both editions: `python -m report.finish`.

- A link may give only the file name of a page of the site; it is replaced by the relative path.
- A chart with more than a few kilobytes of data is moved into a script next to the page, which is
  loaded when the chart comes into view.
- Menus lead to the pages of the page's own study (`report.navigation`); their entries of pages that
  do not exist, and figures of files that do not exist, are removed.
- Scripts from other hosts, which Quarto adds for some notebook outputs, are removed.
- A policy lets a page run the site's own script files and Quarto's own inline scripts, no others.
"""

import base64
import hashlib
import html
import json
import os
import posixpath
import re
from pathlib import Path

from lib.errors import UserError, command
from lib.files import write_text
from report.navigation import HREF, NAVIGATION, Navigation, redirection, relative

MAX_INLINE_CHART = 8_000  # characters

FOREIGN_SCRIPT = re.compile(r"<script\b[^>]*\bsrc=\"(?:https?:)?//[^>]*>\s*</script>\s*")
# Quarto's companion of its require.js tag
DEFINE_JQUERY = re.compile(r"<script\b[^>]*>define\('jquery'.*?</script>\s*", re.DOTALL)
FIGURE_OF_FILE = re.compile(
    r"<figure class=\"daybook-when\b[^>]*\bdata-file=\"([^\"]*)\".*?</figure>", re.DOTALL
)
CHART = re.compile(
    r"(<figure class=\"daybook-chart\b[^>]*\bdata-name=\"([\w-]+)\".*?"
    r"<script type=\"application/json\" class=\"daybook-spec\")>(.*?)</script>",
    re.DOTALL,
)
INLINE_SCRIPT = re.compile(r"<script\b(?![^>]*\bsrc=)([^>]*)>(.*?)</script>", re.DOTALL)
HANDLER = re.compile(r"\son[a-z]+=\"([^\"]*)\"")
CONTENT = re.compile(r"<main\b.*</main>", re.DOTALL)
POLICY = re.compile(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>\n?")
HEAD = re.compile(r"<head\b[^>]*>\n?")


def finish(site: Path) -> int:
    """Correct every page of a rendered site in place; a second time changes nothing.

    Returns the number of pages, without the redirections to them.
    """
    navigation = Navigation.of(site)
    navigation.prune(site)
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    for page in sorted(pages):
        path = site / page
        before = path.read_text(encoding="utf-8")
        text = finished(before, path, site, pages, navigation)
        if text != before:
            write_text(path, text)
    for old, new in navigation.redirections(pages).items():
        text = redirection(relative(new, old), relative(".", old))
        write_text(site / old, with_policy(text))
    navigation.name_in_search(site)
    return len(pages)


def finished(text: str, path: Path, site: Path, pages: set[str], navigation: Navigation) -> str:
    """The corrected text of the page at `path`; its large charts are written next to it."""
    page = path.relative_to(site).as_posix()

    def if_exists(match: re.Match[str]) -> str:
        return match[0] if (path.parent / match[1]).exists() else ""

    def complete(match: re.Match[str]) -> str:
        return resolved(navigation.completed(match[1], page), page, pages)

    text = DEFINE_JQUERY.sub("", FOREIGN_SCRIPT.sub("", text))
    if not POLICY.search(text):  # not finished yet
        text = NAVIGATION.sub(lambda match: navigation.menus(match[0], page, pages), text)
        text = navigation.headed(text, page)
    text = HREF.sub(complete, text)
    text = FIGURE_OF_FILE.sub(if_exists, text)
    return with_policy(extract_charts(text, path))


def with_policy(text: str) -> str:
    """The page with a Content-Security-Policy, so that no string on it can become a script.

    Inline scripts and handlers outside <main> are Quarto's and are allowed by their hashes; what a
    study has written is in <main>, which has none. Vega compiles its expressions by `eval`.
    """
    bare = POLICY.sub("", text)
    around = CONTENT.sub("", bare)
    scripts = [code for kind, code in INLINE_SCRIPT.findall(around) if "json" not in kind]
    handlers = [html.unescape(code) for code in HANDLER.findall(around)]
    hashes = sorted(
        base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        for code in {*scripts, *handlers}
    )
    sources = ["'self'", "'unsafe-eval'", *(["'unsafe-hashes'"] if handlers else [])]
    sources += [f"'sha256-{digest}'" for digest in hashes]
    policy = f"script-src {' '.join(sources)}; object-src 'none'; base-uri 'none'"
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    return HEAD.sub(lambda match: match[0].rstrip("\n") + "\n" + meta, bare, count=1)


def resolved(href: str, page: str, pages: set[str]) -> str:
    """`href` relative to `page`, if it is only the file name of another page."""
    name, mark, anchor = href.partition("#")
    if "/" in name or not name.endswith(".html"):
        return href
    folder = posixpath.dirname(page)
    if posixpath.join(folder, name) in pages:
        return href
    matches = [other for other in pages if posixpath.basename(other) == name]
    if len(matches) != 1:
        return href
    return posixpath.relpath(matches[0], folder or ".") + mark + anchor


def extract_charts(text: str, page: Path) -> str:
    """The page's text with its large charts moved into `<page>_charts/<name>.js`."""

    def extract(match: re.Match[str]) -> str:
        head, name, spec = match.groups()
        if len(spec) < MAX_INLINE_CHART:
            return match[0]
        script = page.with_name(f"{page.stem}_charts") / f"{name}.js"
        script.parent.mkdir(exist_ok=True)
        write_text(script, f"daybook.specs[{json.dumps(name)}] = {spec};\n")
        return f'{head} data-src="{script.parent.name}/{script.name}"></script>'

    return CHART.sub(extract, text)


def main() -> None:
    """Correct the site that Quarto has just rendered, as its post-render step."""
    site = Path(os.environ.get("QUARTO_PROJECT_OUTPUT_DIR", "_site"))
    if not site.is_dir():
        raise UserError(
            f"{site}: no rendered site here; run `python -m report` in the project's root"
        )
    finish(site)


if __name__ == "__main__":
    command(main)
