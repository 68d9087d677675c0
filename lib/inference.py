"""What does a bundle say of a picture?

`Predictor` loads a bundle, brings pictures of any size and format to the form that the network was
trained on, and answers with calibrated probabilities.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import torch
from PIL import Image
from torch import Tensor

from lib import models
from lib.bundle import SCHEMA_VERSION, Bundle
from lib.errors import UserError, nearest
from lib.hardware import best_device
from lib.pictures import Source, decode

__all__ = ["SCHEMA_VERSION", "Bundle", "Prediction", "Predictor"]

BATCH = 256
SHOWN = 448  # pixels that an explanation is enlarged to, as near as a whole factor gets from below
HEAT_OPACITY = 0.6  # as on the site


@dataclass(frozen=True)
class Prediction:
    """What a network says of one picture; `confidence` is the calibrated probability of `label`."""

    label: str
    confidence: float
    probabilities: dict[str, float]  # of every class, in the classes' order

    def top(self, k: int) -> list[tuple[str, float]]:
        """The `k` most probable classes with their probabilities, the most probable first."""
        ordered = sorted(self.probabilities.items(), key=lambda pair: -pair[1])
        return ordered[:k]


class Predictor:
    """A bundle's network, ready to predict. Threads may share one."""

    def __init__(self, bundle: Bundle, device: str | torch.device | None = None):
        self.bundle = bundle
        self.classes = bundle.classes
        self.image_size = bundle.image_size
        self.device = torch.device(device or best_device())
        self._model = bundle.load_model(self.device)
        self._explaining = threading.Lock()

    @classmethod
    def load(
        cls, path: str | Path = "models/best", device: str | torch.device | None = None
    ) -> Self:
        """The predictor of the bundle in that folder, on the best device when none is named.

        Raises
        ------
        UserError   if there is no bundle, or it is damaged
        """
        return cls(Bundle.load(path), device)

    def prepare(self, picture: Source) -> Tensor:
        """A picture as the network takes it, uint8 (3, S, S); see `lib.pictures` for the rules.

        Raises
        ------
        UnreadablePicture   if it is missing, damaged or not a picture
        """
        pixels = decode(picture, self.image_size)
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits float32 (N, classes) of pictures uint8 (N, 3, S, S), on the CPU."""
        batches = [
            self._model(batch.to(self.device).float() / 255).cpu() for batch in images.split(BATCH)
        ]
        return torch.cat(batches)

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
        if not pictures:
            return []
        images = torch.stack([self.prepare(picture) for picture in pictures])
        return [self.prediction(row) for row in self.probabilities(images).tolist()]

    def prediction(self, probabilities: Sequence[float]) -> Prediction:
        """A row of probabilities (classes,) with the classes' names."""
        named = dict(zip(self.classes, probabilities, strict=True))
        label = max(named, key=named.__getitem__)
        return Prediction(label, named[label], named)

    def explain(self, picture: Source, target: str | None = None) -> Image.Image:
        """Where the network looks: Grad-CAM over the greyed picture, RGB, enlarged.

        Parameters
        ----------
        target : str   the class asked about; the predicted one when left out

        Raises
        ------
        UserError           if there is no such class
        UnreadablePicture   if it is missing, damaged or not a picture
        """
        from lib.attribution import grad_cam  # captum takes seconds to import
        from lib.gallery import ramp

        if target is not None and target not in self.classes:
            raise UserError(f"no class {target!r}{nearest(target, self.classes)}")
        image = self.prepare(picture)
        if target is None:
            index = self.logits(image[None]).argmax(1)
        else:
            index = torch.tensor([self.classes.index(target)])
        with self._explaining:
            heat = grad_cam(self._explained, image[None] / 255, index)[0].cpu().numpy()
        grey = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L").convert("RGB")
        overlay = Image.blend(grey, Image.fromarray(ramp(heat)), HEAT_OPACITY)
        factor = max(1, SHOWN // self.image_size)
        side = self.image_size * factor
        return overlay.resize((side, side), Image.Resampling.NEAREST)

    @cached_property
    def _explained(self) -> models.Classifier:
        """A network of its own for explanations, which hang hooks into it."""
        return self.bundle.load_model(self.device)
