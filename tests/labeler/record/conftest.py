"""Sessions of one folder of six pictures."""

import time

import pytest

from labeler.record.session import Session


@pytest.fixture
def wait_until():
    def wait(condition, seconds=20.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.005)

    return wait


@pytest.fixture
def open_session(tmp_path):
    """Opens sessions of one folder; what is still open after the test is closed."""
    opened = []

    def open_(*arguments, folder=tmp_path, **options):
        session = Session(folder, *arguments, **options)
        session.add_pictures([f"{number}.png" for number in range(6)])
        opened.append(session)
        return session

    yield open_
    for session in opened:
        session._release()
