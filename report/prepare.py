"""Write the data that the pages load, from the study's results: `python -m report.prepare`.

It is written to `report/assets/generated/`, which is not committed:

    vega.js             the one copy of Vega, Vega-Lite and Vega-Embed, from vl-convert
    pages.js            the executed notebooks: by the path of their page, study and command
    studies.json        the studies and their pages, for `report.navigation`
    notebooks/          the executed notebooks, to download
    runs-data.js        every finished run, without its history
    history/<run>.js    the history of one run, loaded when a reader opens it
    runs.csv, runs.json, histories.csv    the same for other programs

Data is written as scripts, because a page at file:// may load scripts but not other files. A file
with the same content is not written again, because `quarto preview` renders after every write.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert

from lib.errors import command
from lib.files import to_json, write_if_changed
from lib.study.study import Study, latest
from lib.training.runs import Run, RunStore
from report.studies import Shown, lay_out, shown

Curves = dict[str, list[float]]  # a run's history by column

GENERATED = Path("report") / "assets" / "generated"


def prepare(root: Path, studies: Sequence[str] = ()) -> Shown:
    """Write everything in `root`'s generated folder, and the pages that studies have in common.

    Parameters
    ----------
    studies : names   those that the site shows; default: all

    Raises
    ------
    UserError   if there is no study, none of that name, or an executed notebook is damaged
    """
    folder, store = root / GENERATED, RunStore(root / "runs")
    on = shown(root, studies)
    lay_out(on, store)
    write_vega(folder)
    write_pages(on, folder)
    write_runs(store.finished(), folder, on.studies)
    return on


def write_vega(folder: Path) -> None:
    """Bundle Vega, unless the existing bundle is of the installed version."""
    target = folder / "vega.js"
    stamp = f"// Vega, Vega-Lite and Vega-Embed, from vl-convert {version('vl-convert-python')}\n"
    if target.exists() and target.read_text(encoding="utf-8").startswith(stamp):
        return
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # The bundle's constants are top-level; the function keeps them out of the page's scope.
    write_if_changed(target, f"{stamp}(function () {{\n{bundle}\n}})();\n")


def write_pages(shown: Shown, folder: Path) -> None:
    """Write how each page was made, the notebooks to download, and the studies with their pages."""
    made, studies = {}, []
    for study in shown.studies:
        for path in study.notebooks():
            page, copy = study.pages[path.stem], Path("notebooks") / study.address / path.name
            record = {name: page.record.get(name) for name in ("command", "seconds")}
            place = {"study": study.name, "notebook": f"generated/{copy.as_posix()}"}
            made[shown.page(study, path.stem)] = {"title": page.title, **place, **record}
            write_if_changed(folder / copy, path.read_text(encoding="utf-8"))
        earlier = {
            name: notice(page.record) for name, page in study.pages.items() if study.outdated(name)
        }
        studies.append({"name": study.name, "address": study.address, "earlier": earlier})
    write_script(folder / "pages.js", "pages", made)
    everything = {"latest": latest(shown.studies).address, "studies": studies}
    write_if_changed(folder / "studies.json", json.dumps(everything, indent=1) + "\n")


def notice(record: dict[str, Any]) -> str:
    """What a page says whose pictures have changed since it was made, by the record of that."""
    return (
        f"This page is about earlier pictures (content {record['content']}): the files of "
        f"{Path(record['dataset']).name} have changed since it was made."
    )


# Runs


def write_runs(runs: Iterable[Run], folder: Path, studies: Sequence[Study] = ()) -> None:
    """Write the data of the runs, and delete the histories of runs that no longer exist.

    A run has the names of the `studies` that use it, and of those whose `earlier` pictures it saw.
    """
    used = {study.name: study.used() for study in studies}
    before = {study.name: study.used(earlier=True) for study in studies}
    rows: list[dict[str, Any]] = []
    histories: dict[str, Curves] = {}
    for run in runs:
        curves = histories[run.run_id] = run.curves
        rows.append(
            {
                "id": run.run_id,
                "studies": [name for name, ids in used.items() if run.run_id in ids],
                "earlier": [name for name, ids in before.items() if run.run_id in ids],
                "recipe": run.recipe.to_dict(),
                "dataset": run.dataset,
                "environment": run.environment,
                "summary": {**run.summary, **last_values(curves)},
            }
        )
    short = {
        id: {name: rounded(values) for name, values in curves.items()}
        for id, curves in histories.items()
    }
    for id, columns in short.items():
        write_script(folder / "history" / f"{id}.js", f"histories[{json.dumps(id)}]", columns)
    for path in (folder / "history").glob("*.js"):
        if path.stem not in histories:
            path.unlink()
    write_script(folder / "runs-data.js", "runs", rows)
    whole = [{**row, "history": short[row["id"]]} for row in rows]
    write_if_changed(folder / "runs.json", to_json(whole))
    write_if_changed(folder / "runs.csv", table(rows).to_csv(index=False))
    write_if_changed(folder / "histories.csv", epochs_table(histories))


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


def epochs_table(histories: Mapping[str, Curves]) -> str:
    """One row per epoch of every run, as CSV; a column that a run's history lacks is empty."""
    columns = dict.fromkeys(name for curves in histories.values() for name in (*curves, "run_id"))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    for id, curves in histories.items():
        for values in zip(*curves.values(), strict=True):
            cells = ("" if math.isnan(value) else value for value in values)
            writer.writerow({"run_id": id, **dict(zip(curves, cells, strict=True))})
    return text.getvalue()


def last_values(curves: Curves) -> dict[str, float]:
    """Validation accuracy and loss of the last epoch, to compare with those of the best one."""
    return {f"last_{name}": curves[name][-1] for name in ("val_accuracy", "val_loss")}


def rounded(values: Iterable[float]) -> list[float | None]:
    """Values with five significant digits, None for those that are not finite."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


# Writing


def write_script(path: Path, name: str, value: Any) -> None:
    """Write `value` as a script that sets `daybook.<name>`."""
    body = to_json(value, separators=(",", ":"))
    declared = "window.daybook = window.daybook || {}; daybook.histories = daybook.histories || {};"
    write_if_changed(path, f"{declared}\ndaybook.{name} = {body};\n")


def main() -> None:
    """Prepare all studies of the project that one is in, as Quarto's pre-render step."""
    prepare(Path.cwd())


if __name__ == "__main__":
    command(main)
