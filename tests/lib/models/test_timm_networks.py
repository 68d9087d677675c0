import pytest
import timm
import torch
from skimage import data
from torch.nn import functional as F

from lib.errors import UserError
from lib.models import timm_networks, weights
from lib.models.parts import count_parameters
from lib.models.strategies import STRATEGIES
from lib.training import backbones
from lib.training.network import build
from lib.training.recipe import Recipe

GREY = (0.5, 0.5, 0.5)
TRAINS = {"head": None, "last_block": "blocks_6.0", "last_stage": "blocks_5", "all": "conv_stem"}


def lite0(strategy="all", source="imagenet", **choices):
    recipe = Recipe(model="efficientnet_lite0", weights=source, strategy=strategy, **choices)
    own = backbones.normalisation(recipe.model, recipe.weights)
    model = build(recipe, 3, *(own or (GREY, GREY)))
    if source != "none":
        backbones.load_into(model, recipe.model, source, dict)
    return model.eval()


def square(photograph, side=224):
    """A photograph's middle, float (1, 3, side, side) in [0, 1]."""
    pixels = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255
    short = min(pixels.shape[2:])
    top, left = ((extent - short) // 2 for extent in pixels.shape[2:])
    middle = pixels[:, :, top : top + short, left : left + short]
    return F.interpolate(middle, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


@pytest.fixture(scope="module")
def timms():
    """Timm's own network with the installed weights, head and all."""
    network = timm.create_model(timm_networks.LITE0, pretrained=False)
    network.load_state_dict(timm_networks.lite0_weights())
    return network.eval()


@pytest.mark.parametrize(
    ("photograph", "classes"),
    [(data.cat, {281, 282, 285}), (data.coffee, {967, 968})],  # cats; espresso and cup
    ids=["cat", "coffee"],
)
@torch.inference_mode()
def test_the_installed_weights_know_what_a_photograph_shows(timms, photograph, classes):
    pixels = square(photograph())
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in backbones.normalisation(
        "efficientnet_lite0", "imagenet"
    ))  # fmt: skip
    predicted = timms((pixels - mean) / std).argmax(1).item()
    assert predicted in classes


@torch.inference_mode()
def test_the_body_computes_timms_features(timms):
    model, pixels = lite0(), square(data.cat(), 96)
    expected = timms.forward_head(
        timms.forward_features((pixels - model.mean) / model.std), pre_logits=True
    )
    torch.testing.assert_close(model.features(pixels), expected)
    assert (model.mean * 255).flatten().tolist() == pytest.approx([127] * 3)
    assert (model.std * 255).flatten().tolist() == pytest.approx([128] * 3)


@torch.inference_mode()
def test_pictures_are_resized_as_for_the_weights_and_stay_within_their_range():
    model = lite0(image_size=64)
    pixels = (torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    expected = F.interpolate(pixels, (64, 64), mode="bicubic", align_corners=False)
    assert expected.max() > 1.01
    shown = model.prepared(pixels) * model.std + model.mean
    torch.testing.assert_close(shown, expected.clamp(0, 1))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_trains_its_part_and_leaves_the_rest(strategy):
    model = lite0(strategy)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    pixels = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    F.cross_entropy(model(pixels), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    torch.optim.SGD(trained, lr=0.1, weight_decay=0.1).step()
    moved = [name for name, value in model.state_dict().items() if not value.equal(before[name])]
    assert "head.weight" in moved
    body = {name.removeprefix("body.") for name in moved if name.startswith("body.")}
    order = [name.removeprefix("body.") for name in before if name.startswith("body.")]
    if strategy == "head":
        assert body == set()
    else:
        start = next(i for i, name in enumerate(order) if name.startswith(TRAINS[strategy]))
        assert body == set(order[start:])  # the statistics of batch norms among them


def test_the_same_seed_draws_the_same_weights():
    first, second = (lite0(source="none", seed=4).state_dict() for _ in range(2))
    assert all(value.equal(second[name]) for name, value in first.items())
    assert not first["body.conv_stem.weight"].equal(
        lite0(source="none", seed=5).body.conv_stem.weight
    )


@pytest.mark.parametrize(
    ("name", "last_stage"),
    [
        ("resnet18", "layer4"),
        ("convnext_atto", "stages_3"),
        ("regnety_002", "s4"),
        ("mobilenetv3_small_050", "blocks_4"),
    ],
)
def test_networks_of_many_kinds_are_told_apart_into_stages(name, last_stage):
    sizes = []
    for strategy in STRATEGIES:
        model = build(Recipe(model=f"timm:{name}", strategy=strategy), 5, GREY, GREY).eval()
        sizes.append(count_parameters(model)[0])
        assert model(torch.rand(2, 3, 64, 64)).shape == (2, 5)
    assert sizes[0] < sizes[1] <= sizes[2] < sizes[3] == count_parameters(model)[1]
    network = timm.create_model(name, num_classes=0)
    assert timm_networks.unrolled(network, 64)[1] == last_stage


def test_a_transformer_is_one_part_and_takes_its_own_size():
    model = build(Recipe(model="timm:test_vit", strategy="head"), 5, GREY, GREY).eval()
    assert model.image_size == 160
    assert model(torch.rand(1, 3, 32, 32)).shape == (1, 5)
    assert count_parameters(model)[0] == count_parameters(model.head)[1]
    smaller = build(Recipe(model="timm:test_vit", image_size=64), 5, GREY, GREY)
    assert smaller(torch.rand(1, 3, 32, 32)).shape == (1, 5)
    with pytest.raises(UserError, match=r"timm:test_vit has no stages .* choose 'head' or 'all'"):
        build(Recipe(model="timm:test_vit", strategy="last_block"), 5, GREY, GREY)
    with pytest.raises(UserError, match=r"timm:test_vit takes no image_size = 65"):
        build(Recipe(model="timm:test_vit", image_size=65), 5, GREY, GREY)


def test_an_unknown_network_is_one_line_with_the_nearest():
    with pytest.raises(UserError, match=r"no network 'convnext_tny'; did you mean 'convnext_tiny'"):
        build(Recipe(model="timm:convnext_tny"), 3, GREY, GREY)
    with pytest.raises(UserError, match=r"`timm.list_models\(\)` lists those it has") as error:
        build(Recipe(model="timm:zzzzzz"), 3, GREY, GREY)
    assert "\n" not in str(error.value)


def test_without_a_connection_timms_weights_are_one_line(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route to host\nwith more lines")

    monkeypatch.setattr(timm, "create_model", unreachable)
    model = torch.nn.Module()
    with pytest.raises(UserError, match=r"weights of resnet18 cannot be had .no route") as error:
        backbones.load_into(model, "timm:resnet18", "timm", dict)
    assert "\n" not in str(error.value)
    assert "name a file of weights" in str(error.value)


def test_weights_of_another_kind_of_network_are_refused():
    with pytest.raises(
        UserError, match=r"no weights 'imagenet' of a timm:resnet18; choose none, t"
    ):
        backbones.load_into(torch.nn.Module(), "timm:resnet18", "imagenet", dict)
    with pytest.raises(UserError, match=r"no weights .timm. of a resnet18; choose none, im"):
        backbones.load_into(torch.nn.Module(), "resnet18", "timm", dict)


def test_a_file_of_timms_weights_fills_a_body(tmp_path):
    network = timm.create_model("resnet18", num_classes=7)
    torch.save(network.state_dict(), tmp_path / "timm.pth")
    model = build(Recipe(model="timm:resnet18"), 3, GREY, GREY)
    name = backbones.file_name(tmp_path / "timm.pth")
    backbones.load_into(model, "timm:resnet18", name, dict)
    pixels = torch.rand(2, 3, 64, 64)
    network.eval(), model.eval()
    normal = (pixels - model.mean) / model.std
    expected = network.forward_head(network.forward_features(normal), pre_logits=True)
    torch.testing.assert_close(model.features(pixels), expected)
    with pytest.raises(
        UserError, match=r"lacks conv_stem.weight, so it is not a efficientnet_lite0"
    ):
        backbones.load_into(lite0(source="none"), "efficientnet_lite0", name, dict)


def test_an_installed_file_that_is_another_one_is_not_loaded(tmp_path, monkeypatch):
    package = tmp_path / "else"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    file = package / weights.LITE0_FILE
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(weights, "LITE0_PACKAGE", "else")
    with pytest.raises(UserError, match=r"cannot read .*; install else==0.1.0 again"):
        weights.installed()
    real = weights.state_dict
    monkeypatch.setattr(weights, "state_dict", lambda *_: pytest.fail("it was loaded"))
    for content in (b"", b"\x80\x02}q\x00."):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"not the file of EfficientNet-Lite0 \(sha256\)"):
            weights.installed()
    monkeypatch.setattr(weights, "state_dict", real)
    monkeypatch.setattr(weights, "LITE0_PACKAGE", "nowhere_at_all")
    with pytest.raises(UserError, match=r"weights of EfficientNet-Lite0 are missing; install nowh"):
        weights.installed()
