"""The performance suite: every model, precision, back end and batch of the grid in `conftest.py` beside it.

pytest tests/perf -m quick --gpuperf-device cpu      the quick part, with small models, on a laptop
pytest tests/perf -k "resnet50 and fp16"             a part of it, full size, on a GPU
"""

from __future__ import annotations

import pytest

from pytest_gpuperf import GiB

pytest.importorskip("torchvision", reason="the suite's models need it: pip install 'pytest-gpuperf[suite]'")

pytestmark = pytest.mark.gpu


def test_model(gpuperf, network):
    measured = gpuperf(network, *network.inputs, items=network.items)

    assert measured.peak_memory is None or measured.peak_memory < 16 * GiB
