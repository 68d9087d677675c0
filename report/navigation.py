"""Lead each rendered page to the other pages of its own study, and between studies.

Menus and pages write `report/studies/<page>.html` for that page of the study whose page the reader
is on. Where there are several studies, a menu switches between them, each page of a study is marked
with the study's name, and pages that all studies share have no entries of one study. With one study
nothing of that is seen. Pages that have moved are left as redirections.
"""

import html
import json
import posixpath
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from lib.files import write_text

STUDIES = "report/studies"
LIST = "report/assets/generated/studies.json"
REDIRECTION = '<meta name="generator" content="daybook-redirection">'

NAVIGATION = re.compile(r"<(nav|header)\b.*?</\1>", re.DOTALL)
HREF = re.compile(r"(?<=\shref=\")([^\"]*)(?=\")")
ENTRY = re.compile(
    r"<li\b[^>]*>(?:(?!</?li\b).)*?<a\b[^>]*\shref=\"([^\"]*)\"[^>]*>(?:(?!</?li\b).)*?</li>",
    re.DOTALL,
)
MENU = re.compile(
    r"<li\b[^>]*>(?:(?!</?li\b).)*?<ul\b[^>]*>((?:(?!</?ul\b).)*)</ul>(?:(?!</?li\b).)*?</li>",
    re.DOTALL,
)
LINK = re.compile(r"<a\b[^>]*\shref=\"([^\"]*)\"[^>]*>")
ALL_STUDIES = "All studies"  # the entry of _quarto.yml that the studies follow
TITLE = re.compile(r"<h1\b[^>]*\bclass=\"title[\s\"]")
TITLE_TEXT = re.compile(
    r"(?<=<h1)(\s[^>]*\bclass=\"(?:title|quarto-secondary-nav-title)[\s\"][^>]*>).*?(?=</h1>)",
    re.DOTALL,
)
HEAD_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)


@dataclass(frozen=True)
class Study:
    """A study as the site names it."""

    name: str
    address: str  # the name of its folder
    earlier: dict[str, str] = field(default_factory=dict)  # page to the notice that it needs


