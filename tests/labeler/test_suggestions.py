import sys
import time
from types import SimpleNamespace

import pytest

from labeler import suggestions
from labeler.errors import LabelerError
from labeler.suggestions import Hint, Suggestions
from lib.errors import UserError


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


@pytest.fixture
def bundle(monkeypatch):
    """Puts a stand-in for `lib.inference` in place, whose predictor loads by the given function."""

    def use(load):
        module = SimpleNamespace(Predictor=SimpleNamespace(load=load)) if load else None
        monkeypatch.setitem(sys.modules, "lib.inference", module)

    return use


def test_a_bundle_gives_classes_and_hints(bundle, tmp_path):
    bundle(lambda path: Model() if path == tmp_path else None)
    assert suggestions.load(tmp_path).classes == ("cat", "dog")


def test_a_bundle_that_is_not_there_is_a_mistake_of_the_user(bundle, tmp_path):
    def load(path):
        raise UserError(f"{path} is no bundle")

    bundle(load)
    with pytest.raises(LabelerError, match="is no bundle"):
        suggestions.load(tmp_path)


def test_without_the_training_package_there_are_no_suggestions(bundle, tmp_path):
    bundle(None)
    with pytest.raises(LabelerError, match="needs the training package"):
        suggestions.load(tmp_path)
