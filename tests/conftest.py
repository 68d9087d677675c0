"""What many tests need: a dataset that trains in milliseconds, its finished run and bundle."""

import asyncio
import os

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # small networks in several processes: threads only wait

import pytest
import torch

from lib.data.dataset import Dataset, Split
from lib.inference.export import export
from lib.training.loop import fit
from lib.training.recipe import Recipe
from lib.training.runs import RunStore
from tests.browser import browser, context  # noqa: F401
from tests.sharing import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401
from tests.sources import copy_sources

CLASSES = ("red", "green", "blue")


@pytest.fixture(scope="module", autouse=True)
def no_event_loop():
    """No module leaves an asyncio event loop running: `asyncio.run` refuses to work in one."""
    yield
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def coloured_split(name, count, seed):
    """Noisy 8 x 8 pictures, brighter in the channel of their class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(CLASSES)
    images = torch.randint(0, 150, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    images[torch.arange(count), labels] += 100
    return Split(images, labels, tuple(f"{name}/{number:03d}" for number in range(count)))


@pytest.fixture(scope="session")
def tiny():
    """96 training pictures of three classes that a small network learns in a few epochs."""
    return Dataset(
        name="tiny",
        classes=CLASSES,
        train=coloured_split("train", 96, 1),
        val=coloured_split("val", 24, 2),
        test=coloured_split("test", 30, 3),
        mean=(0.4, 0.4, 0.4),
        std=(0.2, 0.2, 0.2),
        flip=True,
        fingerprint="tiny",
    )


@pytest.fixture(scope="session")
def quick():
    """A recipe that takes well under a second on `tiny`."""
    return Recipe(width=8, epochs=6, batch_size=16, lr=0.3, precision="fp32")


@pytest.fixture(scope="session")
def run(tiny, quick, tmp_path_factory):
    """A finished run of `quick` on `tiny`; not to be written to."""
    return fit(quick, tiny, RunStore(tmp_path_factory.mktemp("runs")), "cpu")


@pytest.fixture(scope="session")
def bundle(run, tiny, tmp_path_factory):
    """The bundle of `run`; not to be written to."""
    return export(run, tiny, tmp_path_factory.mktemp("models") / "best")


@pytest.fixture(scope="module")
def project_copy(tmp_path_factory):
    """Copies the named parts of the project, without what was made in them, to a new folder."""

    def copy(*names):
        root = tmp_path_factory.mktemp("checkout")
        copy_sources(root, *names)
        return root

    return copy
