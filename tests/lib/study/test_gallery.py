import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax

from lib.diagnosis.robustness import PICTURED
from lib.pages import links
from lib.study import diagnostics, gallery
from lib.study.gallery import choose
from lib.training.predictions import Predictions
from lib.training.runs import Run


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def folder(study):
    return study / "gallery"


@pytest.fixture(scope="module")
def wrong(run, tmp_path_factory):
    """The run as if it had mistaken some test pictures: their labels are others."""
    path = tmp_path_factory.mktemp("runs") / run.run_id
    path.mkdir()
    for file in run.path.iterdir():
        (path / file.name).symlink_to(file)
    (path / "predictions.npz").unlink()
    said = dict(np.load(run.path / "predictions.npz"))
    said["test_labels"] = said["test_labels"].copy()
    said["test_labels"][:5] = (said["test_logits"][:5].argmax(1) + 1) % 3
    np.savez(path / "predictions.npz", **said)
    return Run(path)


@pytest.fixture(scope="module")
def written(wrong, tiny, study):
    """What was written of all test pictures."""
    return gallery.write(wrong, tiny.test, 0, study)


@pytest.fixture(scope="module")
def data(written, folder):
    return read(folder)


def read(folder):
    start, _, body = (folder / "gallery.js").read_text().partition("daybook.gallery = ")
    assert start == "window.daybook = window.daybook || {};\n"
    return json.loads(body.removesuffix(";\n"))


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)


def test_a_picture_is_shown_with_what_the_run_said_of_it(data, wrong, tiny, folder):
    said = wrong.predictions("test")
    probabilities = softmax(said.logits.astype(float), axis=1)
    assert data["run"]["href"] == links.run(wrong.run_id)
    assert (data["tested"], len(data["items"])) == (30, 30)
    assert data["mistakes"] == sum(item["true"] != item["predicted"] for item in data["items"])
    for item in data["items"]:
        index = tiny.test.ids.index(item["id"])
        row, label = probabilities[index], said.labels[index]
        assert item["true"] == tiny.classes[label]
        assert item["predicted"] == tiny.classes[row.argmax()]
        assert item["confidence"] == pytest.approx(row.max(), abs=1e-4)
        assert item["loss"] == pytest.approx(-np.log(row[label]), abs=1e-4)
        assert dict(item["top5_before"]) == pytest.approx(
            dict(zip(tiny.classes, row, strict=True)), abs=1e-4
        )
        np.testing.assert_array_equal(pixels(folder / item["image"]), tiny.test.images[index])


def test_the_probabilities_after_calibration_are_those_of_day_4(data, wrong, tiny):
    temperature = diagnostics.calibrated(wrong).temperature
    logits = wrong.predictions("test").logits.astype(float)
    for item in data["items"]:
        after = softmax(logits[tiny.test.ids.index(item["id"])] / temperature)
        assert dict(item["top5_after"]) == pytest.approx(
            dict(zip(tiny.classes, after, strict=True)), abs=1e-4
        )


def test_a_twin_is_near_and_taken_for_what_is_said(data, wrong, folder):
    model = wrong.load_model()
    for item in data["items"]:
        before, after = (
            pixels(folder / item[kind]).astype(int) for kind in ("image", "adversarial")
        )
        assert 0 < np.abs(after - before).max() <= PICTURED
        with torch.inference_mode():
            said = model(torch.from_numpy(after)[None].float() / 255).argmax()
        assert item["adversarial_predicted"] == data["classes"][said]


def test_heat_for_the_true_class_is_written_where_it_is_another(data):
    for item in data["items"]:
        assert ("heat_true" in item) == (item["true"] != item["predicted"])


def test_every_file_is_named_and_every_name_is_a_file(data, folder):
    kinds = ("image", "adversarial", "heat_predicted", "heat_true")
    named = {item[kind] for item in data["items"] for kind in kinds if kind in item}
    assert named | {"gallery.js"} == {path.name for path in folder.iterdir()}
    assert {Image.open(folder / name).size for name in named} == {(data["size"], data["size"])}


def test_a_smaller_gallery_leaves_nothing_of_the_old_one(wrong, tiny, tmp_path):
    folder = tmp_path / "gallery"
    gallery.write(wrong, tiny.test, 0, tmp_path)
    gallery.write(wrong, tiny.test, 7, tmp_path)
    assert len(read(folder)["items"]) == 7
    assert len(list(folder.glob("*-image.png"))) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]


def test_without_a_study_nothing_is_written_and_no_cell_is_a_link(
    wrong, tiny, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    written = gallery.write(wrong, tiny.test, 0, "")
    assert list(tmp_path.iterdir()) == []
    assert (written.confusion_of(wrong)["href"] == "").all()


def test_cells_lead_to_the_pictures_that_are_shown(written, data, wrong):
    table = written.confusion_of(wrong)
    assert (table["href"] != "").tolist() == (table["count"] > 0).tolist()
    shown = {(item["true"], item["predicted"]) for item in data["items"]}
    for row in table[table["href"] != ""].itertuples():
        assert (row.true, row.predicted) in shown
        assert row.href == f"gallery.html#true={row.true}&predicted={row.predicted}"


def test_the_matrix_of_another_run_has_no_links(written, run, tmp_path):
    other = tmp_path / "other"
    other.symlink_to(run.path)
    assert "href" not in written.confusion_of(Run(other))


def predictions(cells):
    """Pictures of the given (true, predicted, logit of the true class) among three classes."""
    logits = np.zeros((len(cells), 3), dtype=np.float32)
    for row, (true, predicted, logit) in zip(logits, cells, strict=True):
        row[predicted], row[true] = 5, 5 if true == predicted else logit
    labels = np.array([true for true, _, _ in cells])
    return Predictions(np.arange(len(cells)).astype(str), labels, logits)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, [4, 2, 1, 6, 0, 3, 5, 7]),
        (2, [4, 2]),  # one of each cell before the second of one, the worst first
        (6, [4, 2, 1, 6, 0, 3]),  # right answers of every class in turns
    ],
)
def test_mistakes_come_first_and_every_cell_has_its_share(most, expected):
    cells = [
        (0, 0, 5),
        (0, 1, 2),
        (1, 2, -1),
        (1, 1, 5),
        (0, 1, -3),
        (0, 0, 5),
        (0, 1, 3),
        (1, 1, 5),
    ]
    assert choose(predictions(cells), most).tolist() == expected
