"""What does a bundle say of a picture?

`Predictor` brings pictures of any size and format to the form that its network was trained on, and
answers with calibrated probabilities. The command prints them:

python -m lib.inference cat.jpg holiday/               files, and all pictures of a folder
python -m lib.inference - --explain heat.png < cat.jpg standard input, and where the network looks
"""

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import onnxruntime
import torch
from PIL import Image
from torch import Tensor

from lib.bundle import ONNX, SCHEMA_VERSION, Bundle
from lib.data.pictures import SUFFIXES, Source, UnreadablePicture, decode
from lib.errors import UserError, command, nearest
from lib.files import replacing
from lib.models.parts import Classifier
from lib.training.hardware import best_device

__all__ = ["SCHEMA_VERSION", "Bundle", "Prediction", "Predictor"]

BATCH = 64  # pictures that pass through the network at once
SHOWN = 448  # pixels that an explanation is enlarged to, as near as a whole factor gets from below
HEAT_OPACITY = 0.6  # as on the site


@dataclass(frozen=True)
class Prediction:
    """What a network says of one picture; `confidence` is the calibrated probability of `label`."""

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
        cls, path: str | Path = "models/best", device: str | torch.device | None = None
    ) -> Self:
        """The predictor of the bundle in that folder, on the best device when none is named.

        Raises
        ------
        UserError   if there is no bundle, or it is damaged
        """
        return cls(Bundle.load(path), device)

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
        return self.named(self.probabilities(torch.stack(images))) if images else []

    def named(self, probabilities: Tensor) -> list[Prediction]:
        """Rows of probabilities (N, classes) with the classes' names."""
        predictions = []
        for row in probabilities.tolist():
            values = dict(zip(self.classes, row, strict=True))
            label = max(values, key=values.__getitem__)
            predictions.append(Prediction(label, values[label], values))
        return predictions

    def explain(self, picture: Source, target: str | None = None) -> Image.Image:
        """What of a picture speaks for a class: Grad-CAM's heat over the grey picture, enlarged.

        Parameters
        ----------
        target : str   the class; the predicted one when left out

        Raises
        ------
        UserError           if there is no such class
        UnreadablePicture   if the picture is missing, damaged or not a picture
        """
        from lib.diagnosis.attribution import grad_cam
        from lib.diagnosis.heat import ramp

        if target not in (None, *self.classes):
            raise UserError(f"no class {target!r}{nearest(str(target), self.classes)}")
        image = self.prepare(picture)
        named = target or self.named(self.logits(image[None]))[0].label
        wanted = torch.tensor([self.classes.index(named)])
        with self._explaining:
            heat = grad_cam(self._explained, image[None] / 255, wanted)[0]
        grey = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L").convert("RGB")
        hot = Image.fromarray(ramp(heat.cpu().numpy()))
        side = self.image_size * max(1, SHOWN // self.image_size)
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


# The command


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a bundle says of pictures; 2 if one of them could not be read, else 0.

    Raises
    ------
    UserError   for a bundle, a folder or an option that will not do
    """
    options = parse(arguments)
    names = [name for given in options.pictures for name in found(given)]
    if options.top < 1:
        raise UserError(f"--top {options.top}: at least one class is shown")
    if options.explain and len(names) > 1:
        raise UserError(f"--explain draws one picture, and {len(names)} are given; name one")
    predictor = Predictor.load(options.bundle)
    sources = [(name, sys.stdin.buffer.read() if name == "-" else name) for name in names]
    width = max(map(len, names))
    answers = []
    for name, prediction in predictions(predictor, sources):
        top = prediction.top(options.top)
        answers.append({"picture": name, **asdict(prediction), "probabilities": top})
        if not options.json:
            print(f"{name:<{width}}  {listed(top, predictor.classes)}")
    if options.json:
        print(json.dumps(answers, indent=2))
    if options.explain and answers:
        with replacing(options.explain) as temporary:
            predictor.explain(sources[0][1]).save(temporary, "PNG")
    return 0 if len(answers) == len(names) else 2


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.inference", description="Say what pictures show, and how sure that is."
    )
    parser.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="a file, a folder, or - for standard input"
    )
    parser.add_argument("--bundle", default="models/best", help="its folder (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON list instead of lines")
    parser.add_argument("--top", type=int, default=5, help="so many classes (%(default)s)")
    parser.add_argument(
        "--explain", metavar="PNG", type=Path, help="draw what speaks for the class"
    )
    return parser.parse_args(arguments)


def found(given: str) -> list[str]:
    """The picture that was named, or those in the folder that was, sub-folders included.

    Raises
    ------
    UserError   if the folder holds none
    """
    folder = Path(given)
    if given == "-" or not folder.is_dir():
        return [given]
    files = (
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    names = [str(path) for path in files if path.is_file()]
    if not names:
        raise UserError(f"{given}: no picture in that folder; known are {', '.join(SUFFIXES)}")
    return names


def predictions(
    predictor: Predictor, sources: Sequence[tuple[str, Source]]
) -> Iterator[tuple[str, Prediction]]:
    """The readable ones of the named pictures with their predictions; a line for each other."""
    for first in range(0, len(sources), BATCH):
        names, images = [], []
        for name, source in sources[first : first + BATCH]:
            try:
                images.append(predictor.prepare(source))
                names.append(name)
            except UnreadablePicture as error:
                print(f"error: cannot read {name}: {error.reason}", file=sys.stderr)
        if images:
            said = predictor.named(predictor.probabilities(torch.stack(images)))
            yield from zip(names, said, strict=True)


def listed(probabilities: dict[str, float], classes: Sequence[str]) -> str:
    """Classes and probabilities in columns that are as wide for every picture."""
    width = max(map(len, classes))
    return "   ".join(f"{name:<{width}} {100 * p:5.1f} %" for name, p in probabilities.items())


if __name__ == "__main__":
    command(main)
