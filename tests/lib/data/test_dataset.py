"""Every source becomes a dataset, and every mistake one line."""

import hashlib
import pickle
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10

from lib.data import decoding
from lib.data.dataset import class_counts, load
from lib.data.picture_files import UnreadablePicture
from lib.errors import UserError

CLASSES = ("ant", "bee", "cat")


def draw(folder, classes=CLASSES, count=10, size=12, seed=0):
    """`count` pictures of noise in each class folder."""
    rng = np.random.default_rng(seed)
    for label in classes:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (size, size, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:02d}.png")


@pytest.fixture
def zoo(tmp_path):
    """A folder of thirty pictures in three classes."""
    draw(tmp_path / "zoo")
    return tmp_path / "zoo"


def everything(dataset):
    """Images, labels and ids of all three splits."""
    splits = (dataset.train, dataset.val, dataset.test)
    images = torch.cat([split.images for split in splits])
    labels = torch.cat([split.labels for split in splits])
    return images, labels, [id for split in splits for id in split.ids]


def test_digits_are_scikit_learns():
    dataset = load("digits")
    images, labels, ids = everything(dataset)
    raw = load_digits()
    order = [int(id) for id in ids]
    assert sorted(order) == list(range(1797))
    assert images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert np.array_equal(labels, raw.target[order])
    for channel in range(3):
        assert np.array_equal(images[:, channel], np.round(raw.images[order] * 255 / 16))
    assert dataset.classes == tuple("0123456789")
    assert (dataset.name, dataset.image_size, dataset.flip) == ("digits", 8, False)
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [1295, 143, 359]


def test_shares_decide_the_splits_that_a_source_does_not_bring(zoo, tmp_path):
    lengths = []
    for test_share, val_share in ((0.75, 0.33), (0.5, 0.5)):
        shares = {"test_share": test_share, "val_share": val_share}
        digits = load("digits", **shares)
        lengths.append([len(part) for part in (digits.train, digits.val, digits.test)])
        assert digits.fingerprint != load("digits").fingerprint
        animals = load(zoo, 6, root=tmp_path, **shares)  # whose arrangement a cache keeps
        assert len(animals.test) == 3 * round(10 * test_share)
    assert lengths == [[300, 150, 1347], [448, 451, 898]]
    assert len(load(zoo, 6, root=tmp_path).test) == 6


def test_a_limit_leaves_the_number_of_available_pictures():
    limited = load("digits", train_limit=20)
    assert (len(limited.train), limited.available) == (20, 1295)


def test_shares_have_no_effect_on_splits_that_a_source_brings(tmp_path):
    for split in ("train", "val", "test"):
        draw(tmp_path / "split" / split, seed=len(split))
    usual = load(tmp_path / "split", 6, root=tmp_path)
    asked = load(tmp_path / "split", 6, root=tmp_path, test_share=0.75, val_share=0.5)
    assert asked.fingerprint == usual.fingerprint


@pytest.mark.parametrize("size", [5, 8, 16, 20, 32])
def test_digits_are_enlarged_in_whole_pixels_where_they_can_be(size):
    native, sized = load("digits"), load("digits", size)
    assert sized.train.ids == native.train.ids
    assert sized.train.images.shape == (1295, 3, size, size)
    if size % 8 == 0:
        shrunk = sized.train.images[:, :, :: size // 8, :: size // 8]
        assert torch.equal(shrunk, native.train.images)
        assert set(sized.train.images.unique().tolist()) == set(
            native.train.images.unique().tolist()
        )


def test_mean_and_std_normalise_the_training_pictures():
    dataset = load("digits")
    pixels = dataset.train.images.double() / 255
    assert dataset.mean == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist())
    assert dataset.std == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist())


def test_folder_is_decoded_once_and_memory_mapped(zoo, tmp_path, monkeypatch):
    dataset = load(zoo, 6, root=tmp_path)
    images, labels, ids = everything(dataset)
    assert images.shape == (30, 3, 6, 6)
    assert [dataset.classes[label] for label in labels] == [id.split("/")[0] for id in ids]
    assert (dataset.name, dataset.classes, dataset.flip) == ("zoo", CLASSES, True)
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [21, 3, 6]
    # The splits are parts of one mapping, not copies.
    first = dataset.train.images.data_ptr()
    assert dataset.val.images.data_ptr() == first + dataset.train.images.nbytes

    monkeypatch.setattr(decoding, "decode_all", None)
    again = load(str(zoo), 6, root=tmp_path)
    assert again.fingerprint == dataset.fingerprint
    assert torch.equal(everything(again)[0], images)


