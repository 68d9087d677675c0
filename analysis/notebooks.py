"""The study's notebooks: their parameters, whether they changed, and how one is executed.

An executed copy is written into the folder of its study, whole or not at all, without timestamps,
and remembers in its metadata what it was made from and which runs it used. A notebook whose source,
parameters, `lib` and dataset are still the same is not executed again.
"""

import ast
import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lib import progress
from lib.data.picture_files import UnreadablePicture
from lib.errors import UserError
from lib.files import read_json, replacing
from lib.pages.markdown import raw_block
from lib.pages.notebook import title
from lib.study.study import HOME, STUDIES

ROOT = Path(__file__).parent.parent
SUMS_UP = ("day4", "day5", "home")  # notebooks that read the runs of those before them
USER_ERRORS = {UserError.__name__, UnreadablePicture.__name__}  # a kernel tells only the name


@dataclass(frozen=True)
class Notebook:
    """One notebook of the study: its source in analysis/, and where its executed copy belongs."""

    source: Path
    executed: Path

    @property
    def name(self) -> str:
        return self.source.stem

    @property
    def day(self) -> str:
        """`day3` of day3_transfer, `home` of home: what `--only` takes."""
        return self.name.partition("_")[0]

    @property
    def title(self) -> str:
        """The notebook's first heading."""
        return title(read_notebook(self.source)) or self.name

    def defaults(self) -> dict[str, Any]:
        """The parameters that the notebook takes, with the values that it falls back on."""
        for cell in read_notebook(self.source)["cells"]:
            if "parameters" in cell["metadata"].get("tags", []):
                statements = ast.parse("".join(cell["source"])).body
                return {
                    statement.targets[0].id: ast.literal_eval(statement.value)
                    for statement in statements
                    if isinstance(statement, ast.Assign)
                    and isinstance(statement.targets[0], ast.Name)
                }
        return {}

    def parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of `values` that this notebook takes, a number of the type of its default.

        So 1 and 1.0, which JSON tells apart, are the same learning rate.
        """
        defaults = self.defaults()
        return {
            name: float(value) if (type(defaults[name]), type(value)) == (float, int) else value
            for name, value in values.items()
            if name in defaults
        }

    def lacks_bundle(self, parameters: Mapping[str, Any]) -> bool:
        """Whether the notebook writes a bundle, and that is not there (any more)."""
        folder = (self.defaults() | dict(parameters)).get("bundle")
        return folder is not None and not (ROOT / folder / "bundle.json").is_file()

    def record(self) -> dict[str, Any]:
        """What the executed copy says of its making; nothing if there is no copy."""
        if not self.executed.exists():
            return {}
        return read_notebook(self.executed)["metadata"].get("daybook", {})


def in_order(study: Path) -> list[Notebook]:
    """The days in their order, then the home page, which sums them up, of the study in a folder."""
    folder = Path(__file__).parent
    sources = [*sorted(folder.glob("day*.ipynb")), folder / f"{HOME}.ipynb"]
    return [Notebook(source, study / source.name) for source in sources]


def all_defaults() -> dict[str, Any]:
    """Every parameter that a user gives to a notebook, with its default."""
    defaults: dict[str, Any] = {}
    for notebook in in_order(ROOT / STUDIES):
        defaults |= notebook.defaults()
    defaults.pop("study", None)  # which the command gives
    return defaults


def key(
    notebook: Notebook, parameters: Mapping[str, Any], content: str, upstream: list[str]
) -> str:
    """What the executed copy depends on, hashed: its source, parameters, `lib`, pictures.

    `content` is the key of the pictures; `upstream` holds the keys of the notebooks whose runs this
    one sums up, as far as they are made.
    """
    used = notebook.defaults() | dict(parameters)
    cells = [
        (cell["cell_type"], "".join(cell["source"]))
        for cell in read_notebook(notebook.source)["cells"]
    ]
    made_from = [cells, used, library_digest(), content, upstream]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]


def library_digest() -> str:
    """A hash of all files of lib and its packages, the code and the texts that it fills in."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "lib").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def execute(notebook: Notebook, parameters: Mapping[str, Any], record: dict[str, Any]) -> None:
    """Run the notebook from the project's root and write its executed copy, all or nothing.

    The record comes to hold the `seconds` that it took, and the ids of the runs that it used.

    Raises
    ------
    UserError   what a cell raised as the user's mistake, in its own words; and for a name that the
                executed copy cannot hold, which is in UTF-8
    papermill.PapermillExecutionError   for any other error in a cell; its last line names notebook,
                                        cell and error
    """
    import nbformat  # seconds to import, and most calls find nothing to execute
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    started = time.monotonic()
    begun: list[int] = []  # which cells were
    replies: list[dict[str, Any]] = []  # the kernel's, to a cell that failed
    try:
        with TemporaryDirectory() as scratch, progress.heard() as events:
            executed = papermill.execute_notebook(
                str(notebook.source),
                str(Path(scratch) / notebook.source.name),
                dict(parameters),
                cwd=str(ROOT),
                progress_bar=False,
                request_save_on_cell_execute=False,
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
                on_cell_execute=lambda cell, cell_index: begun.append(cell_index),
                on_cell_error=lambda cell, cell_index, execute_reply: replies.append(
                    execute_reply["content"]
                ),
            )
        record["seconds"] = round(time.monotonic() - started, 1)
        record |= used_runs(events)
        tidy(executed, record)
        with replacing(notebook.executed) as file:
            file.write(f"{nbformat.writes(executed)}\n".encode())
    except UserError:
        raise
    except Exception as error:
        # Papermill's own error lacks words where the kernel could not send its traceback.
        reply = replies[-1] if replies else {}
        name, words = reply.get("ename", type(error).__name__), reply.get("evalue", str(error))
        if name in USER_ERRORS:
            raise UserError(f"{notebook.name}: {words}") from None
        if name == UnicodeEncodeError.__name__ and "surrogates" in words:
            raise UserError(
                f"{notebook.name}: a name is not in UTF-8 ({words}); rename the file or folder "
                "that it is of"
            ) from error
        place = f"{notebook.name}, cell {len(begun)}" if begun else notebook.name
        error.add_note(f"{place}: {' '.join(f'{name}: {words}'.split())}")
        raise


