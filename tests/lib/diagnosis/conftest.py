import copy

import pytest
import torch
from torch.nn import functional as F

from tests.lib.diagnosis.small import small_network, task


@pytest.fixture(scope="module")
def trained():
    """A trained network: four classes told apart by the brightest quarter of the picture."""
    network = small_network()
    images, labels = task(400, seed=5)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        F.cross_entropy(network(images / 255), labels).backward()
        optimiser.step()
    optimiser.zero_grad()
    return network


@pytest.fixture
def model(trained):
    return copy.deepcopy(trained)