@dataclass(frozen=True)
class Navigation:
    """The studies of a site, of which pages are found by their paths relative to its root."""

    studies: tuple[Study, ...] = ()
    latest: str = ""  # its address

    @classmethod
    def of(cls, site: Path) -> Self:
        """What `report.prepare` has left for the site."""
        file = site / LIST
        if not file.exists():
            return cls()
        values = json.loads(file.read_text(encoding="utf-8"))
        return cls(tuple(Study(**study) for study in values["studies"]), values["latest"])

    @property
    def several(self) -> bool:
        return len(self.studies) > 1

    def study_of(self, page: str) -> Study | None:
        """The study that a page belongs to; the only one also has the pages that it would share."""
        if not self.several:
            return self.studies[0] if self.studies else None
        own = (study for study in self.studies if page.startswith(f"{STUDIES}/{study.address}/"))
        return next(own, None)

    def address(self, study: Study, page: str) -> str:
        """The path of a study's page, such as `gallery` or `index`."""
        return page_path(study.address, page, several=self.several)

    def completed(self, href: str, page: str) -> str:
        """`href` on a page, with the study's own address where it is the page of any study."""
        path, mark, anchor = href.partition("#")
        target = target_of(path, page)
        folder, name = posixpath.split(target or "")
        if folder != STUDIES or not name.endswith(".html") or not self.studies:
            return href
        name = name.removesuffix(".html")
        study = self.study_of(page)
        if study is None and name == "index":
            return relative("index.html", page)
        if study is None:
            study = next(one for one in self.studies if one.address == self.latest)
        return relative(self.address(study, name), page) + mark + anchor

    def menus(self, text: str, page: str, pages: set[str]) -> str:
        """A navigation for the page: own entries alone, the studies, the page itself marked."""
        shared = self.several and self.study_of(page) is None

        def entry(match: re.Match[str]) -> str:
            if ALL_STUDIES in match[0]:
                return self._switch(match[0], match[1], page, pages) if self.several else ""
            target = target_of(match[1], page)
            of_a_study = posixpath.dirname(target or "") == STUDIES
            if shared and of_a_study and posixpath.basename(target or "") != "index.html":
                return ""
            target = target_of(self.completed(match[1], page), page)
            return match[0] if target is None or target in pages else ""

        text = ENTRY.sub(entry, text)
        text = MENU.sub(lambda match: match[0] if match[1].strip() else "", text)
        text = HREF.sub(lambda match: self.completed(match[1], page), text)
        return LINK.sub(lambda match: marked_if_current(match, page), text)

    def _switch(self, first: str, start: str, page: str, pages: set[str]) -> str:
        """The entry of the start page, and one for each study: the same page there, or its home."""
        name = Path(page).stem if self.study_of(page) else "index"
        parts = [first]
        for study in self.studies:
            target = self.address(study, name)
            target = target if target in pages else self.address(study, "index")
            own = first.replace(f'href="{start}"', f'href="{relative(target, page)}"')
            parts.append(own.replace(ALL_STUDIES, html.escape(study.name)))
        return "".join(parts)

    def headed(self, text: str, page: str) -> str:
        """The page with its study's name, and a notice if it is about earlier pictures."""
        study, name = self.study_of(page), Path(page).stem
        if study is None or not self._belongs(page):
            return text
        above, shown = "", html.escape(study.name)
        if self.several and name == "index":  # titled as the site is, in its source
            text = TITLE_TEXT.sub(lambda match: match[1] + shown, text)
            text = HEAD_TITLE.sub(lambda match: f"<title>{shown} – {match[1]}</title>", text, 1)
        elif self.several:
            home = relative(self.address(study, "index"), page)
            above = f'<p class="daybook-study"><a href="{home}">{shown}</a></p>\n'
            text = HEAD_TITLE.sub(
                lambda match: f"<title>{with_study(match[1], shown)}</title>", text, 1
            )
        source = {"index": "home", "gallery": "day4_diagnostics", "model_card": "day5_artifacts"}
        if notice := study.earlier.get(source.get(name, name)):
            again = shlex.join(["python", "-m", "analysis", f"--study={study.name}"])
            above += (
                f'<p class="daybook-earlier" role="note">{html.escape(notice)} To make the pages '
                f"again: <code>{html.escape(again)}</code></p>\n"
            )
        return TITLE.sub(lambda match: above + match[0], text, count=1)

    def _belongs(self, page: str) -> bool:
        """Whether the page shows figures of one study."""
        return page.startswith(f"{STUDIES}/") or (page == "index.html" and not self.several)

    # The site as a whole

    def prune(self, site: Path) -> None:
        """Remove pages of studies that are no longer there, and redirections."""
        kept = {study.address for study in self.studies}
        for folder in (site / STUDIES).glob("*/"):
            if self.studies and folder.name not in kept:
                shutil.rmtree(folder)
        for path in site.rglob("*.html"):
            if REDIRECTION in path.read_text(encoding="utf-8"):
                path.unlink()

    def redirections(self, pages: set[str]) -> dict[str, str]:
        """The paths that pages had before there were several studies, and their paths now."""
        moved: dict[str, str] = {}
        for study in self.studies:
            own = f"{STUDIES}/{study.address}/"
            if not self.several:
                moved[f"{own}index.html"] = "index.html"
            if study.address == self.latest:
                for page in sorted(pages):
                    if page.startswith(own) and page != f"{own}index.html":
                        name = page.removeprefix(own)
                        folder = "report" if name == "gallery.html" else "report/days"
                        moved[f"{folder}/{name}"] = page
        return moved

    def name_in_search(self, site: Path) -> None:
        """Give the results of the search the names of their studies."""
        file = site / "search.json"
        if not file.exists():
            return
        entries = json.loads(file.read_text(encoding="utf-8"))
        kept = []
        for entry in entries:
            page = entry["href"].partition("#")[0]
            if not (site / page).exists():
                continue
            study = self.study_of(page) if self.several else None
            if study and Path(page).stem == "index":
                entry["title"] = study.name
            elif study and not entry["title"].endswith(f" · {study.name}"):
                entry["title"] += f" · {study.name}"
            kept.append(entry)
        if kept != json.loads(file.read_text(encoding="utf-8")):
            write_text(file, json.dumps(kept, ensure_ascii=False, indent=2))


def page_path(address: str, page: str, *, several: bool) -> str:
    """The path in the site of a study's page; the home page of the only study is the site's own."""
    return f"{STUDIES}/{address}/{page}.html" if several or page != "index" else "index.html"


def target_of(href: str, page: str) -> str | None:
    """The path in the site that `href` leads to from a page; None for elsewhere or a mere `#`."""
    path = href.partition("#")[0].partition("?")[0]
    if not path or re.match(r"[a-z][a-z0-9+.-]*:|//", path, re.IGNORECASE):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def relative(target: str, page: str) -> str:
    """The link from one page of the site to another."""
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def marked_if_current(match: re.Match[str], page: str) -> str:
    """A link of a menu, marked as that of the page that one is on."""
    tag = match[0]
    if target_of(match[1], page) != page or "aria-current" in tag or "brand" in tag:
        return tag
    tag = re.sub(r"(\sclass=\"[^\"]*)\"", r'\1 active"', tag)
    return f'{tag[:-1]} aria-current="page">'


def with_study(title: str, name: str) -> str:
    """`Page – Site` as `Page – Study – Site`."""
    page, dash, site = title.rpartition(" – ")
    return f"{page}{dash}{name} – {site}"


def redirection(target: str, root: str) -> str:
    """A page that leads to `target`; `root` is the relative path to the site's root."""
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{REDIRECTION}\n'
        f'<title>This page has moved</title>\n<link rel="canonical" href="{target}">\n'
        f'<script src="{root}/report/assets/redirect.js" defer></script>\n'
        f'<meta http-equiv="refresh" content="1; url={target}">\n</head>\n'
        f'<body><p>This page has moved to <a href="{target}">{target}</a>.</p></body>\n</html>\n'
    )
