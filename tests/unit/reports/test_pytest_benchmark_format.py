"""The statistics of an export are those of the stock plugin, on the same rounds."""

from __future__ import annotations

import random

import pytest
from pytest_benchmark.stats import Stats

from pytest_gpuperf.reports.pytest_benchmark import statistics_of


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 13, 50, 101])
def test_every_figure(count):
    drawn = random.Random(count)
    rounds = [drawn.lognormvariate(0, 1) * (20 if drawn.random() < 0.1 else 1) for _ in range(count)]
    stock = Stats()
    for seconds in rounds:
        stock.update(seconds)
    ours = statistics_of(rounds, 3)
    assert ours.pop("iterations") == 3
    assert ours.pop("data") == rounds
    assert ours.pop("outliers") == stock.outliers
    assert ours == {name: pytest.approx(value) for name, value in stock.as_dict().items() if name != "outliers"}