def test_fingerprint_does_not_depend_on_the_place(zoo, tmp_path):
    before = load(zoo, 6, root=tmp_path / "a").fingerprint
    moved = zoo.rename(tmp_path / "moved")
    assert load(moved, 6, root=tmp_path / "b").fingerprint == before


def test_changed_folder_is_decoded_again(zoo, tmp_path):
    before = load(zoo, 6, root=tmp_path)
    (zoo / "ant" / "00.png").unlink()
    after = load(zoo, 6, root=tmp_path)
    assert after.fingerprint != before.fingerprint
    assert len(everything(after)[2]) == 29


@pytest.mark.parametrize("given", [("train", "test"), ("train", "val"), ("train", "val", "test")])
def test_given_splits_are_kept(tmp_path, given):
    for seed, split in enumerate(given):
        draw(tmp_path / "zoo" / split, seed=seed)
    dataset = load(tmp_path / "zoo", 6, root=tmp_path)
    for name in given[1:]:
        ids = getattr(dataset, name).ids
        assert len(ids) == 30
        assert all(id.startswith(f"{name}/") for id in ids)
    assert len(everything(dataset)[2]) == 30 * len(given)


def test_labels_and_splits_from_csv(zoo, tmp_path):
    names = [f"{label}/{number:02d}.png" for label in CLASSES for number in range(10)]
    rows = [f"{name},{'odd' if int(name[-6:-4]) % 2 else 'even'}" for name in names]
    (zoo / "labels.csv").write_text("\n".join(["filename,label", *rows]))
    (zoo / "splits.csv").write_text(
        "\n".join(["filename,split", "ant/01.png,test", "ant/02.png,val"])
    )
    dataset = load(zoo, 6, root=tmp_path)
    assert dataset.classes == ("even", "odd")
    assert (dataset.test.ids, dataset.val.ids) == (("ant/01.png",), ("ant/02.png",))
    assert len(dataset.train) == 28


def test_equal_pictures_stay_on_one_side(zoo, tmp_path):
    for label in CLASSES:
        for number in range(6):
            copy = zoo / label / f"copy-{number}.png"
            copy.write_bytes((zoo / label / f"{number:02d}.png").read_bytes())
    dataset = load(zoo, 6, root=tmp_path)
    sides = [
        {image.numpy().tobytes() for image in split.images}
        for split in (dataset.train, dataset.val, dataset.test)
    ]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 30


def test_train_limit_keeps_the_first_and_changes_the_fingerprint(zoo, tmp_path):
    whole, some = load(zoo, 6, root=tmp_path), load(zoo, 6, root=tmp_path, train_limit=7)
    assert some.train.ids == whole.train.ids[:7]
    assert torch.bincount(some.train.labels).tolist() in ([3, 2, 2], [2, 3, 2], [2, 2, 3])
    assert (some.val.ids, some.test.ids) == (whole.val.ids, whole.test.ids)
    assert some.fingerprint != whole.fingerprint
    assert load(zoo, 6, root=tmp_path, train_limit=10**6).fingerprint == whole.fingerprint


def test_flip_can_be_said_otherwise(zoo, tmp_path):
    assert load("digits", flip=True).flip is True
    upright = load(zoo, 6, root=tmp_path, flip=False)
    assert upright.flip is False
    # Training differs, so a run on one must not be taken for a run on the other.
    assert upright.fingerprint != load(zoo, 6, root=tmp_path).fingerprint


