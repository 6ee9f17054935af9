from __future__ import annotations

import subprocess
import sys
from time import perf_counter

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


def test_the_processors_canaries_need_no_torch():
    code = (
        "import sys; from pytest_gpuperf.device.canaries import Canaries; "
        "from pytest_gpuperf.device.choice import choose_device; Canaries(choose_device('cpu')).read(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
