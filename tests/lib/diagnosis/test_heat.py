import matplotlib
import numpy as np

from lib.diagnosis.heat import ramp


def test_ramp_is_viridis():
    values = np.linspace(0, 1, 256)
    expected = matplotlib.colormaps["viridis"](values)[:, :3] * 255
    assert np.abs(ramp(values) - expected).max() < 6
