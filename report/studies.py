"""The studies of the site: where their pages are, and the start page where there are several.

With one study its home page is the site's own. With several, each has its home page among its other
pages, and the site starts with a card for each.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from lib.errors import UserError, nearest
from lib.files import read_json, write_if_changed
from lib.pages.display import unbroken
from lib.pages.markdown import raw_block
from lib.pages.wording import count, listed, per_cent
from lib.study.home import interval_words
from lib.study.ranking import best_of
from lib.study.selection import accuracy_of
from lib.study.study import HOME, STUDIES, Study, found
from lib.training.runs import Run, RunStore
from report.navigation import page_path

GALLERY_PAGE = Path("report") / "study" / "gallery.qmd"
QUOTED_CLASSES = 6  # of a study's question


@dataclass(frozen=True)
class Shown:
    """The studies that the site shows, by name."""

    root: Path
    studies: tuple[Study, ...]

    @property
    def several(self) -> bool:
        return len(self.studies) > 1

    def page(self, study: Study, name: str) -> str:
        """The path of a study's page in the site, such as `report/studies/demo/gallery.html`."""
        page = "index" if name == HOME else name
        return page_path(study.address, page, several=self.several)

    def left_out(self) -> set[Path]:
        """The folders of studies that are there but not shown."""
        shown = {study.path for study in self.studies}
        return set((self.root / STUDIES).glob("*/")) - shown


def shown(root: Path, names: Sequence[str] = ()) -> Shown:
    """The studies of these names or addresses; none: all that have a home page.

    Raises
    ------
    UserError   if there is no study, or none of that name
    """
    studies = [study for study in found(root) if (study.path / f"{HOME}.ipynb").exists()]
    if not studies:
        raise UserError(
            "no study has created its pages yet; run `make site` or `python -m analysis`"
        )
    chosen = []
    for name in names:
        matching = [study for study in studies if name in (study.name, study.address)]
        if not matching:
            known = [study.name for study in studies]
            raise UserError(f"--study: no study {name!r} with pages{nearest(name, known)}")
        chosen += matching
    kept = [study for study in studies if study in chosen] if names else studies
    return Shown(root, tuple(kept))


def lay_out(shown: Shown, store: RunStore) -> None:
    """Put the sources of home pages, start page and galleries where they are rendered."""
    gallery = (shown.root / GALLERY_PAGE).read_text(encoding="utf-8")
    start = start_page(shown, store) if shown.several else _executed_home(shown.studies[0])
    _write(shown.root / "index.ipynb", start)
    for study in shown.studies:
        _write(study.path / "index.ipynb", _executed_home(study) if shown.several else None)
        has_gallery = (study.path / "gallery" / "gallery.js").exists()
        _write(study.path / GALLERY_PAGE.name, gallery if has_gallery else None)


def _write(path: Path, content: str | dict[str, Any] | None) -> None:
    """Make the file hold a text or a notebook; None takes it away."""
    if content is None:
        path.unlink(missing_ok=True)
    else:
        text = content if isinstance(content, str) else f"{json.dumps(content, indent=1)}\n"
        write_if_changed(path, text)


def _executed_home(study: Study) -> dict[str, Any]:
    notebook: dict[str, Any] = read_json(study.path / f"{HOME}.ipynb")
    return notebook


def start_page(shown: Shown, store: RunStore) -> dict[str, Any]:
    """A notebook with a card for each study."""
    cards = "".join(card(shown, study, store) for study in shown.studies)
    text = (
        "# Vision Daybook\n\n"
        f"{count(len(shown.studies), 'study', 'studies')} of image classification. [All runs]"
        "(runs.html) can be sorted, filtered and compared over the studies.\n\n"
    )
    cards = raw_block(f'<div class="daybook-cards">{cards}</div>')
    source = f"{text}{cards}".splitlines(keepends=True)
    cell = {"cell_type": "markdown", "id": "studies", "metadata": {}, "source": source}
    return {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def card(shown: Shown, study: Study, store: RunStore) -> str:
    """A study's card: its question, its pictures, its best figure, its date."""
    compared = study.pages[HOME].compared
    runs = [run for run in store.finished() if run.run_id in compared]
    lines = _summary(runs) if runs else ["Its runs are not stored here any more."]
    if study.outdated(HOME):
        lines.append("These figures are about earlier pictures.")
    inner = "".join(f"<span>{unbroken(line)}</span>" for line in lines)
    address = escape(shown.page(study, HOME))
    return (
        f'<a class="daybook-card" href="{address}"><strong>{escape(study.name)}</strong>{inner}</a>'
    )


def _summary(runs: Sequence[Run]) -> list[str]:
    best = best_of(runs)
    dataset, accuracy = best.dataset, accuracy_of(best)
    classes = dataset["classes"]
    pictures = count(sum(dataset["pictures"].values()), "picture")
    started = max(str(run.environment.get("started", "")) for run in runs)
    return [
        f"Which of {len(classes)} classes does a picture show: {listed(classes, QUOTED_CLASSES)}?",
        f"{pictures} ({dataset['name']}), {count(len(runs), 'run')}{_day(started)}",
        f"Test accuracy of the best run: {per_cent(accuracy.value)} ({interval_words(accuracy)})",
    ]


def _day(moment: str) -> str:
    """`, 27 November 2026` of a moment in ISO 8601; nothing of another text."""
    try:
        day = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    return f", {day.day} {day:%B %Y}"
