import shutil

import numpy as np
import pytest
from PIL import Image

from lib.data.dataset import load
from lib.errors import UserError
from lib.intervals import Range, recipe_accuracy
from lib.study import selection
from lib.study.ranking import best_of, recipes
from lib.study.selection import histories, results
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore


def test_tables_join_recipe_and_figures(run):
    table = results([run])
    assert table.loc[0, "augmentation"] == run.recipe.augmentation
    assert table.loc[0, "test_accuracy"] == run.summary["test_accuracy"]
    history = histories([run, run], ["augmentation"])
    assert len(history) == 2 * len(run.history)
    assert {"run_id", "seed", "augmentation", "val_loss"} <= set(history)


def test_every_way_of_training_has_its_best_run(several):
    _, runs = several
    ways = selection.best_by(runs, selection.setting_of)
    assert set(ways) == {
        "small CNN, no augmentation",
        "small CNN, Cutout",
        "ResNet-18, head only, random weights",
    }
    assert ways["small CNN, no augmentation"] == best_of(runs[:2])


def test_the_ablation_leaves_out_runs_that_differ_in_more(several, tiny, tmp_path):
    store, runs = several
    longer = fit(runs[0].recipe.replace(epochs=3), tiny, store, "cpu")
    assert selection.ablation([longer, *runs]) == runs[:4]
    assert selection.ablation([]) == []


def test_runs_without_weights_are_left_out_and_named(several, tmp_path):
    for run in several[1]:
        shutil.copytree(run.path, tmp_path / "results" / "group" / run.run_id)
    references = RunStore(tmp_path / "runs")
    found = references.finished()
    assert all(run.is_reference for run in found)
    assert selection.with_weights(found) == found
    assert selection.left_out(found, found) is None

    ranked = recipes(found)
    pair = next(group for group in ranked if len(group) == 2)
    (pair[1].path / "model.safetensors").unlink()  # of the seed that does not stand for its recipe
    assert selection.with_weights(found) == found
    assert recipes(selection.with_weights(found)) == ranked

    best = pair[0]
    shutil.copyfile(best.path / "model.safetensors", pair[1].path / "model.safetensors")
    (best.path / "model.safetensors").unlink()
    kept = selection.with_weights(found)
    assert kept == [run for run in found if run != best]
    note = selection.left_out(found, kept).text
    assert f"1 of {len(found)} runs" in note
    assert selection.setting_of(best) in note

    for run in kept:
        (run.path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"none of 5 runs .* remove that folder") as raised:
        selection.with_weights(found)
    assert "\n" not in str(raised.value)


def write_pictures(folder, pictures=24, seed=0):
    """Noise of two classes, as `<class>/<number>.png`."""
    random = np.random.default_rng(seed)
    for number in range(pictures):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def studied(tmp_path):
    """A folder of pictures, and a store of one run on all of them and one on the first few."""
    folder, store = tmp_path / "pictures", RunStore(tmp_path / "runs")
    write_pictures(folder)
    recipe = Recipe(width=4, epochs=1, batch_size=8, lr=0.1)
    whole, few = (load(folder, 8, root=tmp_path / "data", train_limit=n) for n in (0, 8))
    return folder, store, [fit(recipe, pictures, store, "cpu") for pictures in (whole, few)]


def found(folder, store, size=8, **options):
    pictures = load(folder, size, root=store.root.parent / "data", **options)
    return {run.run_id for run in selection.runs_on(store, pictures)}


def test_runs_on_the_first_training_pictures_are_on_the_same_dataset(studied):
    folder, store, runs = studied
    assert found(folder, store) == {run.run_id for run in runs}


def linked(folder):
    link = folder.parent / "link"
    link.symlink_to(folder)
    return link


def moved(folder):
    return folder.rename(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    "way",
    [linked, moved, lambda folder: folder / ".", lambda folder: folder / "a" / ".."],
    ids=["linked", "moved", "dot", "up"],
)
def test_another_way_to_the_same_pictures_finds_the_same_runs(studied, way):
    folder, store, runs = studied
    assert found(way(folder), store) == {run.run_id for run in runs}


def mend(folder):
    write_pictures(folder, seed=1)


def add(folder):
    write_pictures(folder, pictures=30)


def rename_a_class(folder):
    (folder / "a").rename(folder / "c")


def relabel(folder):
    (folder / "a" / "0.png").rename(folder / "b" / "0.png")


def split_otherwise(folder):
    paths = sorted(folder.glob("*/*.png"))
    rows = [f"{path.relative_to(folder).as_posix()},{path.parent.name}" for path in paths]
    (folder / "labels.csv").write_text("\n".join(["filename,label", *rows]))
    splits = [
        f"{row.partition(',')[0]},{'test' if i < 6 else 'train'}" for i, row in enumerate(rows)
    ]
    (folder / "splits.csv").write_text("\n".join(["filename,split", *splits]))


@pytest.mark.parametrize("change", [mend, add, rename_a_class, relabel, split_otherwise])
def test_a_run_on_earlier_pictures_is_not_found(studied, change):
    folder, store, _ = studied
    change(folder)
    with pytest.raises(UserError, match=r"no finished run on these pictures \(pictures, 8 px\)"):
        found(folder, store)


@pytest.mark.parametrize("options", [{"size": 9}, {"flip": False}], ids=str)
def test_a_run_on_the_same_files_read_otherwise_is_not_found(studied, options):
    folder, store, _ = studied
    with pytest.raises(UserError, match="no finished run on these pictures"):
        found(folder, store, **options)


def test_folders_of_one_name_do_not_share_runs(studied):
    folder, store, runs = studied
    other = folder.parent / "other" / "pictures"
    write_pictures(other, seed=1)
    run = fit(runs[0].recipe, load(other, 8, root=store.root.parent / "data"), store, "cpu")
    assert run.dataset["name"] == runs[0].dataset["name"]
    assert found(other, store) == {run.run_id}
    assert run.run_id not in found(folder, store)


def test_names_say_the_budget_where_budgets_differ(several, tiny, tmp_path):
    _, runs = several
    assert selection.naming(runs)(runs[0]) == selection.setting_of(runs[0])
    longer = fit(runs[0].recipe.replace(epochs=3), tiny, RunStore(tmp_path), "cpu")
    name = selection.naming([*runs, longer])
    assert name(longer) == "small CNN, no augmentation (96 × 3)"
    assert name(runs[0]) == "small CNN, no augmentation (96 × 2)"
    assert name(runs[1]) == name(runs[0])  # another seed


def test_a_recipes_accuracy_varies_with_seeds_and_pictures(several):
    _, runs = several
    correct = selection.correct_by_seed(runs[:4])
    assert correct.shape == (4, 30)
    assert correct.mean(axis=1).tolist() == pytest.approx(
        [run.summary["test_accuracy"] for run in runs[:4]]
    )
    assert selection.accuracy_over_seeds(runs[:4]) == recipe_accuracy(correct)
    assert isinstance(selection.accuracy_over_seeds(runs[:2]), Range)
    assert selection.accuracy_over_seeds(runs[:1]) == selection.accuracy_of(runs[0])
