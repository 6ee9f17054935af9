from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_gpuperf.device import caches
from pytest_gpuperf.device.choice import choose_device
from pytest_gpuperf.errors import UsageError
from pytest_gpuperf.measure.cache import workload_call
from pytest_gpuperf.measure.plan import Plan


@pytest.fixture
def chosen():
    return choose_device("cpu")


def test_warm_passes_the_arguments_as_they_are(chosen):
    seen = []
    x = np.ones(3)
    workload = workload_call(lambda *a: seen.append(a), (x, 2), Plan(), chosen)
    workload.call()
    workload.call()
    assert [a is x for a, _ in seen] == [True, True]
    assert workload.before_span is None


def test_without_arguments_nothing_stands_between(chosen):
    def fn() -> None: ...

    assert workload_call(fn, (), Plan(), chosen).call is fn


def test_flush_runs_before_each_span(chosen):
    workload = workload_call(np.sum, (np.ones(3),), Plan(cache="flush"), chosen)
    assert workload.before_span is not None
    workload.before_span()
    assert workload.call() == 3


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_rotate_gives_equal_copies_that_fill_the_cache_five_times(chosen, kind):
    size = caches.size(chosen.device, None)
    count = max(1, size // 3)
    x = np.ones(count, np.uint8)
    if kind == "torch":
        torch = pytest.importorskip("torch")
        x = torch.ones(count, dtype=torch.uint8)
    seen = []

    def fn(x, label, *, double=2) -> None:
        seen.append((id(x), label, int(x[0])))

    workload = workload_call(fn, (x, "label"), Plan(cache="rotate"), chosen)
    copies = -(-5 * size // count) + 1
    for _ in range(2 * copies):
        workload.call()
    assert len({i for i, _, _ in seen}) == copies
    assert {(label, value) for _, label, value in seen} == {("label", 1)}
    assert [i for i, *_ in seen[:copies]] == [i for i, *_ in seen[copies:]]
    assert seen[0][0] == id(x)
    assert workload.before_span is None


def test_rotate_without_tensors_is_refused(chosen):
    with pytest.raises(UsageError, match="gpuperf\\(fn, x\\)"):
        workload_call(lambda: None, (), Plan(cache="rotate"), chosen)
    with pytest.raises(UsageError, match="rotate"):
        workload_call(len, ("text",), Plan(cache="rotate"), replace(chosen, index=None))
