"""A study on disk: its name, the pictures that it is about, its pages, the runs that they use.

`report/studies/<address>/` holds

| file | is |
|---|---|
| `study.json` | the facts: fields of `Facts` |
| `day*.ipynb`, `home.ipynb` | executed notebooks, each with a record of its making |
| `gallery/`, `model_card.md` | what days 4 and 5 wrote for the site |

The bundle is `models/<address>/`. Runs are in `runs/`, which all studies share. What belongs to a
study is what its executed notebooks name: `trained`, the ids of the runs that a notebook trained or
found trained, and `compared`, those that it compared. The pages of a study take their runs from
there. A record also has `content`, the key of the pictures that the notebook was executed on
(`lib.data.sources.content_key`), so a page that is about earlier pictures is known as one.

Nothing here imports torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass as validated

from lib.data.sources import content_key
from lib.errors import UserError, explained
from lib.files import read_json, write_json
from lib.pages import notebook

STUDIES = Path("report") / "studies"
FACTS, HOME = "study.json", "home"
NamedBy = Literal["profile", "dataset", "name"]


@validated(frozen=True, config=ConfigDict(extra="forbid"))
class Facts:
    """What a study remembers beside its pages; checked when it is read."""

    name: str
    named_by: NamedBy  # by which of these a command finds it again
    source: str  # that profile, known dataset, folder (resolved) or name
    profile: str  # of a notebook that was not executed yet
    parameters: dict[str, Any]  # and its parameters over those of the profile
    dataset: str = ""  # as it was named at the last execution
    content: str = ""  # the key of its pictures then
    runs: dict[str, list[str]] = field(default_factory=dict)  # ids of runs trained, by content

    def after(self, record: Mapping[str, Any]) -> Self:
        """The facts when a notebook has been executed, by the record of its making."""
        content = record["content"]
        ids = {*self.runs.get(content, ()), *record["trained"]}
        runs = {**self.runs, content: sorted(ids)}
        return replace(self, dataset=record["dataset"], content=content, runs=runs)


@dataclass(frozen=True)
class Page:
    """An executed notebook: its title, its finding, and the record of its making."""

    title: str
    finding: str
    record: dict[str, Any]

    @property
    def trained(self) -> set[str]:
        """Ids of the runs that the notebook trained or found trained."""
        return set(self.record.get("trained", ()))

    @property
    def compared(self) -> set[str]:
        """Ids of the runs that the notebook compared."""
        return set(self.record.get("compared", ()))


@dataclass(frozen=True)
class Study:
    """The study in the folder `path`; it need not exist yet."""

    path: Path

    @property
    def address(self) -> str:
        """The name of its folder, which is a part of the addresses of its pages."""
        return self.path.name

    @property
    def name(self) -> str:
        return self.facts.name

    @cached_property
    def facts(self) -> Facts:
        """What the study remembers.

        Raises
        ------
        UserError   if its file is missing or damaged
        """
        file = self.path / FACTS
        try:
            values = read_json(file)
            if not isinstance(values, dict):
                raise ValueError("not a mapping")
            return Facts(**values)
        except ValidationError as error:
            why = explained(error)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(
            f"{file}: cannot be read ({why}); remove {self.path} and run the study again"
        )

    @cached_property
    def pages(self) -> dict[str, Page]:
        """Its executed notebooks by name: the days in their order, then home.

        Raises
        ------
        UserError   if one of them is damaged
        """
        return {path.stem: _page(path) for path in self.notebooks()}

    def notebooks(self) -> list[Path]:
        """The files of its executed notebooks: the days in their order, then home."""
        home = self.path / f"{HOME}.ipynb"
        return [*sorted(self.path.glob("day*.ipynb")), *([home] if home.exists() else [])]

    @property
    def trained(self) -> set[str]:
        """Ids of the runs that its executed notebooks trained or found trained."""
        return set().union(*(page.trained for page in self.pages.values()))

    def outdated(self, page: str) -> bool:
        """Whether the files of the pictures have changed since the page was made.

        Where they cannot be found any more, the last execution knows them.
        """
        record = self.pages[page].record
        return "content" in record and record["content"] != self._present(record["dataset"])

    def used(self, *, earlier: bool = False) -> set[str]:
        """Ids of all runs that it ever trained on the present pictures; or on `earlier` ones."""
        facts = self.facts
        present = set(facts.runs.get(self._present(facts.dataset), ()))
        return set().union(*facts.runs.values()) - present if earlier else present

    def _present(self, dataset: str) -> str:
        if dataset not in self._contents:
            try:
                self._contents[dataset] = content_key(dataset)
            except UserError:
                self._contents[dataset] = self.facts.content
        return self._contents[dataset]

    @cached_property
    def _contents(self) -> dict[str, str]:
        """The keys of the pictures of its datasets, as far as they were asked for."""
        return {}

    def save(self, facts: Facts) -> None:
        """Store what the study remembers from now on, which makes it the latest one."""
        write_json(self.path / FACTS, asdict(facts))


def _page(path: Path) -> Page:
    try:
        executed = read_json(path)
        title = notebook.title(executed) or path.stem
        record = executed["metadata"].get("daybook", {})
        return Page(title, notebook.finding(executed), record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not a notebook; delete it and run `python -m analysis` again"
        ) from error


def found(root: Path = Path()) -> list[Study]:
    """The studies of a project, by name."""
    folders = (path.parent for path in (root / STUDIES).glob(f"*/{FACTS}"))
    return sorted((Study(folder) for folder in folders), key=lambda study: study.name.casefold())


def latest(studies: Iterable[Study]) -> Study:
    """The study that was asked for last."""
    return max(studies, key=lambda study: (study.path / FACTS).stat().st_mtime_ns)
