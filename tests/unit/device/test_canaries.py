from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import numpy as np

from pytest_gpuperf.device.canaries import Canaries
from pytest_gpuperf.device.choice import choose_device


def test_a_reading_has_the_three_kinds_of_work():
    canaries = Canaries(choose_device("cpu"))
    first, second = canaries.read(), canaries.read()
    assert set(first) == set(second) == {"matmul", "copy", "loop"}
    assert min(first.values()) > 0
    for name in first:  # a gross bound: the same work, on however noisy a machine
        assert 1 / 20 < first[name] / second[name] < 20


def test_the_parts_of_a_reading_are_about_as_long_as_it():
    """Each canary is timed a few times, not for a fixed time: a reading is a small multiple of what it tells."""
    canaries = Canaries(choose_device("cpu"))
    canaries.read()
    start = perf_counter()
    told = sum(canaries.read().values())
    assert perf_counter() - start < 200 * told


def test_how_long_the_product_takes_does_not_depend_on_where_its_matrices_came_to_lie(monkeypatch):
    product, began = np.matmul, set()

    def noted(a, b, out):
        began.update(matrix.ctypes.data % 4096 for matrix in (a, b, out))
        return product(a, b, out=out)

    monkeypatch.setattr(np, "matmul", noted)
    canaries = Canaries(choose_device("cpu"))
    for _ in range(5):
        canaries.read()
    assert began == {0}


def test_the_processors_canaries_need_no_torch():
    code = (
        "import sys; from pytest_gpuperf.device.canaries import Canaries; "
        "from pytest_gpuperf.device.choice import choose_device; Canaries(choose_device('cpu')).read(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
