"""Other programs, run to their end or to their time limit."""

import time

import pytest

from lib.errors import UserError
from report import processes


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    words = ["sh", "-c", "touch began; (sleep 1; touch went-on) & wait"]
    with pytest.raises(UserError, match=r"It did not end within 0\.3 s"):
        processes.run(words, tmp_path, 0.3, "It")
    time.sleep(1.5)
    assert [path.name for path in tmp_path.iterdir()] == ["began"]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "no error message"),
        ("one\ntwo.\n\n", "two"),
        ("start\nERROR: it broke\nstack\n", "ERROR: it broke"),
    ],
)
def test_the_most_informative_line(output, expected):
    assert processes.reason(output) == expected
