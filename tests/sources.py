"""Copies of the project's sources, without what was made in them."""

import shutil
from pathlib import Path

from tests.imports import PROJECT


def copy_sources(root: Path, *names: str) -> None:
    """Copy files and folders of the project to `root`, which may hold some already."""
    for name in names:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, root / name, ignore=_made, dirs_exist_ok=True)
        else:
            shutil.copyfile(PROJECT / name, root / name)


def _made(folder: str, names: list[str]) -> set[str]:
    if Path(folder).name == "studies":
        return {name for name in names if Path(folder, name).is_dir()}
    return {"generated", "__pycache__"} & set(names)
