import dataclasses

import pytest
import torch

from lib.embeddings.store import EmbeddingStore
from lib.errors import UserError
from lib.training import batches, network
from lib.training.batches import FrozenBatches, PictureBatches, batches_for, shuffled
from lib.training.recipe import Recipe

HEAD = Recipe(model="resnet18", strategy="head", augmentation="none", batch_size=25)


@pytest.fixture
def source_of(tmp_path):
    """What `batches_for` gives, with embeddings in a folder of the test's own."""

    def source_of(recipe, dataset, model=None):
        store = EmbeddingStore(tmp_path)
        return batches_for(model or built(recipe, dataset), recipe, dataset, store)

    return source_of


def built(recipe, dataset):
    return network.build(recipe, len(dataset.classes), dataset.mean, dataset.std)


def test_an_epoch_meets_every_picture_once(tiny, source_of):
    recipe = Recipe(width=4, augmentation="none")
    source = source_of(recipe, tiny)
    batches = list(source.epoch(1, 5, torch.Generator().manual_seed(0)))
    assert [len(pixels) for pixels, _ in batches] == [20, 19, 19, 19, 19]
    seen = torch.cat([pixels for pixels, _ in batches]).flatten(1).mul(255).round()
    given = tiny.train.images.flatten(1).float()
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, given.tolist()))


def test_early_pictures_are_the_same_ones_resized(tiny, source_of):
    recipe = Recipe(width=4, augmentation="none", epochs=5, early_size=4)
    source = source_of(recipe, tiny)
    for epoch, side in ((1, 4), (2, 4), (3, 8), (5, 8)):
        [(pixels, _)] = source.epoch(epoch, 1, torch.Generator().manual_seed(0))
        assert pixels.shape == (96, 3, side, side)
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        if side == 8:
            averaged = torch.nn.functional.avg_pool2d(pixels, 2)
        else:
            early = pixels
    torch.testing.assert_close(early.mean((2, 3)), averaged.mean((2, 3)), rtol=0.1, atol=0.02)


def test_cached_features_are_those_of_a_forward_pass(tiny, source_of):
    model = built(HEAD, tiny)
    source = source_of(HEAD, tiny, model)
    naive = source_of(HEAD.replace(views=0), tiny, model)
    assert isinstance(source, FrozenBatches)
    assert isinstance(naive, PictureBatches)
    batches = zip(
        source.epoch(1, 4, torch.Generator().manual_seed(7)),
        naive.epoch(1, 4, torch.Generator().manual_seed(7)),
        strict=True,
    )
    model.train()
    for (features, targets), (pixels, expected) in batches:
        assert torch.equal(targets, expected)
        torch.testing.assert_close(source.network(features), model(pixels), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(source.val_logits(), naive.val_logits(), rtol=1e-4, atol=1e-4)


def test_views_differ_and_epochs_take_them_in_turn(tiny, source_of):
    recipe = HEAD.replace(views=2, augmentation="flip_crop")
    source = source_of(recipe, tiny)

    def epoch(number):
        (batch,) = source.epoch(number, 1, torch.Generator().manual_seed(0))
        return batch[0]

    assert not torch.equal(epoch(1), epoch(2))
    assert torch.equal(epoch(1), epoch(3))


@pytest.mark.parametrize("strategy", ["last_block", "last_stage"])
@pytest.mark.parametrize(
    ("model", "size"), [("resnet18", 0), ("efficientnet_lite0", 64), ("timm:convnext_atto", 64)]
)
def test_stored_maps_give_what_the_whole_network_gives(tiny, source_of, model, size, strategy):
    recipe = Recipe(model=model, image_size=size, strategy=strategy, augmentation="none")
    network = built(recipe, tiny)
    source = source_of(recipe.replace(map_views=1), tiny, network)
    naive = source_of(recipe, tiny, network)
    assert isinstance(source, FrozenBatches)
    assert isinstance(naive, PictureBatches)
    network.train()
    batches = zip(
        source.epoch(1, 4, torch.Generator().manual_seed(7)),
        naive.epoch(1, 4, torch.Generator().manual_seed(7)),
        strict=True,
    )
    for (maps, targets), (pixels, expected) in batches:
        assert torch.equal(targets, expected)
        torch.manual_seed(0)  # of stochastic depth
        ours = source.network(maps)
        torch.manual_seed(0)
        torch.testing.assert_close(ours, network(pixels), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(source.val_logits(), naive.val_logits(), rtol=1e-3, atol=1e-3)
    tested = [one.logits(tiny.test.images) for one in (source, naive)]
    torch.testing.assert_close(*tested, rtol=1e-3, atol=1e-3)


def test_only_what_trains_is_behind_stored_maps(tiny, source_of):
    """Of a ResNet-18's last block the first block of its stage is before them, too."""
    recipe = Recipe(model="resnet18", strategy="last_block", map_views=1)
    model = built(recipe, tiny)
    source = source_of(recipe, tiny, model)
    trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert {id(parameter) for parameter in source.network.parameters()} == trained


def test_maps_of_augmented_views_are_those_of_the_augmented_pictures(tiny, source_of):
    recipe = Recipe(model="resnet18", strategy="last_stage", augmentation="flip_crop", map_views=2)
    model = built(recipe, tiny)
    source = source_of(recipe, tiny, model)
    first, second = (views for views, _ in source.views)
    assert not torch.equal(first, second)
    generator = torch.Generator().manual_seed(recipe.seed)
    pixels, _ = source_of(recipe.replace(map_views=0), tiny, model).augmented(
        torch.arange(len(tiny.train)), generator
    )
    model.eval()
    torch.testing.assert_close(first, source.frozen.features(pixels), rtol=1e-3, atol=1e-3)


def test_maps_that_do_not_fit_the_memory_are_refused(tiny, source_of, monkeypatch):
    monkeypatch.setattr(batches, "MOST_MEMORY", 1000)
    recipe = Recipe(model="resnet18", strategy="last_stage", map_views=3)
    with pytest.raises(UserError, match=r"recipe: maps of .* lower map_views, or set it to 0"):
        source_of(recipe, tiny)


@pytest.mark.parametrize("pictures", [1, 2, 7, 96])
def test_shuffling_splits_evenly(pictures):
    parts = shuffled(pictures, min(4, pictures), torch.Generator().manual_seed(0))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sorted(torch.cat(parts).tolist()) == list(range(pictures))


def test_pictures_are_mirrored_only_where_the_dataset_allows_it(tiny, source_of):
    upright = dataclasses.replace(tiny, flip=False)
    recipe = Recipe(width=4, augmentation="flip_crop")
    images = torch.zeros_like(tiny.train.images)
    images[..., :4] = 255  # the left half: a crop moves it by a pixel, a mirror to the right
    split = dataclasses.replace(tiny.train, images=images)

    def share_bright_at_the_left(dataset):
        dataset = dataclasses.replace(dataset, train=split)
        source = source_of(recipe, dataset)
        (batch,) = source.epoch(1, 1, torch.Generator().manual_seed(0))
        return (batch[0][..., 1] > 0.5).float().mean().item()

    assert share_bright_at_the_left(upright) == 1
    assert 0.2 < share_bright_at_the_left(tiny) < 0.8
