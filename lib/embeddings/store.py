"""A folder of embeddings, each picture's computed once.

For every backbone there is a folder, named by its weights and by how it sees pictures; in it are
chunks, safetensors files of `digests` uint8 (n, 16), which name pictures by their pixels, and
`features` float32 (n, D), and the seconds that each took. A chunk appears whole or not at all. So
whatever was computed before an interruption is found again, as is a picture that comes back in
another split, subset or order.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save
from torch import Tensor

from lib import progress
from lib.embeddings.engines import BATCH, Engine, by_pytorch, engines, rates
from lib.errors import UserError
from lib.files import locked, read_json, replacing, write_json
from lib.models import weights
from lib.models.parts import Classifier

CHUNK = 1024  # pictures in a file
DIGEST = 16  # bytes that name a picture
WORTH_A_TRIAL = 2000  # pictures to embed, below which the engines are not compared
TRIED = 2 * BATCH  # pictures that each engine is tried on


@dataclass(frozen=True)
class Embedded:
    """Features of pictures, and what it saved that some of them were kept."""

    features: Tensor  # float32 (N, D), on the CPU
    seconds_saved: float  # that those took which were found, less the wait for who computed them


class Kept(NamedTuple):
    """A picture's features, and the seconds that it took."""

    features: NDArray[np.float32]
    seconds: float


@dataclass(frozen=True)
class EmbeddingStore:
    """The folder where embeddings are kept, which every process that uses it shares."""

    root: Path = Path("data/.embeddings")

    def embed(self, model: Classifier, images: Tensor) -> Embedded:
        """What the backbone of `model` makes of each picture, as `Classifier.features` does.

        Features of an engine that is not PyTorch in fp32 differ from its by at most
        `lib.embeddings.engines.TOLERANCE`.

        Parameters
        ----------
        images : uint8 (N, 3, H, W)

        Raises
        ------
        UserError   if the folder cannot be written
        """
        folder, wanted = self._folder(model, images), digests(images)
        asked = time.perf_counter()
        with locked(folder / "lock"):
            waited = time.perf_counter() - asked
            kept = _read(folder)
            saved = sum(kept[name].seconds for name in set(wanted) & kept.keys()) - waited
            missing = list(dict.fromkeys(name for name in wanted if name not in kept))
            if missing:
                place = {name: number for number, name in enumerate(wanted)}
                engine = self._engine(folder, model, images, len(missing))
                chosen = torch.tensor([place[name] for name in missing])
                parts = (missing[first : first + CHUNK] for first in range(0, len(missing), CHUNK))
                for names, (values, each) in zip(
                    parts, computed(engine, images, chosen), strict=True
                ):
                    _write(folder, names, values, each)
                    kept |= {n: Kept(v, each) for n, v in zip(names, values, strict=True)}
        found = np.stack([kept[name].features for name in wanted])
        return Embedded(torch.from_numpy(found), saved)

    def engine(self, model: Classifier, images: Tensor, pictures: int) -> Engine:
        """The engine that `embed` would take for so many pictures like these, to keep nothing.

        Parameters
        ----------
        images : uint8 (N, 3, H, W)
        """
        folder = self._folder(model, images)
        with locked(folder / "lock"):
            return self._engine(folder, model, images, pictures)

    def _folder(self, model: Classifier, images: Tensor) -> Path:
        """The backbone's own, which is made where it is missing."""
        folder = self.root / backbone_key(model, images.shape[-1])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
        return folder

    def _engine(self, folder: Path, model: Classifier, images: Tensor, pictures: int) -> Engine:
        """The engine of this folder, chosen by trial where there are many pictures to embed.

        The choice is kept, so that all features of a folder come from one engine.
        """
        file = folder / "engine.json"
        if file.exists():
            named = read_json(file)["engine"]
            for one in engines(model, images):
                if str(one) == named:
                    return one
        if pictures < WORTH_A_TRIAL:
            return by_pytorch(model)
        found = rates(engines(model, images), images[:TRIED])
        best = max(found, key=lambda one: found[one])
        measured = {str(one): round(rate, 1) for one, rate in found.items()}
        write_json(file, {"engine": str(best), "pictures_per_second": measured})
        return best


def computed(
    engine: Engine, images: Tensor, chosen: Tensor
) -> Iterator[tuple[NDArray[np.float32], float]]:
    """Features of the chosen pictures, `CHUNK` at a time, and the seconds that each took."""
    started, done = time.perf_counter(), 0
    for part in chosen.split(CHUNK):
        begun = time.perf_counter()
        values = engine.compute(images[part])
        now = time.perf_counter()
        done += len(part)
        left = (now - started) / done * (len(chosen) - done)
        progress.report("embedding", done=done, pictures=len(chosen), left=left, engine=str(engine))
        yield values, (now - begun) / len(part)


def digests(images: Tensor) -> list[bytes]:
    """The name of each picture, uint8 (N, 3, H, W), by its pixels."""
    pixels = images.cpu().contiguous().numpy()
    return [hashlib.blake2b(one.tobytes(), digest_size=DIGEST).digest() for one in pixels]


def backbone_key(model: Classifier, side: int) -> str:
    """The name of a backbone as it sees pictures of that many pixels a side.

    It changes with the weights, the parts, the normalisation and the size of the input.
    """
    backbone = {"mean": model.mean, "std": model.std, **model.body.state_dict(prefix="body.")}
    facts = [weights.digest(backbone), repr(model.body), model.image_size or side]
    if model.image_size not in (0, side):
        facts.append(model.interpolation)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _write(
    folder: Path, names: Iterable[bytes], values: NDArray[np.float32], seconds: float
) -> None:
    """Store a chunk, each of whose pictures took so many seconds."""
    named = np.frombuffer(b"".join(names), dtype=np.uint8).reshape(-1, DIGEST)
    digest = hashlib.sha256(named.tobytes()).hexdigest()[:16]
    with replacing(folder / f"{digest}.safetensors") as file:
        tensors: dict[str, NDArray[Any]] = {
            "digests": named,
            "features": np.ascontiguousarray(values),
        }
        file.write(save(tensors, {"seconds": repr(seconds)}))


def _read(folder: Path) -> dict[bytes, Kept]:
    """Every embedding in the folder; a file that is damaged is made again."""
    found: dict[bytes, Kept] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "np") as file:
                names, values = file.get_tensor("digests"), file.get_tensor("features")
                seconds = float(file.metadata()["seconds"])
        except Exception:  # whatever a damaged file makes of itself
            path.unlink()
            continue
        found |= {n.tobytes(): Kept(v, seconds) for n, v in zip(names, values, strict=True)}
    return found