def used_runs(events: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """The ids of the runs that a notebook trained, or found trained, and of those it compared."""
    trained: set[str] = set()
    compared: set[str] = set()
    for event in events:
        if event["event"] == "finished":
            trained.add(event["run_id"])
        elif event["event"] == "compared":
            compared.update(event["run_ids"])
    return {"trained": sorted(trained), "compared": sorted(compared)}


def tidy(executed: dict[str, Any], record: dict[str, Any]) -> None:
    """Drop what differs from one execution to the next, and what libraries wrote to stderr.

    What cells printed and what parameters hold becomes text that Quarto does not interpret: it runs
    what stands between `{{<` and `>}}` even in code, and ends the code at a fence in the output.
    """
    executed["metadata"].pop("papermill", None)
    executed["metadata"]["daybook"] = record
    for number, cell in enumerate(executed["cells"], start=1):
        cell["id"] = f"cell-{number}"
        for transient in ("papermill", "execution"):
            cell["metadata"].pop(transient, None)
        if cell["cell_type"] == "code":
            cell["outputs"] = [printed(o) for o in cell["outputs"] if o.get("name") != "stderr"]
            if "injected-parameters" in cell["metadata"].get("tags", []):
                source = "".join(cell["source"]).replace("{{<", r"{{\x3c")  # the same string
                cell["source"] = source.splitlines(keepends=True)


def printed(output: dict[str, Any]) -> dict[str, Any]:
    """A cell's output; what it printed is shown as it is in a block of HTML."""
    if output["output_type"] != "stream":
        return output
    text = "".join(output["text"])
    shown = raw_block(f"<pre><code>{escape(text)}</code></pre>")
    data = {"text/markdown": shown, "text/plain": text}
    return type(output)(output_type="display_data", data=data, metadata={})


def read_notebook(path: Path) -> dict[str, Any]:
    """The notebook's JSON."""
    return read_json(path)
