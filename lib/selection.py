"""Which runs are compared: found, grouped, named, tabled."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import pandas as pd

from lib.training.runs import Run


def results(runs: Iterable[Run]) -> pd.DataFrame:
    """A row a run: its id, its recipe's fields, its summary's figures, its page on the site."""
    return pd.DataFrame(
        {
            "run_id": run.run_id,
            **asdict(run.recipe),
            **run.summary,
            "page": f"runs.html#run={run.run_id}",
        }
        for run in runs
    )


def histories(runs: Iterable[Run], fields: Sequence[str] = ("model",)) -> pd.DataFrame:
    """The runs' histories one under the other, each row with its run's id, seed and `fields`."""
    tables = []
    for run in runs:
        values = {name: getattr(run.recipe, name) for name in (*fields, "seed")}
        tables.append(run.history.assign(run_id=run.run_id, **values))
    return pd.concat(tables, ignore_index=True)
