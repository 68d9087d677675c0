import json
import shutil

import pytest

from lib.errors import UserError
from lib.inference.bundle import FACTS, ONNX, WEIGHTS, Bundle


@pytest.fixture
def copy(bundle, tmp_path):
    """The folder of a copy of the bundle, to be damaged."""
    return shutil.copytree(bundle.path, tmp_path / "copy")


def test_a_folder_without_a_bundle_says_how_to_make_one(tmp_path):
    with pytest.raises(
        UserError, match=r"no bundle.json in this folder; `python -m analysis` creates"
    ):
        Bundle.load(tmp_path / "best")


@pytest.mark.parametrize("name", [WEIGHTS, ONNX])
def test_a_file_with_one_bit_changed_is_refused(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: not the file that bundle.json describes"):
        Bundle.load(copy).read(name)


@pytest.mark.parametrize("name", [WEIGHTS, ONNX])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(UserError, match=f"cannot read .*{name}: No such file"):
        Bundle.load(copy).read(name)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_refused(copy, version):
    change(copy, schema_version=version)
    with pytest.raises(UserError, match=f"schema version is {version!r}, and this program reads 1"):
        Bundle.load(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ["red", "green"]}, "the weights do not match the recipe"),
        ({"recipe": {"width": 16}}, "the weights do not match the recipe"),
        ({"recipe": {"wdith": 8}}, "unknown field 'wdith'; did you mean 'width'"),
        ({"recipe": {"model": "gpt"}}, "model = 'gpt': input should be 'small_cnn'"),
        ({"classes": ["red", "red", "blue"]}, "classes = .*: .*two of them are alike"),
        ({"classes": [1, 2, 3]}, "classes.0 = 1: input should be a valid string"),
        ({"mean": [0.5]}, "mean.1 is missing"),
        ({"std": [0.5, 0.5, 0.0]}, "std.2 = 0.0: input should be greater than 0"),
        ({"image_size": 0}, "image_size = 0: input should be greater than or equal to 1"),
        ({"temperature": -1.0}, "temperature = -1.0: input should be greater than 0"),
        ({"temperature": "hot"}, "temperature = 'hot': input should be a valid number"),
        ({"metrics": None}, "metrics = None: input should be a valid dictionary"),
    ],
)
def test_facts_that_cannot_be_are_refused_in_one_line(copy, changes, words):
    change(copy, **changes)
    with pytest.raises(UserError, match=words) as raised:
        Bundle.load(copy)
    assert "\n" not in str(raised.value)


def test_a_missing_fact_is_named(copy):
    facts = json.loads((copy / FACTS).read_text())
    del facts["temperature"]
    (copy / FACTS).write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"bundle\.json: temperature is missing; export the run"):
        Bundle.load(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"name": "x"}', "\x00\xff"])
def test_a_file_that_is_not_a_bundles_is_refused_in_one_line(copy, text):
    (copy / FACTS).write_text(text)
    with pytest.raises(UserError, match=r"bundle\.json") as raised:
        Bundle.load(copy)
    assert "\n" not in str(raised.value)


def change(folder, **values):
    facts = json.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(json.dumps(facts | values))
