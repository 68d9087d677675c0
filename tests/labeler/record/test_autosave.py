import time

from labeler.record.autosave import Autosave
from labeler.record.table import read_table, write_table
from lib.data.tables import Table


def wait_until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_labels_csv_is_written_on_a_pause_and_read_back(open_session, tmp_path):
    session = open_session()
    autosave = Autosave(session, pause=0.05)
    session.label("1.png", "0")
    wait_until(lambda: read_table(tmp_path / "labels.csv").values == {"1.png": "0"})
    write_table(tmp_path / "labels.csv", Table({"1.png": "1"}))
    wait_until(lambda: session.labels == {"1.png": "1"})
    autosave.stop()


def test_labels_csv_is_written_without_a_pause_too(open_session, tmp_path):
    session = open_session()
    autosave = Autosave(session, pause=0.2, interval=0.5)
    end = time.monotonic() + 5
    while not (tmp_path / "labels.csv").exists():
        session.label("1.png", "0")
        time.sleep(0.01)
        assert time.monotonic() < end
    autosave.stop()
