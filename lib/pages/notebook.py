"""The title and the finding of a notebook, from its JSON."""

import html
import re
from typing import Any

FINDING = "daybook-finding"  # the class of a finding's paragraph
PARAGRAPH = re.compile(rf'<p class="{FINDING}">(.*?)</p>', re.DOTALL)


def title(notebook: dict[str, Any]) -> str | None:
    """The notebook's first heading, or its front matter's title."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            continue
        for line in "".join(cell["source"]).splitlines():
            if line.startswith(("# ", "title: ")):
                return line.partition(" ")[2].strip().strip("\"'")
    return None


def finding(notebook: dict[str, Any]) -> str:
    """The first finding among the outputs of an executed notebook, as text."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            markdown = "".join(output.get("data", {}).get("text/markdown", ""))
            if paragraph := PARAGRAPH.search(markdown):
                return html.unescape(paragraph[1])
    return ""
