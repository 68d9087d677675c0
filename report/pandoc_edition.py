"""Render the site with Pandoc, a filter and a template, from the same sources as with Quarto."""

import json
import posixpath
import re
import shutil
import tempfile
from collections.abc import Collection
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


def render(root: Path, into: Path, left_out: Collection[Path] = ()) -> None:
    """Render the site described by `root`'s `_quarto.yml` into the folder `into`.

    Nothing is rendered of the folders `left_out`.

    Raises
    ------
    UserError   if a page cannot be read, or Pandoc fails or exceeds its time limit
    """
    config = yaml.safe_load((root / "_quarto.yml").read_text(encoding="utf-8"))
    for path in _files(root, config["project"]["resources"]):
        target = into / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    for source in _files(root, config["project"]["render"]):
        if source.parent in left_out:
            continue
        page = _read(source, root, into)
        _render(page, into / page.path, variables(config["website"], page))


def variables(website: dict[str, Any], page: notebook_markdown.Page) -> dict[str, Any]:
    """The template's variables: navigation bar, sidebar of a day, relative path to the root."""
    here = posixpath.dirname(page.path) or "."

    def entry(item: dict[str, Any]) -> dict[str, Any]:
        if "menu" in item:
            return {"text": item["text"], "menu": [entry(inner) for inner in item["menu"]]}
        path = Path(item["href"]).with_suffix(".html").as_posix()
        return {"text": item["text"], "href": posixpath.relpath(path, here)}

    of_a_study = page.path.startswith("report/studies/") and page.source.suffix == ".ipynb"
    sidebar = website["sidebar"]["contents"] if of_a_study else []
    return {
        "site": website["title"],
        "root": posixpath.relpath(".", here),
        "navigation": [entry(item) for item in website["navbar"]["left"]],
        "days": [entry(item) for item in sidebar],
        "wide": page.wide,
        "footer": website["page-footer"]["left"],
    }


def _files(root: Path, patterns: list[str]) -> list[Path]:
    # Quarto's `folder/**` means files; pathlib's means folders before Python 3.13.
    patterns = [f"{pattern}/*" if pattern.endswith("**") else pattern for pattern in patterns]
    return [path for pattern in patterns for path in sorted(root.glob(pattern)) if path.is_file()]


def _read(source: Path, root: Path, into: Path) -> notebook_markdown.Page:
    path = source.relative_to(root).with_suffix(".html").as_posix()
    try:
        if source.suffix == ".ipynb":
            return notebook_markdown.read(source, path, into)
        text = source.read_text(encoding="utf-8")
        front = FRONT_MATTER.match(text)
        metadata = yaml.safe_load(front[1]) if front else {}
    except (ValueError, KeyError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{source.name}: cannot be read: {why}; the site is unchanged") from error
    wide = metadata.get("page-layout") == "full"
    return notebook_markdown.Page(path, source, metadata.get("title", source.stem), text, wide)


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
