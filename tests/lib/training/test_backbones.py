import pytest
import torch

from lib.errors import UserError
from lib.training import loop, steps
from lib.training.loop import fit
from lib.training.runs import RunStore
from tests.lib.conftest import CPU, recipe_from


def test_a_file_of_weights_is_what_the_backbone_starts_from(tiny, resnet_file):
    state = steps.begin(recipe_from(resnet_file), tiny, RunStore(), CPU)
    expected = torch.load(resnet_file, weights_only=True)["layer3.1.conv2.weight"]
    assert torch.equal(state.model.body.layer3[1].conv2.weight, expected)


def test_weights_that_changed_under_a_recipe_are_refused(tiny, tmp_path, resnet_file):
    path = tmp_path / "weights.pth"
    path.write_bytes(resnet_file.read_bytes())
    recipe = recipe_from(path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(UserError, match="have changed"):
        steps.begin(recipe, tiny, RunStore(), CPU)


@pytest.mark.parametrize("strategy", ["head", "all"])
def test_a_stopped_transfer_resumes_as_if_it_had_not_stopped(
    tiny, tmp_path, resnet_file, strategy, monkeypatch
):
    recipe = recipe_from(resnet_file, strategy=strategy)
    whole = fit(recipe, tiny, RunStore(tmp_path / "whole"), "cpu")

    def stop(event, **facts):
        if event == "epoch":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.progress, "report", stop)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, tiny, RunStore(tmp_path / "stopped"), "cpu")
    resumed = fit(recipe, tiny, RunStore(tmp_path / "stopped"), "cpu")
    figures = ["train_loss", "val_loss", "val_accuracy"]
    assert resumed.history[figures].equals(whole.history[figures])
