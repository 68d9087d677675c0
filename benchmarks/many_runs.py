"""Seconds that a study of many runs takes: its listing, the data of its page of runs, that page.

    python -m benchmarks.many_runs [--runs 2000] [--repeats 5]

A few small networks are trained on the digits, of two architectures and several augmentations; all
other runs are copies of their records with other seeds. Rows, medians over the repeats:

* find: the finished runs of a store; with recipe, dataset and figures of each; as reference runs,
  which are found only when they have all their files and the id of their recipe;
* prepare: what `python -m report` writes for the page of runs, into an empty folder and again;
* page: from navigation in Chromium without a window, its cache empty, to the first rows of the
  table, with these runs and with five.

Files are in the system's cache.

2,000 runs, two idle cores of an AMD EPYC:

                                      what  seconds  quickest  slowest
                                      find     0.02      0.02     0.02
    find, with recipe, dataset and figures     0.23      0.22     0.48
         find, the same, as reference runs     0.36      0.36     0.62
                                   prepare     2.02      1.87     2.42
                             prepare again     1.25      0.97     1.26
                            page of 5 runs     0.55      0.48     0.57
                                      page     0.82      0.76     0.90
"""

import argparse
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from lib.data.dataset import Dataset, load
from lib.files import write_json
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RECORD, Run, RunStore, run_id
from report import pandoc_edition
from report.prepare import GENERATED, write_runs
from report.server import Server

PROJECT = Path(__file__).parents[1]
RECIPES = (
    *(Recipe(epochs=12, width=8, augmentation=name) for name in ("none", "flip_crop", "mixup")),
    Recipe(epochs=12, width=8, lr=0.2),
    Recipe(model="resnet18", epochs=1, lr=0.05, augmentation="none"),
)
FEW = 5


def main() -> None:
    """Measure everything by turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        print(f"making {options.runs:,} runs ...", file=sys.stderr)
        store = write_copies(scratch, options.runs)
        table = [*of_library(scratch, store, options.repeats)]
        table += of_page(scratch, store, options.repeats)
    print(pd.DataFrame(table).to_string(index=False, float_format="{:.2f}".format))


def write_copies(scratch: Path, count: int) -> RunStore:
    """A store of so many finished runs, of which few were trained."""
    dataset = load("digits")
    trained = RunStore(scratch / "trained")
    runs = [fit(recipe, dataset, trained, "cpu") for recipe in RECIPES]
    store = RunStore(scratch / "runs", scratch / "none")
    for number in range(count):
        seed, kind = divmod(number, len(runs))
        copy(runs[kind], runs[kind].recipe.replace(seed=seed), dataset, store)
    return store


def copy(run: Run, recipe: Recipe, dataset: Dataset, store: RunStore) -> None:
    """Put the record of a run under the id of another recipe, without weights."""
    folder = store.root / run_id(recipe, dataset)
    folder.mkdir(parents=True)
    for name in RECORD:
        shutil.copyfile(run.path / name, folder / name)
    write_json(folder / "recipe.json", recipe.to_dict())


def of_library(scratch: Path, store: RunStore, repeats: int) -> Iterator[dict[str, object]]:
    """The rows of what Python does."""
    references = RunStore(scratch / "none", store.root)
    data = scratch / "data"

    def figures(store: RunStore) -> list[object]:
        return [(run.recipe, run.dataset, run.summary) for run in store.finished()]

    yield row("find", repeats, store.finished)
    yield row("find, with recipe, dataset and figures", repeats, lambda: figures(store))
    yield row("find, the same, as reference runs", repeats, lambda: figures(references))
    prepare = lambda: write_runs(store.finished(), data)  # noqa: E731
    yield row("prepare", repeats, prepare, lambda: shutil.rmtree(data, ignore_errors=True))
    yield row("prepare again", repeats, prepare)


def of_page(scratch: Path, store: RunStore, repeats: int) -> list[dict[str, object]]:
    """The rows of what a browser does, in turns."""
    few = store.finished()[:FEW]
    sites = {f"page of {FEW} runs": few, "page": store.finished()}
    taken: dict[str, list[float]] = {name: [] for name in sites}
    for number, runs in enumerate(sites.values()):
        write_site(scratch / f"project-{number}", scratch / "sites" / str(number), runs)
    with browser() as open_page, Server(scratch / "sites", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for _ in range(repeats):
            for number, name in enumerate(sites):
                address = f"http://127.0.0.1:{server.server_port}/{number}/report/runs.html"
                taken[name].append(open_page(address))
        server.shutdown()
    return [summary(name, seconds) for name, seconds in taken.items()]


def write_site(project: Path, site: Path, runs: list[Run]) -> None:
    """The pages that all studies share, with the data of these runs."""
    shutil.copytree(PROJECT / "report", project / "report", ignore=generated)
    shutil.copyfile(PROJECT / "_quarto.yml", project / "_quarto.yml")
    write_runs(runs, project / GENERATED)
    pandoc_edition.render(project, site)


def generated(folder: str, names: list[str]) -> list[str]:
    """What a study has written beside the sources of the pages."""
    return [name for name in names if name in ("generated", "studies")]


@contextmanager
def browser() -> Iterator[Callable[[str], float]]:
    """Opens an address in a fresh window; returns the seconds until a table there has rows."""
    from playwright.sync_api import sync_playwright  # here, for only these rows need it

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=["--no-sandbox"])

        def open_page(address: str) -> float:
            context = chromium.new_context(viewport={"width": 1360, "height": 850})
            page = context.new_page()
            start = time.perf_counter()
            page.goto(address, wait_until="commit")
            page.wait_for_selector(".tabulator-row")
            seconds = time.perf_counter() - start
            context.close()
            return seconds

        yield open_page
        chromium.close()


def row(
    name: str, repeats: int, act: Callable[[], object], before: Callable[[], object] = int
) -> dict[str, object]:
    """The seconds of an act, which `before` goes before; the first time does not count."""
    taken = []
    for _ in range(repeats + 1):
        before()
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return summary(name, taken[1:])


def summary(name: str, seconds: list[float]) -> dict[str, object]:
    return {
        "what": name,
        "seconds": statistics.median(seconds),
        "quickest": min(seconds),
        "slowest": max(seconds),
    }


if __name__ == "__main__":
    main()
