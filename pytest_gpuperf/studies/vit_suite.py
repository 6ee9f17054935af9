"""The cases of ``gpuperf study vit``, as tests that anybody can run and gate::

pytest --pyargs pytest_gpuperf.studies.vit_suite -k "p16-d12 and r512 and eager"
pytest --pyargs pytest_gpuperf.studies.vit_suite --gpuperf-compare baselines/vit.json    those of the baseline

Run by pytest, and importing none of it: what cannot run here is `unittest.SkipTest`, which pytest takes for a skip.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from pytest_gpuperf.comparison.vit_order import every_case
from pytest_gpuperf.errors import FileError, MissingError
from pytest_gpuperf.records.vit import ViT
from pytest_gpuperf.records.vit_space import BATCH, COPY, DESIGNS, EAGER, PRECISION, SPACES, SUITE, VitCase
from pytest_gpuperf.studies.places import place_of, why_elsewhere

if TYPE_CHECKING:
    from pytest_gpuperf.backends import Opened

_WAYS = {"test_vit": "backend", "test_numa": "place", "test_pipeline": "design"}
_NAMES = ("patch", "depth", "hidden", "resolution", "precision", "batch", "scale")
_BATCHES = 8  # of drawn images that a pipeline goes round in


def pytest_generate_tests(metafunc: Any) -> None:
    """Every case of the scale; beside a baseline only what it knows."""
    from pytest_gpuperf import settings_of  # noqa: PLC0415 - the plugin, which is above this room

    settings, function = settings_of(metafunc.config), metafunc.function.__name__
    known = None
    if settings.compare not in {None, "auto"}:
        known = _known(metafunc.config.invocation_params.dir / settings.compare)
    cases = [
        case
        for case in every_case(SPACES[settings.scale])
        if case.function == function and (known is None or case.test in known)
    ]
    names = (*_NAMES, _WAYS[function])
    metafunc.parametrize(names, [_values(c, settings.scale) for c in cases], ids=[c.parameters for c in cases])


def _known(baseline: Path) -> Collection[str] | None:
    """The tests of this suite that a baseline holds; None where there are none, and the gate says what that means."""
    from pytest_gpuperf.records.files import read_baseline  # noqa: PLC0415 - a session without a baseline reads none

    with suppress(FileError):
        return {case.test for case in read_baseline(baseline).cases if case.test.startswith(SUITE)} or None
    return None


def _values(case: VitCase, scale: str) -> tuple[int | str, ...]:
    vit = case.vit
    return vit.patch, vit.depth, vit.hidden, vit.resolution, PRECISION, BATCH, scale, case.way


def test_vit(
    gpuperf: Any,
    patch: int,
    depth: int,
    hidden: int,
    resolution: int,
    precision: str,
    batch: int,
    scale: str,
    backend: str,
) -> None:
    with _network(ViT(patch, depth, hidden, resolution), gpuperf.device, precision, batch, scale, backend) as network:
        gpuperf(network, *network.inputs, items=network.items, energy=True)


def test_numa(
    gpuperf: Any,
    patch: int,
    depth: int,
    hidden: int,
    resolution: int,
    precision: str,
    batch: int,
    scale: str,
    place: str,
) -> None:
    """From images in pinned memory to answers in memory: what a GPU copies goes the long way or the short one."""
    elsewhere = why_elsewhere(place_of(place, gpuperf.device), place)
    if elsewhere is not None:
        raise SkipTest(elsewhere)
    vit = ViT(patch, depth, hidden, resolution)  # pragma: no cover - needs two nodes and a GPU
    with _network(vit, gpuperf.device, precision, batch, scale) as network:  # pragma: no cover
        images = [tensor.cpu().pin_memory() for tensor in network.inputs]

        def copy() -> list[Any]:
            return [tensor.to(gpuperf.device, non_blocking=True) for tensor in images]

        gpuperf(lambda: network(*copy()).cpu(), items=network.items, energy=True)
        gpuperf(copy, items=network.items, name=COPY)


def test_pipeline(
    gpuperf_pipeline: Any,
    patch: int,
    depth: int,
    hidden: int,
    resolution: int,
    precision: str,
    batch: int,
    scale: str,
    design: str,
) -> None:
    from pytest_gpuperf.pipeline import image_pipeline  # noqa: PLC0415 - torch

    device, chosen = gpuperf_pipeline.device, DESIGNS[design]
    with _network(ViT(patch, depth, hidden, resolution), device, precision, batch, scale) as network:
        overlaps, on_gpu = chosen.queue is not None, device != "cpu"
        try:
            made = image_pipeline(
                network.made.run,
                _BATCHES * batch,
                batch=batch,
                size=resolution,
                device=device,
                preprocess="gpu" if chosen.preprocess == "gpu" else "cpu",
                pinned=on_gpu and overlaps,
                streams=on_gpu and overlaps,
            )
        except MissingError as error:
            raise SkipTest(str(error)) from error
        queue = {} if chosen.queue is None else {"queue": chosen.queue}
        gpuperf_pipeline(made.stages, made.source, batch=made.batch, overlap=overlaps, **queue)


@contextmanager
def _network(vit: ViT, device: str, precision: str, batch: int, scale: str, backend: str = EAGER) -> Generator[Opened]:
    """Opened; small ones on one core, which neighbours disturb less than all."""
    import torch  # noqa: PLC0415 - seconds that collecting need not take

    from pytest_gpuperf.backends import opened  # noqa: PLC0415
    from pytest_gpuperf.models import load  # noqa: PLC0415

    try:
        ready = opened(load(vit.name), batch, backend=backend, precision=precision, device=device)
    except MissingError as error:
        raise SkipTest(str(error)) from error
    threads = torch.get_num_threads()
    if scale == "smoke":
        torch.set_num_threads(1)
    try:
        with ready as network:
            yield network
    finally:
        torch.set_num_threads(threads)
