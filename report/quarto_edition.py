"""Render the site with Quarto, from a copy of its sources that does not run the study."""

import shutil
from collections.abc import Collection
from pathlib import Path

import yaml

from report.processes import run

SITE_SECONDS = 600


def render(root: Path, into: Path, scratch: Path, left_out: Collection[Path] = ()) -> None:
    """Render `root`'s site into `into`; the sources are copied to `scratch` for it.

    Nothing is rendered of the folders `left_out`.

    Raises
    ------
    UserError   if Quarto fails or exceeds its time limit
    """
    config = yaml.safe_load((root / "_quarto.yml").read_text(encoding="utf-8"))
    # These steps are for `quarto render` alone; `python -m report` has already run them.
    del config["project"]["pre-render"], config["project"]["post-render"]
    config["project"]["output-dir"] = "_site"

    def ignored(folder: str, names: list[str]) -> set[str]:
        away = {path.name for path in left_out if path.parent == Path(folder)}
        return away | code(folder, names)

    code = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(root / "report", scratch / "report", ignore=ignored)
    if (root / "index.ipynb").exists():
        shutil.copyfile(root / "index.ipynb", scratch / "index.ipynb")
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (scratch / "_quarto.yml").write_text(text, encoding="utf-8")
    run(["quarto", "render", "--no-execute"], scratch, SITE_SECONDS, "Quarto")
    (scratch / "_site").rename(into)
