import os

import pytest

from lib.errors import UserError
from lib.files import read_json, replacing, write_json


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": 1})

    def stop_half_way():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_half_way()
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["value.json"]


def test_a_place_that_cannot_be_written_is_one_line_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/value\.json: .*") as raised:
        write_json(tmp_path / "file" / "value.json", 1)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line_with_the_reason(tmp_path):
    def overfill():
        with replacing(tmp_path / "a") as temporary:
            temporary.symlink_to("/dev/full")
            temporary.write_text("more than fits")

    with pytest.raises(UserError, match="No space left"):
        overfill()
