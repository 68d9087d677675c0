"""Convert an executed notebook to Markdown, for Pandoc.

Pandoc can read notebooks, but it omits outputs that are Markdown and ignores the tags of cells.
"""

import base64
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.pages.markdown import raw_block
from lib.pages.notebook import title

HIDDEN = {"remove-cell": "all", "hide-cell": "all", "hide-code": "code", "hide-output": "output"}
PICTURES = {"image/png": "png", "image/jpeg": "jpg"}
HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A page before it is rendered."""

    path: str  # of the HTML file, relative to the site's root
    source: Path
    title: str
    text: str  # Markdown
    wide: bool = False  # full width, without a table of contents


def read(source: Path, path: str, site: Path) -> Page:
    """The notebook as a page; its pictures are written next to the page's path in `site`."""
    notebook = json.loads(source.read_text(encoding="utf-8"))
    pictures = (site / path).with_name(f"{Path(path).stem}_files")
    parts = []
    for number, cell in enumerate(notebook["cells"]):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
        elif cell["cell_type"] == "code":
            tags = cell["metadata"].get("tags", [])
            parts.append(_code_cell(text, cell["outputs"], tags, pictures / f"cell-{number}"))
    # The template shows the title.
    text = HEADING.sub("", "\n\n".join(parts), count=1)
    return Page(path, source, title(notebook) or source.stem, text)


def _code_cell(source: str, outputs: list[dict[str, Any]], tags: list[str], picture: Path) -> str:
    hidden = {HIDDEN[tag] for tag in tags if tag in HIDDEN}
    if "all" in hidden:
        return ""
    parts = []
    lines = "\n".join(line for line in source.splitlines() if not line.startswith("#|")).strip()
    if lines and "code" not in hidden:
        fold = '```{=html}\n<details class="code-fold"><summary>Code</summary>\n```'
        close = "```{=html}\n</details>\n```"
        parts += [fold, _fenced(lines, "python"), close]
    if "output" not in hidden:
        for number, output in enumerate(outputs):
            parts.append(_output(output, picture.with_name(f"{picture.name}-{number}")))
    return "\n\n".join([f'::: {{.cell tags="{" ".join(tags)}"}}', *parts, ":::"])


def _fenced(text: str, language: str = "") -> str:
    """A block of code between more backticks than the text has in a row."""
    fence = "`" * (3 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _output(output: dict[str, Any], picture: Path) -> str:
    """One output as Markdown, in the richest form that a page can show."""
    if output["output_type"] == "stream":
        return _fenced("".join(output["text"]))
    if output["output_type"] == "error":
        return _fenced(f"{output['ename']}: {output['evalue']}")
    data = output["data"]
    for kind, ending in PICTURES.items():
        if kind in data:
            path = picture.with_suffix(f".{ending}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode("".join(data[kind])))
            return f"![]({path.parent.name}/{path.name})"
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    if "text/html" in data:
        return raw_block("".join(data["text/html"]))
    return _fenced("".join(data.get("text/plain", "")))
