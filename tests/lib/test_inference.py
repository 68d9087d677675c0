import pytest
import torch

from lib.export import export
from lib.inference import Bundle, Predictor


@pytest.fixture(scope="module")
def bundle(run, tiny, tmp_path_factory):
    return export(run, tiny, tmp_path_factory.mktemp("models") / "best")


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor.load(bundle.path, "cpu")


def test_what_was_exported_reads_back(bundle, run):
    again = Bundle.load(bundle.path)
    assert again == bundle
    assert (again.run_id, again.recipe) == (run.run_id, run.recipe)


def test_the_predictor_says_what_the_run_said(predictor, run, tiny):
    said = torch.from_numpy(run.predictions("test").logits)
    torch.testing.assert_close(predictor.logits(tiny.test.images), said, rtol=1e-4, atol=1e-4)
