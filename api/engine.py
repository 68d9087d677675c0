"""What computes the probabilities: the bundle's ONNX network where that can run, else PyTorch.

On a CPU, ONNX Runtime takes a fraction of PyTorch's time for small batches, and it leaves the
interpreter alone while it works, so that requests are read meanwhile. `lib.inference` computes the
explanations in either case.
"""

import hashlib

import numpy as np
import torch

from api.batching import Run
from lib.errors import UserError
from lib.inference import Bundle, Predictor

ENGINES = ("auto", "onnx", "torch")


def load(predictor: Predictor, name: str = "auto", threads: int = 1) -> tuple[str, Run]:
    """The engine's name, and a function from uint8 (N, 3, S, S) to probabilities (N, classes).

    Parameters
    ----------
    name : str      onnx, torch, or auto: onnx if the predictor is on a CPU, and it is installed
    threads : int   that compute; of PyTorch the whole process's

    Raises
    ------
    UserError   if onnx was asked for and cannot be had
    """
    torch.set_num_threads(threads)
    if name != "torch" and predictor.device.type == "cpu":
        try:
            return "onnx", _onnx(predictor.bundle, threads)
        except ImportError as error:
            if name == "onnx":
                raise UserError("the engine onnx needs onnxruntime from PyPI") from error
    return "torch", lambda images: predictor.probabilities(images).numpy()


def _onnx(bundle: Bundle, threads: int) -> Run:
    import onnxruntime

    file = bundle.path / "model.onnx"
    try:
        network = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; export the run again") from error
    if hashlib.sha256(network).hexdigest() != bundle.onnx["sha256"]:
        raise UserError(f"{file}: damaged, or of another bundle; export the run again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Idle threads that spin would take the cores from those that read requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def run(images: torch.Tensor) -> np.ndarray:
        (probabilities,) = session.run(["probabilities"], {"images": images.numpy()})
        return probabilities

    return run