def test_truncated_picture_stops_or_is_skipped(zoo, tmp_path):
    broken = zoo / "bee" / "03.png"
    broken.write_bytes(broken.read_bytes()[:100])
    message = r"cannot read .*bee/03\.png: .*truncated; mend or remove it"
    with pytest.raises(UnreadablePicture, match=message):
        load(zoo, 6, root=tmp_path)
    dataset = load(zoo, 6, root=tmp_path, unreadable="skip")
    assert dataset.skipped == ("bee/03.png",)
    ids = everything(dataset)[2]
    assert len(ids) == 29
    assert "bee/03.png" not in ids
    with pytest.raises(UnreadablePicture, match=message):  # from the cache
        load(zoo, 6, root=tmp_path)


@pytest.mark.parametrize("split", ["val", "test"])
def test_no_split_is_made_in_place_of_one_that_is_damaged(tmp_path, split):
    for part in ("train", split):
        draw(tmp_path / "zoo" / part)
    for picture in (tmp_path / "zoo" / split).rglob("*.png"):
        picture.write_bytes(picture.read_bytes()[:60])
    for _ in range(2):  # nor the second time
        with pytest.raises(UserError, match=rf"no picture of the split {split} can be .* 29 more"):
            load(tmp_path / "zoo", 6, root=tmp_path, unreadable="skip")


def test_what_a_folder_holds_beside_pictures_is_said(zoo, tmp_path):
    (zoo / "bee" / "notes.txt").touch()
    load(zoo, 6, root=tmp_path)
    (zoo / "bee" / "1.heic").touch()
    dataset = load(zoo, 6, root=tmp_path)  # also where the pixels come from the cache
    assert dataset.left_out == (
        "2 files in formats that are not read (.heic, .txt), such as bee/1.heic",
    )
    assert load("digits").left_out == ()


def test_class_counts_add_up():
    dataset = load("digits")
    counts = class_counts(dataset)
    assert counts["count"].sum() == 1797
    digits = counts.groupby("class", sort=False)["count"].sum()
    assert digits.tolist() == np.bincount(load_digits().target).tolist()
    assert counts.groupby("split")["count"].sum()["test"] == len(dataset.test)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "mnist"}, "unknown dataset 'mnist': .*digits and cifar10.*folder"),
        ({"image_size": -1}, "image_size is -1; it must be 1 to 1024"),
        ({"image_size": 1025}, "image_size is 1025"),
        ({"image_size": "8"}, "image_size is '8'"),
        ({"val_share": 0}, "val_share is 0; it must lie between 0 and 1"),
        ({"val_share": 1.0}, r"val_share is 1\.0"),
        ({"test_share": 0.0}, r"test_share is 0\.0; it must lie between 0 and 1"),
        ({"train_limit": 9}, "train_limit is 9, fewer than the 10 classes"),
        ({"train_limit": "all"}, "train_limit is 'all'"),
        ({"train_limit": -1}, "train_limit is -1; it must be a number of pictures, or 0 for all"),
        ({"unreadable": "ignore"}, "unreadable is 'ignore'; it must be stop or skip"),
    ],
)
def test_arguments_out_of_range_get_one_line(arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        load(**({"source": "digits"} | arguments))
    assert "\n" not in str(caught.value)


def test_folders_that_make_no_dataset_get_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    draw(tmp_path / "single", classes=["ant"])
    draw(tmp_path / "few", classes=["ant", "cat"], count=2)
    for name, message in {
        "empty": "no labelled pictures in",
        "single": "only one class, 'ant'",
        "few": "'ant' has too few different pictures",
    }.items():
        with pytest.raises(UserError, match=message):
            load(tmp_path / name, root=tmp_path)


def test_splits_that_cannot_be_made_are_refused_before_decoding(tmp_path, monkeypatch):
    draw(tmp_path / "few", count=2)
    monkeypatch.setattr(decoding, "decode_all", None)
    with pytest.raises(UserError, match="too few different pictures"):
        load(tmp_path / "few", root=tmp_path)


def test_unwritable_root_gets_one_line(zoo, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write the picture cache .*another data folder"):
        load(zoo, root=tmp_path / "file")


# ---- CIFAR-10


@pytest.fixture
def publishers_copy(tmp_path, monkeypatch):
    """Files like the publisher's with ten pictures a class; returns the pixels by their ids."""
    names = ["airplane", "automobile", "bird"]
    folder = tmp_path / "data" / CIFAR10.base_folder
    folder.mkdir(parents=True)

    def write(name, content):
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()

    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (30, 3 * 32 * 32), np.uint8)
    labels = [place % 3 for place in range(30)]
    train = write("data_batch_1", {"data": data[:24], "labels": labels[:24]})
    test = write("test_batch", {"data": data[24:], "labels": labels[24:]})
    meta = write("batches.meta", {"label_names": names})
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", train]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", test]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta})
    pixels = data.reshape(30, 3, 32, 32)
    ids = [f"{'train' if place < 24 else 'test'}/{place:05d}" for place in range(30)]
    return dict(zip(ids, pixels, strict=True))


