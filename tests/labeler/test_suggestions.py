import sys
import time
from types import SimpleNamespace

import pytest
from PIL import Image

from labeler import suggestions
from labeler.errors import LabelerError
from labeler.suggestions import Hint, Suggestions
from lib.inference import Predictor


class Model:
    """Is the more certain, the greater the number in a picture's name; cannot read `bad`."""

    classes = ("cat", "dog")

    def predict(self, paths):
        if any(path.stem == "bad" for path in paths):
            raise ValueError("cannot identify the picture")
        return [
            SimpleNamespace(label="dog", confidence=0.5 + int(path.stem) / 100) for path in paths
        ]


@pytest.fixture
def hints(tmp_path):
    hints = Suggestions(Model())
    stop = hints.start(tmp_path)
    yield hints
    stop()


def wait_for(hints, count):
    end = time.monotonic() + 5
    while len(hints.hints) < count:
        assert time.monotonic() < end
        time.sleep(0.002)


def test_the_most_doubtful_come_first(hints):
    hints.ask([f"{number}.png" for number in (40, 3, 25, 7)])
    wait_for(hints, 4)
    assert hints.most_doubtful() == ["3.png", "7.png", "25.png", "40.png"]
    assert hints.hints["25.png"] == Hint("dog", 0.75)
    assert hints.fresh


def test_a_picture_that_cannot_be_predicted_costs_only_its_own_hint(hints):
    hints.ask(["1.png", "bad.png", "2.png"])
    wait_for(hints, 2)
    assert set(hints.hints) == {"1.png", "2.png"}
    assert hints.take_complaints() == ["No suggestion for bad.png: cannot identify the picture"]
    assert hints.take_complaints() == []


def test_another_folder_begins_without_hints(tmp_path):
    hints = Suggestions(Model())
    stop_first = hints.start(tmp_path)
    hints.ask(["1.png"])
    wait_for(hints, 1)
    stop_second = hints.start(tmp_path)
    stop_first()  # the folder before is closed only once the next one is open
    assert hints.most_doubtful() == []
    hints.ask(["2.png"])
    wait_for(hints, 1)
    assert hints.most_doubtful() == ["2.png"]
    stop_second()


def test_without_the_training_package_there_are_no_suggestions(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lib.inference", None)
    with pytest.raises(LabelerError, match="needs the training package"):
        suggestions.load(tmp_path)


def test_a_real_bundle_suggests_what_it_predicts(bundle, tiny, tmp_path):
    for number, image in enumerate(tiny.test.images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{number:02d}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = sorted(path.name for path in tmp_path.iterdir())
    hints = suggestions.load(bundle.path)
    assert hints.classes == tiny.classes
    stop = hints.start(tmp_path)
    hints.ask(names)
    wait_for(hints, 30)
    stop()

    said = Predictor.load(bundle.path).probabilities(tiny.test.images)
    confidence, labels = said.max(1)
    for number in range(30):
        hint = hints.hints[f"{number:02d}.png"]
        assert hint.label == tiny.classes[labels[number]]
        assert hint.confidence == pytest.approx(confidence[number].item(), abs=1e-5)
    assert hints.most_doubtful()[0] == f"{int(confidence.argmin()):02d}.png"
    complaint = hints.take_complaints()[0]
    assert complaint.startswith("No suggestion for bad.png: cannot read")


def test_a_folder_that_is_no_bundle_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(LabelerError, match="no bundle there"):
        suggestions.load(tmp_path)
