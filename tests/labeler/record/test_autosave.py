import random

import pytest

from labeler.errors import NotSaved
from labeler.record.autosave import RETRY, SHARE, Autosave
from labeler.record.table import read_table, write_table
from lib.data.tables import Table


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def saving(open_session, clock, monkeypatch):
    """A session whose saving takes `cost` seconds of the clock; notes when it was saved."""
    session = open_session()
    session.cost, session.saved_at = 0.0, []
    save = session.save

    def save_at_a_cost():
        session.saved_at.append(clock.now)
        clock.now += session.cost
        save()

    monkeypatch.setattr(session, "save", save_at_a_cost)
    return session


@pytest.mark.parametrize("pace", [0.01, 0.1, 0.3, 0.9, 3.0])
@pytest.mark.parametrize("cost", [0.001, 0.01, 0.02])
def test_labels_csv_is_at_most_a_second_behind(saving, clock, tmp_path, cost, pace):
    autosave = Autosave(saving, clock=clock)
    saving.cost = cost
    chance = random.Random(0)
    made, late, next_step, next_label = {}, 0.0, 0.0, 0.0
    for number in range(400):
        while next_label > next_step:
            clock.now = max(clock.now, next_step)
            next_step = clock.now + autosave.step()
            if not saving.unsaved:
                late = max([late, *(clock.now - when for when in made.values())])
                made.clear()
        clock.now = max(clock.now, next_label)
        saving.label(f"{number}.png", "0")
        made[number] = clock.now
        next_label = clock.now + chance.uniform(0, 2 * pace)
    assert 0 < late <= 1
    assert len(read_table(tmp_path / "labels.csv").values) >= 400 - len(made)


@pytest.mark.parametrize("cost", [0.05, 0.5, 1.0, 10.0])
def test_a_write_that_costs_more_comes_less_often(saving, clock, cost):
    autosave = Autosave(saving, clock=clock)
    saving.cost = cost
    end = 10 * SHARE * cost
    number = 0
    while clock.now < end:
        saving.label(f"{(number := number + 1) % 6}.png", "01"[number % 2])
        clock.now += autosave.step()
    gaps = [b - a for a, b in zip(saving.saved_at, saving.saved_at[1:], strict=False)]
    expected = min(SHARE * cost, 60)
    assert all(-1e-6 <= gap - expected <= cost + 0.5 for gap in gaps[:-1])
    assert len(gaps) > 3


def test_nothing_is_written_while_nothing_changes(saving, clock):
    autosave = Autosave(saving, clock=clock)
    for _ in range(100):
        clock.now += autosave.step()
    assert saving.saved_at == []


def test_an_error_is_reported_once_and_the_write_tried_again(saving, clock, monkeypatch):
    autosave = Autosave(saving, clock=clock)
    saving.label("1.png", "0")

    def fail(*_):
        raise NotSaved("labels.csv could not be written: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("labeler.record.session.write_table", fail)
        while clock.now < 4 * RETRY:
            clock.now += autosave.step()
    assert len(saving.saved_at) == 4
    (message,) = saving.messages
    assert message.endswith("the disk is full. All labels are in the journal.")
    clock.now += RETRY
    autosave.step()
    assert not saving.unsaved


def test_an_edit_elsewhere_is_read_once_it_is_complete(saving, clock, tmp_path):
    autosave = Autosave(saving, clock=clock)
    saving.label("1.png", "0")
    autosave.step()
    write_table(tmp_path / "labels.csv", Table({"1.png": "1"}))
    autosave.step()
    assert saving.labels == {"1.png": "0"}, "it may not be complete yet"
    autosave.step()
    assert saving.labels == {"1.png": "1"}


def test_it_works_in_the_background_until_it_is_stopped(open_session, tmp_path, wait_until):
    session = open_session()
    autosave = Autosave(session, shortest=0.01)
    autosave.stop()  # before it has begun
    autosave = Autosave(session, shortest=0.01)
    autosave.start()
    session.label("1.png", "0")
    wait_until(lambda: read_table(tmp_path / "labels.csv").values == {"1.png": "0"})
    autosave.stop()
    assert not autosave._thread.is_alive()