def no_network(*_, **__):
    raise urllib.error.URLError("name or service not known")


def test_cifar10_from_the_publishers_files(publishers_copy, tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    dataset = load("cifar10", root=tmp_path / "data")
    images, labels, ids = everything(dataset)
    assert set(ids) == set(publishers_copy)
    for image, label, id in zip(images, labels, ids, strict=True):
        assert np.array_equal(image, publishers_copy[id])
        assert label == int(id[-5:]) % 3
    assert all(id.startswith("test/") for id in dataset.test.ids)
    assert dataset.classes == ("airplane", "automobile", "bird")
    assert (dataset.name, dataset.image_size, dataset.flip) == ("cifar10", 32, True)
    assert load("cifar10", 16, root=tmp_path / "data").train.images.shape[1:] == (3, 16, 16)


class Opens:
    """Unpickled, creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_changed_file_of_cifar10_is_not_unpickled(publishers_copy, tmp_path, monkeypatch, name):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    file = tmp_path / "data" / CIFAR10.base_folder / name
    file.write_bytes(pickle.dumps(Opens(tmp_path / "made")))
    with pytest.raises(UserError, match="cannot download CIFAR-10"):
        load("cifar10", root=tmp_path / "data")
    assert not (tmp_path / "made").exists()


def test_cifar10_as_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    draw(tmp_path / "cifar10" / "train")
    draw(tmp_path / "cifar10" / "test", seed=1)
    dataset = load("cifar10", root=tmp_path)
    assert (dataset.name, dataset.image_size, len(dataset.test)) == ("cifar10", 32, 30)


def test_cifar10_without_a_network_says_where_to_put_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(UserError) as caught:
        load("cifar10", root=tmp_path / "data")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("not known", "cifar-10-python.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar"):
        assert part in message
    assert f"{tmp_path / 'data' / 'cifar10'} as train/<class>/" in message


def test_the_first_of_a_split_keeps_its_order_and_zero_takes_all(tiny):
    few = tiny.test.first(3)
    assert few.ids == tiny.test.ids[:3]
    assert torch.equal(few.images, tiny.test.images[:3])
    assert torch.equal(few.labels, tiny.test.labels[:3])
    assert tiny.test.first(0).ids == tiny.test.ids


def test_a_draw_is_balanced_seeded_and_another_dataset(tiny):
    drawn = tiny.drawn(31, seed=4)
    assert len(drawn.train) == len(set(drawn.train.ids)) == 31
    assert sorted(drawn.train.labels.bincount().tolist()) == [10, 10, 11]
    place = {id: number for number, id in enumerate(tiny.train.ids)}
    places = [place[id] for id in drawn.train.ids]
    assert drawn.train.images.equal(tiny.train.images[places])
    assert drawn.train.labels.equal(tiny.train.labels[places])
    again, other = tiny.drawn(31, seed=4), tiny.drawn(31, seed=5)
    assert again.train.ids == drawn.train.ids
    assert again.fingerprint == drawn.fingerprint
    assert other.train.ids != drawn.train.ids
    assert len({tiny.fingerprint, drawn.fingerprint, other.fingerprint}) == 3
    assert drawn.val is tiny.val
    assert drawn.test is tiny.test
    assert set(tiny.drawn(96, 0).train.ids) == set(tiny.train.ids)


@pytest.mark.parametrize("pictures", [2, 97])
def test_no_more_are_drawn_than_there_are_and_no_fewer_than_classes(tiny, pictures):
    with pytest.raises(ValueError, match=f"{pictures} of 96 pictures cannot be drawn"):
        tiny.drawn(pictures, 0)
