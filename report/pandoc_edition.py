"""The site without Quarto: the same sources through Pandoc, a filter and a template."""

import json
import posixpath
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pypandoc
import yaml

from lib.errors import UserError
from report import notebook_markdown
from report.processes import run

TEMPLATE = Path(__file__).parent / "pandoc" / "page.html"
FILTER = Path(__file__).parent / "pandoc" / "quarto.lua"
PAGE_SECONDS = 60
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)


def render(root: Path, into: Path) -> None:
    """Render the site that `root`'s `_quarto.yml` describes into the folder `into`.

    Raises
    ------
    UserError   if a page cannot be read, or Pandoc fails on it or does not end in time
    """
    config = yaml.safe_load((root / "_quarto.yml").read_text(encoding="utf-8"))
    for path in _found(root, config["project"]["resources"]):
        target = into / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for source in _found(root, config["project"]["render"]):
        page = _read(source, root, into)
        _render(page, into / page.place, variables(config["website"], page))


def variables(website: dict[str, Any], page: notebook_markdown.Page) -> dict[str, Any]:
    """What the template shows around a page: the bar, on a day the days, the way to the root."""
    here = posixpath.dirname(page.place) or "."

    def entry(item: dict[str, Any]) -> dict[str, Any]:
        if "menu" in item:
            return {"text": item["text"], "menu": [entry(inner) for inner in item["menu"]]}
        place = str(Path(item["href"]).with_suffix(".html"))
        here_too = {"current": True} if place == page.place else {}
        return {"text": item["text"], "href": posixpath.relpath(place, here), **here_too}

    beside = [entry(item) for item in website["sidebar"]["contents"]]
    if not any("current" in item for item in beside):
        beside = []
    return {
        "site": website["title"],
        "root": posixpath.relpath(".", here),
        "navigation": [entry(item) for item in website["navbar"]["left"]],
        "days": beside,
        "wide": page.wide,
        "footer": website["page-footer"]["left"],
    }


def _found(root: Path, patterns: list[str]) -> list[Path]:
    # Quarto's `folder/**` means files; pathlib's means folders before Python 3.13.
    patterns = [f"{pattern}/*" if pattern.endswith("**") else pattern for pattern in patterns]
    return [path for pattern in patterns for path in sorted(root.glob(pattern)) if path.is_file()]


def _read(source: Path, root: Path, into: Path) -> notebook_markdown.Page:
    place = source.relative_to(root).with_suffix(".html").as_posix()
    try:
        if source.suffix == ".ipynb":
            return notebook_markdown.read(source, place, into)
        text = source.read_text(encoding="utf-8")
        front = FRONT_MATTER.match(text)
        metadata = yaml.safe_load(front[1]) if front else {}
    except (ValueError, KeyError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{source.name}: cannot be read: {why}; the site is as it was") from error
    wide = metadata.get("page-layout") == "full"
    return notebook_markdown.Page(place, source, metadata.get("title", source.stem), text, wide)


def _render(page: notebook_markdown.Page, target: Path, values: dict[str, Any]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        text, defaults = Path(folder, "page.md"), Path(folder, "defaults.json")
        text.write_text(page.text, encoding="utf-8")
        settings = {
            "from": "markdown-smart",
            "to": "html5",
            "standalone": True,
            "template": str(TEMPLATE),
            "filters": [str(FILTER)],
            "table-of-contents": not page.wide,
            "toc-depth": 3,
            "html-math-method": {"method": "mathml"},
            "metadata": {"title": page.title},
            "variables": values,
        }
        defaults.write_text(json.dumps(settings), encoding="utf-8")
        words = [pypandoc.get_pandoc_path(), str(text), "--defaults", str(defaults)]
        words += ["--output", str(target)]
        run(words, page.source.parent, PAGE_SECONDS, f"Pandoc on {page.source.name}")
