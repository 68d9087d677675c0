import hashlib
import json
import shutil

import pytest

from lib.errors import UserError
from lib.inference.bundle import CARD, FACTS, ONNX, WEIGHTS, Bundle, only_one
from lib.inference.export import add_card


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
        ({"recipe": {"model": "gpt"}}, "model = 'gpt': should be small_cnn"),
        ({"classes": ["red", "red", "blue"]}, "classes = .*: .*two of them are alike"),
        ({"classes": [1, 2, 3]}, "classes.0 = 1: input should be a valid string"),
        ({"mean": [0.5]}, "mean.1 is missing"),
        ({"std": [0.5, 0.5, 0.0]}, "std.2 = 0.0: input should be greater than 0"),
        ({"image_size": 0}, "image_size = 0: input should be greater than or equal to 1"),
        ({"temperature": -1.0}, "temperature = -1.0: input should be greater than 0"),
        ({"temperature": "hot"}, "temperature = 'hot': input should be a valid number"),
        ({"name": "</title><script>"}, "name = '</title><script>': string should match pattern"),
        ({"name": ""}, "name = '': string should match pattern"),
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


def with_card(folder):
    return add_card(Bundle.load(folder), "# A card\n")


def test_every_other_file_is_listed_and_checked(copy):
    bundle = with_card(copy)
    assert set(bundle.sha256) == {path.name for path in copy.iterdir()} - {FACTS}
    assert Bundle.load(copy) == bundle
    assert bundle.digest() == hashlib.sha256((copy / FACTS).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (CARD, b"another", "changed: README.md"),
        (ONNX, b"another", "changed: model.onnx"),
        (CARD, None, "missing: README.md"),
        (ONNX, None, "missing: model.onnx"),
        ("evil.py", b"", "not listed: evil.py"),
        (".hidden", b"", "not listed: .hidden"),
        ("two\nlines", b"", "not listed: 'two"),
    ],
)
def test_a_file_that_is_extra_missing_or_changed_is_named(copy, name, content, words):
    bundle = with_card(copy)
    (copy / name).unlink(missing_ok=True)
    if content is not None:
        (copy / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"not as bundle\.json lists it \({words}") as raised:
        bundle.digest()
    assert "\n" not in str(raised.value)
    assert Bundle.load(copy) == bundle  # none of them is read then


def test_an_older_bundle_loads_and_its_card_is_named_as_not_listed(copy):
    (copy / CARD).write_text("# A card")
    hashes = json.loads((copy / FACTS).read_text())["sha256"]
    change(copy, sha256={name: hashes[name] for name in (WEIGHTS, ONNX)})
    with pytest.raises(UserError, match=r"not listed: README\.md\); export the run again"):
        Bundle.load(copy).digest()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", "", "a\\b", FACTS])
def test_a_listed_file_outside_the_folder_is_refused(copy, name):
    change(copy, sha256={name: "0" * 64})
    with pytest.raises(UserError, match="is not the name of another file of the bundle"):
        Bundle.load(copy)


def test_a_pinned_digest_admits_one_bundle(copy):
    digest = with_card(copy).digest()
    assert Bundle.load(copy, digest) == Bundle.load(copy, digest.upper())
    (copy / WEIGHTS).write_bytes(b"forged")
    hashes = json.loads((copy / FACTS).read_text())["sha256"]
    change(copy, sha256=hashes | {WEIGHTS: hashlib.sha256(b"forged").hexdigest()})
    with pytest.raises(UserError, match=rf"its SHA-256 is \w{{64}}, not {digest}; use") as raised:
        Bundle.load(copy, digest)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 63, "0" * 65, "sha256:" + "0" * 64])
def test_what_is_no_digest_is_refused(copy, digest):
    with pytest.raises(UserError, match="should be 64 hexadecimal digits"):
        Bundle.load(copy, digest)


def change(folder, **values):
    facts = json.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(json.dumps(facts | values))


def test_the_only_bundle_of_a_project_need_not_be_named(bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^models: no bundle here; `python -m analysis` creates"):
        Bundle.load()
    shutil.copytree(bundle.path, tmp_path / "models" / "demo")
    (tmp_path / "models" / "unfinished").mkdir()
    assert only_one() == Bundle.load().path
    shutil.copytree(bundle.path, tmp_path / "models" / "pets")
    with pytest.raises(UserError, match=r"^several bundles \(models.demo, models.pets\); name one"):
        Bundle.load()
