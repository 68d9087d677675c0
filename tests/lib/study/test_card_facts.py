import dataclasses

import pytest

from lib.study.card_facts import Facts


def test_facts_of_another_run_are_refused(bundle, run, tmp_path):
    with pytest.raises(ValueError, match=f"holds run {run.run_id}, not elsewhere"):
        Facts(bundle, type(run)(tmp_path / "elsewhere"))


def test_another_dataset_is_refused(bundle, run, tiny):
    with pytest.raises(ValueError, match="tested on other pictures"):
        Facts(bundle, run, dataclasses.replace(tiny, test=tiny.val))
    with pytest.raises(ValueError, match="learned from more pictures"):
        Facts(bundle, run, dataclasses.replace(tiny, train=tiny.val))
