"""What the performance suite runs over: models x precisions x back ends x batches, at a scale."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import pytest

from pytest_gpuperf import MissingError, Settings, settings_of


class Row(NamedTuple):
    """Every combination of its parts is a case. HALF is autocast to what the device is fast in."""

    models: tuple[str, ...]
    ways: tuple[tuple[str, str], ...]  # (precision, back end)
    batches: tuple[int, ...]


HALF = "half"
S1 = ("resnet50", "vit_b_16")
EAGER = (("fp32", "eager"), (HALF, "eager"))
QUICK = (Row(S1, EAGER, (1, 8)),)
FULL = (
    Row(S1, (*EAGER, ("fp32", "torchscript")), (1, 8, 16, 32)),
    Row(
        S1,
        (
            *(("fp32", "compile"), (HALF, "compile"), ("fp32", "compile-reduce-overhead")),
            *(("fp32", "cudagraph"), (HALF, "cudagraph")),
            *(("fp32", "onnxruntime"), ("fp16", "onnxruntime"), ("fp32", "onnxruntime-cudagraph")),
        ),
        (1, 32),
    ),
    Row(("ViT-B-32",), (*EAGER, ("fp32", "onnxruntime")), (1, 4, 8, 16, 32)),
)
ARGUMENTS = ("model", "precision", "backend", "batch")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a `network` runs over the whole suite; the quick part of it is marked."""
    if "network" in metafunc.fixturenames:
        settings = settings_of(metafunc.config)
        half = "autocast_bf16" if settings.device == "cpu" else "autocast_fp16"
        quick = cases(QUICK, half)
        rows = [
            pytest.param(
                *case, settings.scale, marks=[pytest.mark.quick] if case in quick else [], id=name(case, settings)
            )
            for case in dict.fromkeys(quick + cases(FULL, half))
        ]
        metafunc.parametrize((*ARGUMENTS, "scale"), rows)


def cases(rows: tuple[Row, ...], half: str) -> list[tuple[str, str, str, int]]:
    """(model, precision, back end, batch) of every case."""
    return [
        (model, half if precision == HALF else precision, backend, batch)
        for row in rows
        for model, (precision, backend), batch in product(row.models, row.ways, row.batches)
    ]


def name(case: tuple[str, str, str, int], settings: Settings) -> str:
    """``resnet50-fp32-eager-8``; a small model is another case than the full one."""
    words = [str(part) for part in case]
    return "-".join(words if settings.scale == "full" else [*words, settings.scale])


@lru_cache(maxsize=1)  # the cases of one model follow each other
def workload(model: str, scale: str):
    """Built once for all its cases."""
    from pytest_gpuperf.models import load

    return load(model, scale)


@pytest.fixture(scope="module")
def cores(request: pytest.FixtureRequest) -> None:
    """Small models on a processor run on one core, as the canaries do: neighbours' load would be most of the rest."""
    if settings_of(request.config).scale == "smoke":
        request.getfixturevalue("one_core")


@pytest.fixture
def network(gpuperf, request, model, precision, backend, batch, scale, cores):
    """A workload, opened: what cannot be is a skip with its reason."""
    from pytest_gpuperf.backends import limit_of, opened

    limit = limit_of(backend, precision, gpuperf.device)
    if limit is not None:
        pytest.skip(limit)
    try:
        ready = opened(workload(model, scale), batch, backend=backend, precision=precision, device=gpuperf.device)
    except MissingError as error:
        (pytest.fail if settings_of(request.config).require_backend else pytest.skip)(str(error))
    with ready as network:
        yield network
