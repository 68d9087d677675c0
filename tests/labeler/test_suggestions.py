import sys
import time
from types import SimpleNamespace

import pytest
from PIL import Image

from labeler.errors import LabelerError
from labeler.suggestions import Prediction, Suggestions, load
from lib.inference import Predictor


class Model:
    """The higher the number in a picture's name, the higher the confidence; cannot read `bad`."""

    classes = ("cat", "dog")

    def predict(self, paths):
        if any(path.stem == "bad" for path in paths):
            raise ValueError("cannot identify the picture")
        return [
            SimpleNamespace(label="dog", confidence=0.5 + int(path.stem) / 100) for path in paths
        ]


@pytest.fixture
def suggestions(tmp_path):
    suggestions = Suggestions(Model())
    stop = suggestions.start(tmp_path)
    yield suggestions
    stop()


def wait_for(suggestions, count):
    end = time.monotonic() + 5
    while len(suggestions.predictions) < count:
        assert time.monotonic() < end
        time.sleep(0.002)


def test_the_least_confident_come_first(suggestions):
    suggestions.request([f"{number}.png" for number in (40, 3, 25, 7)])
    wait_for(suggestions, 4)
    assert suggestions.least_confident() == ["3.png", "7.png", "25.png", "40.png"]
    assert suggestions.predictions["25.png"] == Prediction("dog", 0.75)
    assert suggestions.has_new


def test_a_picture_that_cannot_be_predicted_loses_only_its_own_prediction(suggestions):
    suggestions.request(["1.png", "bad.png", "2.png"])
    wait_for(suggestions, 2)
    assert set(suggestions.predictions) == {"1.png", "2.png"}
    assert suggestions.drain_errors() == ["No suggestion for bad.png: cannot identify the picture"]
    assert suggestions.drain_errors() == []


def test_another_folder_starts_without_predictions(tmp_path):
    suggestions = Suggestions(Model())
    stop_first = suggestions.start(tmp_path)
    suggestions.request(["1.png"])
    wait_for(suggestions, 1)
    stop_second = suggestions.start(tmp_path)
    stop_first()  # the folder before is closed only once the next one is open
    assert suggestions.least_confident() == []
    suggestions.request(["2.png"])
    wait_for(suggestions, 1)
    assert suggestions.least_confident() == ["2.png"]
    stop_second()


def test_without_the_training_package_there_are_no_suggestions(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lib.inference", None)
    with pytest.raises(LabelerError, match="needs the training package"):
        load(tmp_path)


def test_a_real_bundle_suggests_what_it_predicts(bundle, tiny, tmp_path):
    for number, image in enumerate(tiny.test.images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = sorted(path.name for path in tmp_path.iterdir())
    suggestions = load(bundle.path)
    assert suggestions.classes == tiny.classes
    stop = suggestions.start(tmp_path)
    suggestions.request(names)
    wait_for(suggestions, 30)
    stop()

    probabilities = Predictor.load(bundle.path).probabilities(tiny.test.images)
    confidence, labels = probabilities.max(1)
    for number in range(30):
        prediction = suggestions.predictions[f"{number:02d}.png"]
        assert prediction.label == tiny.classes[labels[number]]
        assert prediction.confidence == pytest.approx(confidence[number].item(), abs=1e-5)
    assert suggestions.least_confident()[0] == f"{int(confidence.argmin()):02d}.png"
    error = suggestions.drain_errors()[0]
    assert error.startswith("No suggestion for bad.png: cannot read")


def test_a_folder_that_is_no_bundle_is_reported(tmp_path):
    with pytest.raises(LabelerError, match=r"no bundle\.json in this folder"):
        load(tmp_path)
