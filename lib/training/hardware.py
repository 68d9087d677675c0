"""The device to compute on, the precisions that it is fast at, and its description."""

import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lib.errors import UserError
from lib.training.recipe import Precision

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def best_device() -> torch.device:
    """CUDA where there is a card, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def precisions_of(device: torch.device) -> list[Precision]:
    """The precisions that the device has instructions for, fp32 first.

    On CUDA from Ampere on bf16 as well, on older cards with tensor cores fp16 (with a gradient
    scaler); on a CPU with AMX tiles or AVX-512 for it bf16.
    """
    lower: Precision | None = None
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        lower = "bf16" if capability >= (8, 0) else "fp16" if capability >= (7, 0) else None
    ask = getattr(torch.cpu, "get_capabilities", None)  # PyTorch learned it after 2.11
    if device.type == "cpu" and ask is not None:
        lower = "bf16" if any(ask().get(name) for name in ("amx_bf16", "avx512_bf16")) else None
    return ["fp32", lower] if lower else ["fp32"]


def lowest_precision(choice: Precision, device: torch.device) -> Precision:
    """The choice, or the lowest precision of the device in place of `auto`, without measuring."""
    return precisions_of(device)[-1] if choice == "auto" else choice


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which a forward pass computes at a precision."""
    return torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")


def check_compiler(device: torch.device) -> None:
    """Make sure that `torch.compile` can work on a device.

    Raises
    ------
    UserError   if the CPU's code cannot be compiled for lack of a C++ compiler
    """
    compilers = [os.environ.get("CXX", ""), "c++", "g++", "clang++", "cl"]
    if device.type == "cpu" and not any(shutil.which(name) for name in compilers if name):
        raise UserError(
            "recipe: compile = True needs a C++ compiler on the PATH; install g++, or leave it out"
        )


def peak_memory_mib(device: torch.device) -> float:
    """The most memory held so far: of the GPU by this process, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if sys.platform == "win32":  # where Python has no `resource`
        import psutil  # comes with ipykernel

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def environment(device: torch.device) -> dict[str, Any]:
    """The machine, the versions and the hour that a run was started with."""
    cuda = device.type == "cuda"
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name(device) if cuda else processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "cuda": torch.version.cuda if cuda else None,
    }


def processor() -> str:
    """The processor's name, as the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
