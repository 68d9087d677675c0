import dataclasses
import hashlib
import json
import os
import re
import shutil
import urllib.parse

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from lib.diagnosis.attribution import default_layer, grad_cam
from lib.diagnosis.calibration import expected_calibration_error, fit_temperature, softmax
from lib.errors import UserError
from lib.inference import export as exporting
from lib.inference.bundle import FACTS, ONNX, WEIGHTS, Bundle
from lib.inference.export import export, slug
from lib.intervals import accuracy_interval
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore


@pytest.fixture
def copy(bundle, tmp_path):
    """The folder of a copy of the bundle, to be damaged."""
    return shutil.copytree(bundle.path, tmp_path / "copy")


def test_what_was_exported_reads_back(bundle, run, tiny):
    assert Bundle.load(bundle.path) == bundle
    assert (bundle.run_id, bundle.recipe, bundle.classes) == (run.run_id, run.recipe, tiny.classes)
    assert (bundle.name, bundle.image_size) == ("tiny-small_cnn", 8)
    assert bundle.mean == pytest.approx(tiny.mean)
    assert bundle.std == pytest.approx(tiny.std)
    assert bundle.training == run.summary
    again, model = bundle.load_model().state_dict(), run.load_model().state_dict()
    assert again.keys() == model.keys()
    assert all(torch.equal(again[name], model[name]) for name in model)
    assert not bundle.load_model().training


def test_the_temperature_is_of_val_and_the_figures_are_of_test(bundle, run):
    val, test = run.predictions("val"), run.predictions("test")
    assert bundle.temperature == fit_temperature(val.logits, val.labels)
    right = test.logits.argmax(1) == test.labels
    assert bundle.metrics["accuracy"] == dataclasses.asdict(accuracy_interval(right.sum(), 30))
    assert [row["class"] for row in bundle.metrics["per_class"]] == ["red", "green", "blue"]
    ece = bundle.metrics["calibration"]["ece"]
    for scaling, temperature in (("before", 1), ("after", bundle.temperature)):
        confidence = softmax(test.logits, temperature).max(1)
        assert ece[scaling]["value"] == pytest.approx(expected_calibration_error(confidence, right))
        assert ece[scaling]["low"] <= ece[scaling]["value"] <= ece[scaling]["high"]


def test_a_bundle_holds_safetensors_json_and_onnx_and_no_pickle(bundle):
    assert (
        {WEIGHTS, FACTS, ONNX}
        <= set(os.listdir(bundle.path))
        <= {WEIGHTS, FACTS, ONNX, "README.md"}
    )
    with safetensors.safe_open(bundle.path / WEIGHTS, "pt") as file:
        assert set(file.keys()) == set(bundle.load_model().state_dict())
    onnx.checker.check_model(bundle.path / ONNX, full_check=True)
    json.loads((bundle.path / FACTS).read_text(), parse_constant=pytest.fail)  # no NaN
    for path in bundle.path.iterdir():
        content = path.read_bytes()
        assert not content.startswith((b"\x80", b"PK"))  # a pickle, and torch.save's archive


def test_the_onnx_network_takes_any_number_of_pictures(bundle, run, tiny):
    session = onnxruntime.InferenceSession(bundle.path / ONNX)
    said = run.predictions("test").logits
    for count in (1, 2, 30):
        logits, probabilities = session.run(None, {"images": tiny.test.images[:count].numpy()})
        np.testing.assert_allclose(logits, said[:count], atol=1e-4)
        calibrated = softmax(said[:count], bundle.temperature)
        np.testing.assert_allclose(probabilities, calibrated, atol=1e-4)
    assert bundle.onnx["compared_pictures"] == len(tiny.val)
    assert 0 < bundle.onnx["largest_difference"] < 1e-4


def test_a_partly_frozen_resnet_that_enlarges_its_pictures_is_exported_too(tiny, tmp_path):
    recipe = Recipe(model="resnet18", strategy="head", image_size=32, epochs=1, batch_size=32)
    run = fit(recipe, tiny, RunStore(tmp_path / "runs"), "cpu")
    bundle = export(run, tiny, tmp_path / "best", name="My ResNet/1")
    assert bundle.name == "My-ResNet-1"
    assert bundle.onnx["largest_difference"] < 1e-4
    said = run.predictions("test")
    session = onnxruntime.InferenceSession(bundle.path / ONNX)
    logits = session.run(["logits"], {"images": tiny.test.images.numpy()})[0]
    np.testing.assert_allclose(logits, said.logits, atol=1e-4)


def test_a_head_on_efficientnet_lite0_is_exported_whole(tiny, tmp_path):
    recipe = Recipe(
        model="efficientnet_lite0",
        weights="imagenet",
        strategy="head",
        head_fit="lbfgs",
        augmentation="none",
        image_size=64,
        epochs=1,
    )
    run = fit(recipe, tiny, RunStore(tmp_path / "runs"), "cpu")
    bundle = export(run, tiny, tmp_path / "best")
    assert bundle.name == "tiny-efficientnet_lite0"
    assert bundle.onnx["largest_difference"] < 1e-4
    said = run.predictions("test")
    session = onnxruntime.InferenceSession(bundle.path / ONNX)
    logits = session.run(["logits"], {"images": tiny.test.images.numpy()})[0]
    np.testing.assert_allclose(logits, said.logits, atol=1e-3, rtol=1e-4)
    assert "body.conv_stem.weight" in load_file(bundle.path / WEIGHTS)  # it needs no other source
    explained = grad_cam(bundle.load_model(), tiny.test.images[:4] / 255, torch.zeros(4).long())
    assert explained.shape == (4, 8, 8)
    assert default_layer(bundle.load_model(), 8)[0].startswith("body.blocks_")


