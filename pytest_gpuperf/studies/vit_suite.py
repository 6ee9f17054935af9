"""The cases of ``gpuperf study vit``, as tests that anybody can run and gate::

pytest --pyargs pytest_gpuperf.studies.vit_suite -k "p16-d12 and r512 and eager"
pytest --pyargs pytest_gpuperf.studies.vit_suite --gpuperf-compare baselines/vit.json    those of the baseline

Run by pytest, and importing none of it: what cannot run here is `unittest.SkipTest`, which pytest takes for a skip.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import SkipTest

from pytest_gpuperf.comparison.vit_order import every_case
from pytest_gpuperf.errors import FileError, MissingError
from pytest_gpuperf.records.vit_space import BATCH, PRECISION, SPACES, SUITE, VitCase

NAMES = ("patch", "depth", "hidden", "resolution", "precision", "backend", "batch", "scale")


def pytest_generate_tests(metafunc: Any) -> None:
    """Every case of the scale; beside a baseline only what it knows."""
    from pytest_gpuperf import settings_of  # noqa: PLC0415 - the plugin, which is above this room

    settings = settings_of(metafunc.config)
    known = None
    if settings.compare not in {None, "auto"}:
        known = _known(metafunc.config.invocation_params.dir / settings.compare)
    cases = [case for case in every_case(SPACES[settings.scale]) if known is None or case.test in known]
    metafunc.parametrize(NAMES, [_values(c, settings.scale) for c in cases], ids=[c.parameters for c in cases])


def _known(baseline: Path) -> Collection[str] | None:
    """The tests of this suite that a baseline holds; None where there are none, and the gate says what that means."""
    from pytest_gpuperf.records.files import read_baseline  # noqa: PLC0415 - a session without a baseline reads none

    with suppress(FileError):
        return {case.test for case in read_baseline(baseline).cases if case.test.startswith(SUITE)} or None
    return None


def _values(case: VitCase, scale: str) -> tuple[int | str, ...]:
    vit = case.vit
    return vit.patch, vit.depth, vit.hidden, vit.resolution, PRECISION, case.backend, BATCH, scale


def test_vit(
    gpuperf: Any,
    patch: int,
    depth: int,
    hidden: int,
    resolution: int,
    precision: str,
    backend: str,
    batch: int,
    scale: str,
) -> None:
    from pytest_gpuperf.backends import opened  # noqa: PLC0415 - torch: seconds that collecting need not take
    from pytest_gpuperf.models import load  # noqa: PLC0415

    try:
        workload = load(f"vit:p{patch}-d{depth}-h{hidden}-r{resolution}")
        ready = opened(workload, batch, backend=backend, precision=precision, device=gpuperf.device)
    except MissingError as error:
        raise SkipTest(str(error)) from error
    with _cores(scale), ready as network:
        gpuperf(network, *network.inputs, items=network.items, energy=True)


@contextmanager
def _cores(scale: str) -> Generator[None]:
    """Small ones run on one core: neighbours disturb one less than all."""
    import torch  # noqa: PLC0415

    threads = torch.get_num_threads()
    if scale == "smoke":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
