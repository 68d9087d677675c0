"""Predict the classes of pictures with an exported bundle.

`Predictor` brings pictures of any size and format to the form that its network was trained on, and
answers with calibrated probabilities.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import onnxruntime
import torch
from PIL import Image
from torch import Tensor

from lib.data.picture_files import Source
from lib.data.pictures import decode
from lib.diagnosis.heat import ramp
from lib.errors import UserError, nearest
from lib.inference.bundle import ONNX, Bundle
from lib.models.parts import Classifier
from lib.training.hardware import best_device

BATCH = 64  # pictures that pass through the network at once


ENLARGED_TO = (
    448  # pixels that an explanation is enlarged to, as near as a whole factor gets from below
)


HEAT_OPACITY = 0.6  # as on the site


@dataclass(frozen=True)
class Prediction:
    """The prediction for one picture; `confidence` is the calibrated probability of `label`."""

    label: str
    confidence: float
    probabilities: dict[str, float]  # of every class, in the classes' order

    def top(self, k: int) -> dict[str, float]:
        """The `k` most probable classes with their probabilities, the most probable first."""
        ordered = sorted(self.probabilities.items(), key=lambda pair: -pair[1])
        return dict(ordered[:k])


class Predictor:
    """A bundle's network, ready to predict; several threads may use one."""

    def __init__(self, bundle: Bundle, device: str | torch.device | None = None):
        self.bundle = bundle
        self.classes = bundle.classes
        self.image_size = bundle.image_size
        self.device = torch.device(device or best_device())
        on_cpu = self.device.type == "cpu"
        self._network = _onnx_network(bundle) if on_cpu else _torch_network(bundle, self.device)
        self._explaining = threading.Lock()

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        device: str | torch.device | None = None,
        sha256: str | None = None,
    ) -> Self:
        """The predictor of the bundle in that folder; default device: the fastest available.

        Parameters
        ----------
        path : path    the folder; default: the only bundle in `models/`
        sha256 : str   what the SHA-256 of its `bundle.json` should be; default: any

        Raises
        ------
        UserError   if there is no bundle, or it is damaged or another one
        """
        return cls(Bundle.load(path, sha256), device)

    def prepare(self, picture: Source) -> Tensor:
        """A picture as the network takes it, uint8 (3, S, S); `lib.data.pictures` has the rules.

        Raises
        ------
        UnreadablePicture   if it is missing, damaged or not a picture
        """
        return torch.from_numpy(decode(picture, self.image_size).transpose(2, 0, 1).copy())

    def logits(self, images: Tensor) -> Tensor:
        """Logits float32 (N, classes), on the CPU, of pictures uint8 (N, 3, S, S).

        Raises
        ------
        ValueError   if the pictures are of another type or shape
        """
        expected = (3, self.image_size, self.image_size)
        if images.dtype != torch.uint8 or images.shape[1:] != expected:
            raise ValueError(
                f"pictures are uint8 (N, {', '.join(map(str, expected))}), "
                f"not {images.dtype} {tuple(images.shape)}"
            )
        if len(images) <= BATCH:
            return self._network(images)
        return torch.cat([self._network(batch) for batch in images.split(BATCH)])

    def probabilities(self, images: Tensor, temperature: float | None = None) -> Tensor:
        """Probabilities float32 (N, classes), calibrated by the bundle's temperature or another."""
        scale = self.bundle.temperature if temperature is None else temperature
        return (self.logits(images) / scale).softmax(dim=1)

    def predict(self, pictures: Sequence[Source]) -> list[Prediction]:
        """A prediction for each picture.

        Raises
        ------
        UnreadablePicture   if one is missing, damaged or not a picture
        """
        images = [self.prepare(picture) for picture in pictures]
        return self.labelled(self.probabilities(torch.stack(images))) if images else []

    def labelled(self, probabilities: Tensor) -> list[Prediction]:
        """Rows of probabilities (N, classes) with the classes' names."""
        predictions = []
        for row in probabilities.tolist():
            values = dict(zip(self.classes, row, strict=True))
            label = max(values, key=values.__getitem__)
            predictions.append(Prediction(label, values[label], values))
        return predictions

    def explain(self, picture: Source, target: str | None = None) -> Image.Image:
        """A Grad-CAM heatmap over the grey picture, enlarged: the evidence for a class.

        Parameters
        ----------
        target : str   the class; default: the predicted one

        Raises
        ------
        UserError           if there is no such class
        UnreadablePicture   if the picture is missing, damaged or not a picture
        """
        from lib.diagnosis.attribution import grad_cam

        if target not in (None, *self.classes):
            raise UserError(f"no class {target!r}{nearest(str(target), self.classes)}")
        image = self.prepare(picture)
        explained = target or self.labelled(self.logits(image[None]))[0].label
        target_index = torch.tensor([self.classes.index(explained)])
        with self._explaining:
            heat = grad_cam(self._explained, image[None] / 255, target_index)[0]
        grey = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L").convert("RGB")
        hot = Image.fromarray(ramp(heat.cpu().numpy()))
        side = self.image_size * max(1, ENLARGED_TO // self.image_size)
        overlay = Image.blend(grey, hot, HEAT_OPACITY)
        return overlay.resize((side, side), Image.Resampling.NEAREST)

    @cached_property
    def _explained(self) -> Classifier:
        """A network for explanations alone, since these hang hooks into it."""
        return self.bundle.load_model(self.device)


Network = Callable[[Tensor], Tensor]  # pictures uint8 (N, 3, S, S) to logits (N, classes)


def _onnx_network(bundle: Bundle) -> Network:
    """The network by ONNX Runtime, which on a CPU is 1.3 to 7 times as fast as PyTorch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Idle threads that spin would take the cores from whatever reads the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        bundle.read(ONNX), options, providers=["CPUExecutionProvider"]
    )

    def network(images: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"images": images.cpu().numpy()})
        return torch.from_numpy(logits)

    return network


def _torch_network(bundle: Bundle, device: torch.device) -> Network:
    model = bundle.load_model(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def network(images: Tensor) -> Tensor:
        return model(images.to(device).float() / 255).cpu()

    return network
