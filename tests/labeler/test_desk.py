import time
from types import SimpleNamespace

import pytest

from labeler.desk import RECENT, Desk
from labeler.suggestions import Suggestions


class Model:
    classes = ("cat", "dog")

    def predict(self, paths):
        return [SimpleNamespace(label="dog", confidence=0.873) for _ in paths]


@pytest.fixture
def open_desk():
    """Opens desks whose folder is listed and whose first picture is decoded."""
    opened = []

    def open_(folder, *arguments):
        desk = Desk(folder, *arguments)
        opened.append(desk)
        wait_until(lambda: desk.poll() or not desk.scanning)
        desk.order.current = desk.order.next_unlabelled()
        desk.prefetch((400, 300))
        wait_until(lambda: desk.picture)
        return desk

    yield open_
    for desk in opened:
        desk.close()


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_a_desk_that_cannot_be_opened_releases_its_folder(
    open_desk, pictures, monkeypatch, descriptors
):
    folder = pictures()
    before = descriptors()
    for part in ("Autosave", "Order", "Prefetcher", "Scan"):
        with monkeypatch.context() as patch:
            patch.setattr(f"labeler.desk.{part}", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                Desk(folder)
    assert descriptors() == before
    assert open_desk(folder).session.read_only == ""


def test_labelled_pictures_are_recent_until_their_label_is_removed(open_desk, pictures):
    desk = open_desk(pictures())
    for name in ("0.png", "1.png", "0.png"):
        desk.order.current = name
        desk.label(1)
    assert desk.recent == ["0.png", "1.png"]
    assert desk.progress == pytest.approx(2 / 6)
    desk.clear("1.png")
    assert desk.recent == ["0.png"]
    assert [desk.undo(), desk.undo(), desk.undo()] == ["1.png", "0.png", "1.png"]
    assert desk.recent == ["0.png"]


def test_the_last_labels_of_a_folder_are_recent_when_it_is_opened_again(open_desk, pictures):
    folder = pictures(*[f"{n}.png" for n in range(12)])
    desk = open_desk(folder)
    for number in range(11):
        desk.order.current = f"{number}.png"
        desk.label(0)
    desk.close()
    recent = open_desk(folder).recent
    assert recent == [f"{number}.png" for number in range(10, 10 - RECENT, -1)]


def test_facts_about_the_picture(open_desk, pictures):
    folder = pictures()
    desk = open_desk(folder)
    facts = dict(desk.picture_info())
    assert (facts["file"], facts["number"]) == ("0.png", "1 of 6")
    assert (facts["size"], facts["format"]) == ("12 × 8 pixels", "PNG, RGB")
    assert facts["label"] == "none yet"
    desk.session.skip("0.png")
    (folder / "0.png").unlink()
    facts = dict(desk.picture_info())
    assert (facts["label"], facts["on disk"]) == ("skipped", "no longer there")


def test_a_damaged_picture_and_labels_without_a_picture_are_facts_too(open_desk, pictures):
    folder = pictures("0.png")
    (folder / "0.png").write_bytes(b"no picture")
    (folder / "labels.csv").write_text("filename,label\ngone.png,0\n")
    facts = dict(open_desk(folder).picture_info())
    assert facts["cannot be read"] == "not a picture in a format that is read"
    assert facts["labels.csv"] == "labels of files that are not in the folder: 1"


def test_a_model_gives_classes_and_predictions(open_desk, pictures):
    desk = open_desk(pictures(), (), Suggestions(Model()))
    assert desk.session.classes == ("cat", "dog")
    wait_until(lambda: desk.poll() or desk.prediction("0.png"))
    assert dict(desk.picture_info())["prediction"] == "dog, confidence 87 %"
