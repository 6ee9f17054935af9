"""A plugin of pytest: the suite's largest case does more work. ``-p slower``, with the share in SLOWER."""

from __future__ import annotations

import os

import pytest
import work

CASE = "vit_b_16-fp32-eager-8"  # it keeps its device at work: of a launch-bound case the host would hide the rest


class Slower:
    """A network, and more work behind each call."""

    def __init__(self, network, device):
        self._network = network
        self._call = work.followed(lambda: network(*network.inputs), float(os.environ["SLOWER"]), device)

    def __call__(self, *_inputs):
        return self._call()

    def __getattr__(self, name):
        return getattr(self._network, name)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if f"[{CASE}" in pyfuncitem.name:
        found = pyfuncitem.funcargs
        found["network"] = Slower(found["network"], found["gpuperf"].device)
