"""The reference run records are those of today's recipes and version of the training code."""

import hashlib
import re

import pytest

from lib.training.runs import VERSION, RunStore
from tests.imports import PROJECT

RESULTS = PROJECT / "results"
RECORDS = [
    run for folder in RESULTS.iterdir() if folder.is_dir() for run in RunStore(folder).finished()
]


@pytest.mark.parametrize("run", RECORDS, ids=lambda run: run.run_id)
def test_a_record_has_the_id_that_training_it_again_would_have(run):
    text = "/".join([run.recipe.digest(), run.dataset["fingerprint"], str(VERSION)])
    assert run.run_id == hashlib.sha256(text.encode()).hexdigest()[:12]
    source, _, origin = run.recipe.weights.partition(":")
    assert source != "run" or origin in {record.run_id for record in RECORDS}


def test_the_texts_name_records_that_are_there():
    text = (RESULTS / "README.md").read_text()
    named = set(re.findall(r"\b[0-9a-f]{12}\b", text))
    assert named <= {record.run_id for record in RECORDS}
