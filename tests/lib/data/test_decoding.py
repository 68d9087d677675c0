import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.data.dataset import pictures
from lib.data.decoding import decode_all
from lib.data.picture_files import UnreadablePicture


def draw(folder, *names, seed=0):
    """Pictures of noise under the given names, no two alike."""
    rng = np.random.default_rng(seed)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(path)


def test_neither_scanning_nor_decoding_loads_torch():
    code = "import sys, lib.data.sources, lib.data.decoding; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.parametrize("count", [5, 200])  # in this process, and in several
def test_decoding_writes_every_picture_in_its_place(tmp_path, count):
    names = [f"{number:03d}.png" for number in range(count)]
    draw(tmp_path, *names)
    digests, damaged = decode_all(tmp_path, names, 4, tmp_path / "out.raw", skip=False, bar=False)
    written = np.fromfile(tmp_path / "out.raw", np.uint8).reshape(count, 3, 4, 4)
    expected = [pictures.decode(tmp_path / name, 4).transpose(2, 0, 1) for name in names]
    assert np.array_equal(written, expected)
    assert [int(one) for one in digests] == [pictures.digest(one.tobytes()) for one in expected]
    assert damaged == {}


@pytest.mark.parametrize("count", [5, 200])
def test_damaged_picture_stops_or_is_passed_over(tmp_path, count):
    names = [f"{number:03d}.png" for number in range(count)]
    draw(tmp_path, *names)
    (tmp_path / names[-1]).write_bytes((tmp_path / names[-1]).read_bytes()[:60])
    options = {"folder": tmp_path, "ids": names, "size": 4, "out": tmp_path / "out.raw"}
    with pytest.raises(UnreadablePicture, match=names[-1]):
        decode_all(**options, skip=False, bar=False)
    _, damaged = decode_all(**options, skip=True, bar=False)
    assert {place: error.name for place, error in damaged.items()} == {
        count - 1: str(tmp_path / names[-1])
    }
    assert (tmp_path / "out.raw").stat().st_size == count * 3 * 4 * 4


def test_progress_is_reported(tmp_path, monkeypatch):
    draw(tmp_path / "pond", "1.png", "2.png")
    monkeypatch.setenv("DAYBOOK_PROGRESS", str(tmp_path / "events"))
    decode_all(tmp_path / "pond", ["1.png", "2.png"], 4, tmp_path / "out.raw", skip=False, bar=True)
    assert '"dataset": "pond", "done": 2, "total": 2' in (tmp_path / "events").read_text()
