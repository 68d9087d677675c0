import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional as F

from lib.errors import UserError
from lib.training import head_fit
from lib.training.head_fit import PENALTIES, fit_head
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore

HEAD = {
    "model": "resnet18",
    "strategy": "head",
    "augmentation": "none",
    "head_fit": "lbfgs",
    "epochs": 1,
}


def problem(count=300, classes=4, wide=20):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (count,), generator=generator)
    centres = torch.randn(classes, wide, generator=generator)
    features = centres[labels] + 2 * torch.randn(count, wide, generator=generator)
    features[:, 3] = 5.0  # tells nothing apart
    features[:, 4] *= 1000  # in another unit
    return features, labels


def test_penalties_go_from_strong_to_weak():
    assert PENALTIES[0] == 1
    assert PENALTIES[-1] == pytest.approx(1e-6)
    assert list(PENALTIES) == sorted(PENALTIES, reverse=True)


@pytest.mark.parametrize("penalty", [1.0, 0.01, 1e-4])
def test_it_is_scikit_learns_solution(penalty, monkeypatch):
    monkeypatch.setattr(head_fit, "PENALTIES", (penalty,))
    features, labels = problem()
    head = nn.Linear(20, 4)
    row = fit_head(head, (features, F.one_hot(labels).float()), (features, labels))
    spread = features.std(0, correction=0)
    standard = ((features - features.mean(0)) / spread.where(spread > 0, torch.ones(()))).numpy()
    theirs = LogisticRegression(C=1 / (penalty * len(labels)), tol=1e-8, max_iter=5000)
    theirs.fit(standard, labels.numpy())
    with torch.no_grad():
        ours = head(features).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(standard), atol=2e-3)
    assert row["train_accuracy"] == pytest.approx(theirs.score(standard, labels.numpy()))
    assert row["penalty"] == penalty
    assert 0 < row["iterations"] <= 200
    assert torch.isfinite(head.weight).all()


def test_validation_chooses_the_penalty():
    features, labels = problem(60)
    val = problem(600)
    head = nn.Linear(20, 4)
    row = fit_head(head, (features, F.one_hot(labels).float()), val)
    with torch.no_grad():
        chosen = (head(val[0]).argmax(1) == val[1]).float().mean().item()
    assert 1e-6 < row["penalty"] <= 1  # the weakest overfits 60 pictures
    reached = []
    for penalty in PENALTIES:
        alone = nn.Linear(20, 4)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(head_fit, "PENALTIES", (penalty,))
            fit_head(alone, (features, F.one_hot(labels).float()), val)
        with torch.no_grad():
            reached.append((alone(val[0]).argmax(1) == val[1]).float().mean().item())
    assert chosen == pytest.approx(max(reached), abs=0.01)


def test_a_run_of_a_fitted_head_is_one_epoch(tiny, tmp_path):
    run = fit(Recipe(**HEAD), tiny, RunStore(tmp_path / "runs"), "cpu")
    (row,) = run.history.to_dict("records")
    assert row["penalty"] in PENALTIES
    assert row["val_accuracy"] == run.summary["val_accuracy"]
    logits = run.predictions("test").logits
    with torch.inference_mode():
        again = run.load_model()(tiny.test.images / 255).numpy()
    np.testing.assert_allclose(logits, again, atol=1e-3)


def test_it_needs_stored_features():
    with pytest.raises(UserError, match="head_fit = 'lbfgs' needs stored features: strategy"):
        Recipe(**HEAD | {"strategy": "all"})
    with pytest.raises(UserError, match="views of 1 or more"):
        Recipe(**HEAD, views=0)
    with pytest.raises(UserError, match="has one epoch; set epochs = 1"):
        Recipe(**HEAD | {"epochs": 3})
