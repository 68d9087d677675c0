import subprocess
import sys

import pytest
import torch

from lib.training.hardware import (
    autocast,
    environment,
    peak_memory_mib,
    precisions_of,
    processor,
)
from tests.imports import PROJECT


def test_precisions_are_those_that_the_hardware_has(monkeypatch):
    cuda = torch.device("cuda")
    for capability, lower in {(9, 0): ["bf16"], (7, 5): ["fp16"], (6, 1): []}.items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert precisions_of(cuda) == ["fp32", *lower]
    for name, lower in {"amx_bf16": ["bf16"], "avx512_bf16": ["bf16"], "avx2": []}.items():
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda name=name: {name: True}, raising=False
        )
        assert precisions_of(torch.device("cpu")) == ["fp32", *lower]
    assert precisions_of(torch.device("mps")) == ["fp32"]


def test_a_forward_pass_computes_at_its_precision():
    x = torch.ones(4, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast(torch.device("cpu"), precision):
            assert (x @ x).dtype == dtype


def test_the_environment_names_machine_and_versions():
    facts = environment(torch.device("cpu"))
    assert facts["device"] == processor() != ""
    assert facts["torch"] == torch.__version__
    assert facts["cuda"] is None
    assert peak_memory_mib(torch.device("cpu")) > 50


@pytest.mark.parametrize("module", ["lib.training.sweep", "analysis.__main__", "report.__main__"])
def test_nothing_is_imported_that_windows_lacks(module):
    program = (
        "import os, sys\n"
        "for name in ('resource', 'grp', 'pwd', 'termios', 'readline', 'syslog'):\n"
        "    sys.modules[name] = None\n"
        f"import {module}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