PLAIN = ["digits-small_cnn", "cifar10-resnet18", "a--b", "a..b", "_a_", "v1.2", "A"]
LOST = [
    *("кошки", "собаки", "猫", "犬", "कुत्ता", "🐈", "???", "!!!", "", " ", "-", "--"),
    *(".", "..", "...", "../etc", "-a", "a-", ".a", "a.", "C++", "C#", "C", "caf\udce9", "\ud800"),
    *(f"{name}-small_cnn" for name in ("", "кошки", "собаки", "猫", "!!!", "...", "C++", "C#")),
]


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_name_is_kept(name):
    assert slug(name) == name


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("My ResNet/1", "My-ResNet-1"),
        ("Größe", "Grosse"),
        ("Gro\u0308ße", "Grosse"),
        ("Ünïcödé Ångström", "Unicode-Angstrom"),
        ("smørrebrød", "smorrebrod"),
        ("łódź", "lodz"),
        ("\ufb01ve", "five"),
    ],
)
def test_letters_are_kept_without_their_accents(name, kept):
    assert slug(name) == kept


@pytest.mark.parametrize("name", LOST)
def test_every_name_becomes_one_that_an_address_can_hold(name):
    assert re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?", slug(name))
    assert urllib.parse.quote(slug(name), safe="") == slug(name)
    assert slug(slug(name)) == slug(name)


def test_names_that_lose_letters_remain_apart():
    assert len({slug(name) for name in LOST}) == len(LOST)
    assert slug("кошки-small_cnn") == "small_cnn-" + slug("кошки-small_cnn")[-8:]
    assert slug("猫") == "model-" + hashlib.sha256("猫".encode()).hexdigest()[:8]


def test_a_name_is_the_same_in_either_form_of_its_accents():
    assert slug("й") == slug("и\u0306")


def test_an_onnx_network_that_disagrees_leaves_the_bundle_as_it_was(
    bundle, run, tiny, copy, monkeypatch
):
    class Off(exporting.Served):
        """In ONNX, says something else than in PyTorch."""

        def forward(self, images):
            logits, probabilities = super().forward(images)
            return logits + 0.01 * torch.compiler.is_exporting(), probabilities

    monkeypatch.setattr(exporting, "Served", Off)
    with pytest.raises(UserError, match=r"ONNX and PyTorch differ by \d\.\de-03 on 24 pictures"):
        export(run, tiny, copy)
    assert Bundle.load(copy) == dataclasses.replace(bundle, path=copy)
    assert os.listdir(copy.parent) == ["copy"]


def test_a_full_disk_leaves_the_bundle_as_it_was(bundle, run, tiny, copy, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "write_onnx", full)
    with pytest.raises(UserError, match=r"cannot write .*copy: No space left on device; make room"):
        export(run, tiny, copy)
    assert Bundle.load(copy) == dataclasses.replace(bundle, path=copy)
    assert os.listdir(copy.parent) == ["copy"]


def test_a_new_bundle_takes_the_place_of_the_old_one(bundle, run, tiny, copy):
    (copy / "README.md").write_text("of the old one")
    again = export(run, tiny, copy, name="other")
    assert again == dataclasses.replace(bundle, path=copy, name="other", sha256=again.sha256)
    assert again.sha256[WEIGHTS] == bundle.sha256[WEIGHTS]
    assert "of the old one" not in [path.read_text() for path in copy.glob("README.md")]
    assert os.listdir(copy.parent) == ["copy"]


def test_a_folder_of_something_else_is_never_replaced(run, tiny, tmp_path):
    (tmp_path / "holiday.jpg").write_text("precious")
    for target in (tmp_path, tmp_path / "holiday.jpg"):
        with pytest.raises(UserError):
            export(run, tiny, target)
    assert os.listdir(tmp_path) == ["holiday.jpg"]


def test_another_dataset_is_a_mistake_of_the_program(run, tiny, tmp_path):
    with pytest.raises(ValueError, match="was not validated on these pictures"):
        export(run, dataclasses.replace(tiny, val=tiny.test), tmp_path / "best")


def test_a_run_whose_weights_do_not_give_its_predictions_is_refused(run, tiny, tmp_path):
    other = shutil.copytree(run.path, tmp_path / run.run_id)
    weights = load_file(other / WEIGHTS)
    weights["head.0.weight"] *= -1
    save_file(weights, other / WEIGHTS)
    with pytest.raises(UserError, match="its weights do not give its predictions"):
        export(Run(other), tiny, tmp_path / "best")
    assert os.listdir(tmp_path) == [run.run_id]
