"""A run stores the weights that it trained; frozen ones are named by their source and digest."""

import shutil

import onnxruntime
import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from lib.errors import UserError
from lib.inference.bundle import ONNX, WEIGHTS
from lib.inference.export import export
from lib.models import weights
from lib.models.strategies import STRATEGIES
from lib.training import loop, steps
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import Run, RunStore
from tests.lib.conftest import CPU, recipe_from

BACKBONE = 44_000_000  # bytes of it, and about as many of the whole network


def metadata(run):
    with safetensors.safe_open(run.path / WEIGHTS, "pt") as file:
        return file.metadata() or {}


@pytest.fixture(scope="module")
def head(tiny, resnet_file, tmp_path_factory):
    """A head on a file's backbone; not to be written to."""
    return fit(
        recipe_from(resnet_file, strategy="head"),
        tiny,
        RunStore(tmp_path_factory.mktemp("runs")),
        "cpu",
    )


@pytest.fixture
def copy(head, tmp_path):
    """A copy of that run, to be damaged."""
    return Run(shutil.copytree(head.path, tmp_path / "runs" / head.run_id))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_stored_and_what_is_named_make_the_network_that_was_trained(
    tiny, tmp_path, resnet_file, strategy, monkeypatch
):
    trained = []
    finish = loop.finish
    monkeypatch.setattr(
        loop, "finish", lambda run, state, *rest: (finish(run, state, *rest), trained.append(state))
    )
    recipe = recipe_from(resnet_file, strategy=strategy)
    run = fit(recipe, tiny, RunStore(tmp_path), "cpu")
    expected = trained[0].model.state_dict()
    loaded = run.load_model().state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    stored = load_file(run.path / WEIGHTS)
    learned = {name for name, p in trained[0].model.named_parameters() if p.requires_grad}
    start = steps.begin(recipe, tiny, RunStore(tmp_path), CPU).model.state_dict()
    changed = {name for name in start if not torch.equal(start[name], expected[name])}
    assert learned | changed <= stored.keys()
    if strategy == "all":
        assert stored.keys() == expected.keys()
        assert metadata(run) == {}
    else:
        parameters = {name for name, _ in trained[0].model.named_parameters()}
        assert stored.keys() & parameters == learned
        assert metadata(run)["frozen_source"] == recipe.weights


def test_a_head_on_named_weights_takes_little_room(head):
    assert (head.path / WEIGHTS).stat().st_size < 20_000
    assert head.has_weights


def test_a_random_backbone_is_stored_since_it_has_no_other_place(tiny, tmp_path):
    recipe = Recipe(model="resnet18", strategy="head", epochs=1, batch_size=32)
    run = fit(recipe, tiny, RunStore(tmp_path), "cpu")
    assert (run.path / WEIGHTS).stat().st_size > BACKBONE
    assert metadata(run) == {}
    assert load_file(run.path / WEIGHTS).keys() == run.load_model().state_dict().keys()


def test_a_whole_file_of_an_earlier_run_still_loads(head, copy, resnet_file):
    expected = head.load_model().state_dict()
    save_file({name: value.contiguous() for name, value in expected.items()}, copy.path / WEIGHTS)
    loaded = copy.load_model().state_dict()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


def test_a_chain_of_runs_loads_from_its_first_to_its_last(tiny, tmp_path, resnet_file):
    store = RunStore(tmp_path)
    first = fit(recipe_from(resnet_file, strategy="last_stage"), tiny, store, "cpu")
    recipe = first.recipe.replace(weights=f"run:{first.run_id}", strategy="head")
    second = fit(recipe, tiny, store, "cpu")
    assert metadata(first)["frozen_source"].startswith("file:")
    assert metadata(second)["frozen_source"] == f"run:{first.run_id}"
    below, above = (run.load_model().body.state_dict() for run in (first, second))
    assert all(torch.equal(below[name], above[name]) for name in below)
    original = torch.load(resnet_file, weights_only=True)["conv1.weight"]
    assert torch.equal(above["conv1.weight"], original)

    shutil.rmtree(first.path)
    assert not second.has_weights
    with pytest.raises(UserError, match=f"its frozen part is that of run:{first.run_id}: .* no fi"):
        second.load_model()
    other = fit(first.recipe.replace(epochs=1), tiny, store, "cpu")
    other.path.rename(first.path)
    assert not second.has_weights
    with pytest.raises(UserError, match=r"are not those of its frozen part \(SHA-256\)") as raised:
        second.load_model()
    assert "\n" not in str(raised.value)


def test_a_source_that_is_gone_or_another_one_is_one_line(tiny, tmp_path, resnet_file):
    file = tmp_path / "backbone.pth"
    shutil.copyfile(resnet_file, file)
    run = fit(recipe_from(file, strategy="head"), tiny, RunStore(tmp_path / "runs"), "cpu")
    assert run.has_weights
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(
        UserError, match=r"model\.safetensors: its frozen .* have changed"
    ) as raised:
        run.load_model()
    assert "\n" not in str(raised.value)
    file.unlink()
    with pytest.raises(
        UserError, match=r"model\.safetensors: its frozen part is that of file:.* no"
    ):
        run.load_model()
    assert not run.has_weights


@pytest.mark.parametrize("missing", ["head.weight", "head.bias", "mean"])
def test_a_file_that_lacks_what_was_trained_is_refused(copy, missing):
    tensors, named = load_file(copy.path / WEIGHTS), metadata(copy)
    del tensors[missing]
    save_file(tensors, copy.path / WEIGHTS, named)
    with pytest.raises(UserError, match="not the weights of the run's recipe"):
        copy.load_model()


def test_a_digest_tells_names_shapes_types_and_values_apart():
    one = {"a": torch.arange(4.0), "b": torch.tensor(1)}
    assert weights.digest(one) == weights.digest(dict(reversed(one.items())))
    strided = torch.arange(8.0).view(4, 2)[:, 0] / 2
    assert weights.digest(one) == weights.digest(one | {"a": strided})
    others = [
        {"a": one["a"]},
        {"c": one["a"], "b": one["b"]},
        one | {"a": one["a"].view(2, 2)},
        one | {"a": one["a"].view(torch.int32)},
        one | {"a": one["a"] + 1},
    ]
    digests = {weights.digest(tensors) for tensors in (one, *others)}
    assert len(digests) == 1 + len(others)


def test_a_bundle_of_a_partly_stored_run_holds_the_whole_network(head, tiny, tmp_path):
    bundle = export(head, tiny, tmp_path / "best")
    assert (bundle.path / WEIGHTS).stat().st_size > BACKBONE
    expected, exported = head.load_model().state_dict(), bundle.load_model().state_dict()
    assert all(torch.equal(exported[name], expected[name]) for name in expected)
    session = onnxruntime.InferenceSession(bundle.path / ONNX)
    logits = torch.from_numpy(session.run(["logits"], {"images": tiny.test.images.numpy()})[0])
    torch.testing.assert_close(
        logits, torch.from_numpy(head.predictions("test").logits), atol=1e-3, rtol=1e-3
    )
