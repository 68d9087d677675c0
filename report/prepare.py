"""Write the data that the pages load, from the study's results: `python -m report.prepare`.

It is written to `report/assets/generated/`, which is not committed:

    vega.js             the one copy of Vega, Vega-Lite and Vega-Embed, from vl-convert
    study.js            the command of each executed notebook, and whether there is a gallery
    notebooks/          the executed notebooks, to download
    runs-data.js        every finished run, without its history
    history/<run>.js    the history of one run, loaded when a reader opens it
    runs.csv, runs.json, histories.csv    the same for other programs

Data is written as scripts, because a page at file:// may load scripts but not other files. A file
with the same content is not written again, because `quarto preview` renders after every write.
"""

import json
import math
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert

from lib.errors import UserError, command
from lib.files import without_nan, write_text
from lib.pages.notebook import title
from lib.training.runs import Run, RunStore

GENERATED = Path("report") / "assets" / "generated"


def prepare(root: Path) -> None:
    """Write everything in `root`'s generated folder."""
    folder = root / GENERATED
    write_vega(folder)
    write_study(root, folder)
    write_runs(RunStore(root / "runs").finished(), folder)


def write_vega(folder: Path) -> None:
    """Bundle Vega, unless the existing bundle is of the installed version."""
    target = folder / "vega.js"
    stamp = f"// Vega, Vega-Lite and Vega-Embed, from vl-convert {version('vl-convert-python')}\n"
    if target.exists() and target.read_text(encoding="utf-8").startswith(stamp):
        return
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # The bundle's constants are top-level; the function keeps them out of the page's scope.
    write_if_changed(target, f"{stamp}(function () {{\n{bundle}\n}})();\n")


def write_study(root: Path, folder: Path) -> None:
    """Write the command of each page, which the study has recorded, and the notebooks to download.

    Raises
    ------
    UserError   if an executed notebook is damaged
    """
    days = root / "report" / "days"
    pages = {}
    for path in [root / "index.ipynb", *sorted(days.glob("*.ipynb"))]:
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        try:
            notebook = json.loads(text)
            name = title(notebook) or path.stem
            pages[path.stem] = {"title": name, **notebook["metadata"].get("daybook", {})}
        except (ValueError, KeyError) as error:
            where = path.relative_to(root)
            raise UserError(
                f"{where}: not a notebook; delete it and run `python -m analysis` again"
            ) from error
        write_if_changed(folder / "notebooks" / path.name, text)
    gallery = (days / "gallery" / "gallery.js").exists()
    write_script(folder / "study.js", "study", {"pages": pages, "gallery": gallery})


# Runs


def write_runs(runs: Iterable[Run], folder: Path) -> None:
    """Write the data of the runs, and delete the histories of runs that no longer exist."""
    rows: list[dict[str, Any]] = []
    histories: list[pd.DataFrame] = []
    for run in runs:
        history = run.history
        histories.append(history.assign(run_id=run.run_id))
        rows.append(
            {
                "id": run.run_id,
                "recipe": run.recipe.to_dict(),
                "dataset": run.dataset,
                "environment": run.environment,
                "summary": {**run.summary, **last_values(history)},
            }
        )
    columns = [
        {name: rounded(history[name]) for name in history if name != "run_id"}
        for history in histories
    ]
    for row, values in zip(rows, columns, strict=True):
        id = row["id"]
        write_script(folder / "history" / f"{id}.js", f"histories[{json.dumps(id)}]", values)
    run_ids = {row["id"] for row in rows}
    for path in (folder / "history").glob("*.js"):
        if path.stem not in run_ids:
            path.unlink()
    write_script(folder / "runs-data.js", "runs", rows)
    whole = [{**row, "history": values} for row, values in zip(rows, columns, strict=True)]
    write_if_changed(folder / "runs.json", json.dumps(without_nan(whole)))
    write_table(folder / "runs.csv", table(rows))
    write_table(folder / "histories.csv", pd.concat(histories) if rows else pd.DataFrame())


def table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One row per run: the recipe's fields, then the results.

    A result with the name of a field (the numerical precision in the recipe and the one used) has
    the ending `_used`, as on the page. A field that a run's recipe lacks is empty.
    """
    fields = dict.fromkeys(name for row in rows for name in row["recipe"])
    lines = [
        {
            "run_id": row["id"],
            "dataset": row["dataset"]["name"],
            **fields,
            **row["recipe"],
            **{f"{name}_used" if name in fields else name: v for name, v in row["summary"].items()},
        }
        for row in rows
    ]
    return pd.DataFrame(lines, dtype=object)  # whole numbers stay whole beside empty cells


def last_values(history: pd.DataFrame) -> dict[str, float]:
    """Validation accuracy and loss of the last epoch, to compare with those of the best one."""
    last = history.iloc[-1]
    return {f"last_{name}": float(last[name]) for name in ("val_accuracy", "val_loss")}


def rounded(values: pd.Series) -> list[float | None]:
    """Values with five significant digits, None for those that are not finite."""
    return [float(f"{v:.5g}") if math.isfinite(v) else None for v in values.astype(float)]


# Writing


def write_script(path: Path, name: str, value: Any) -> None:
    """Write `value` as a script that sets `daybook.<name>`."""
    body = json.dumps(without_nan(value), separators=(",", ":"))
    declared = "window.daybook = window.daybook || {}; daybook.histories = daybook.histories || {};"
    write_if_changed(path, f"{declared}\ndaybook.{name} = {body};\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV."""
    write_if_changed(path, table.to_csv(index=False))


def write_if_changed(path: Path, text: str) -> None:
    """Write `text`, unless it is already the content of the file."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


if __name__ == "__main__":
    command(lambda: prepare(Path.cwd()))
