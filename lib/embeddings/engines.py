"""Ways to compute a backbone's features on the machine at hand, and which of them is the fastest.

PyTorch in fp32 or bf16 (Micikevicius et al., 2018), and on a CPU ONNX Runtime, which folds batch
norms into convolutions and fuses activations.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.models.parts import Classifier, device_of, evaluating

BATCH = 64  # pictures at a time
TRIALS = 3  # of each engine, in turns; the median decides
TOLERANCE = {"fp32": 1e-3, "bf16": 0.1}  # of features, relative to the largest of PyTorch's in fp32


@dataclass(frozen=True)
class Engine:
    """A way from pictures uint8 (N, 3, H, W) to features float32 (N, D)."""

    runtime: str  # PyTorch or ONNX Runtime
    precision: str  # fp32 or bf16
    compute: Callable[[Tensor], NDArray[np.float32]] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.runtime}, {self.precision}"


def by_pytorch(model: Classifier, precision: str = "fp32") -> Engine:
    """PyTorch where the model lies, in channels-last order."""
    device = device_of(model)
    model.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def compute(images: Tensor) -> NDArray[np.float32]:
        found = []
        shortened = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
        with evaluating(model), shortened:
            for batch in images.split(BATCH):
                pixels = batch.to(device, non_blocking=True).float() / 255
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                found.append(model.features(pixels).float().cpu())
        return torch.cat(found).numpy()

    return Engine("PyTorch", precision, compute)


def by_onnx_runtime(model: Classifier, images: Tensor) -> Engine:
    """ONNX Runtime on the CPU, for pictures of the size of `images`, uint8 (N, 3, H, W).

    PyTorch resizes them, which is faster at it.
    """
    import onnxruntime  # takes a second to import

    @torch.inference_mode()
    def prepared(batch: Tensor) -> Tensor:
        return model.prepared(batch.float() / 255).contiguous()

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        torch.onnx.export(
            model.body.eval(),
            (prepared(images[:2]).clone(),),
            file := Path(folder, "features.onnx"),
            input_names=["pixels"],
            output_names=["features"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
        content = file.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def compute(images: Tensor) -> NDArray[np.float32]:
        found = [
            session.run(["features"], {"pixels": prepared(batch).numpy()})[0]
            for batch in images.split(BATCH)
        ]
        return np.concatenate(found)

    return Engine("ONNX Runtime", "fp32", compute)


def engines(model: Classifier, images: Tensor) -> list[Engine]:
    """Those that the device has, PyTorch in fp32 first."""
    found = [by_pytorch(model), by_pytorch(model, "bf16")]
    if device_of(model).type == "cpu":
        found.append(by_onnx_runtime(model, images))
    return found


def rates(candidates: Sequence[Engine], images: Tensor) -> dict[Engine, float]:
    """Pictures a second of each engine that agrees with the first; the others are left out.

    Parameters
    ----------
    images : uint8 (N, 3, H, W)   a few batches of those to be embedded
    """
    expected = candidates[0].compute(images[:2])
    largest = max(float(np.abs(expected).max()), 1e-12)
    agreeing = [
        one
        for one in candidates
        if np.abs(one.compute(images[:2]) - expected).max() <= TOLERANCE[one.precision] * largest
    ]
    seconds: dict[Engine, list[float]] = {one: [] for one in agreeing}
    for _ in range(TRIALS):
        for one, measured in seconds.items():
            started = time.perf_counter()
            one.compute(images)
            measured.append(time.perf_counter() - started)
    return {one: len(images) / median(measured) for one, measured in seconds.items()}
