"""The pytest plugin. Hooks delegate in one line, and loading it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_gpuperf.plugin import collection, opening, servers, settings, shipped_suites

if TYPE_CHECKING:
    from pytest_gpuperf.device.power import GpuPower
    from pytest_gpuperf.measure.gpu import Gpu
    from pytest_gpuperf.measure.timer import CudaTimer
    from pytest_gpuperf.plugin.fixtures import GpuPerf, ParityCheck
    from pytest_gpuperf.plugin.load import GpuPerfLoad
    from pytest_gpuperf.plugin.pipeline import GpuPerfPipeline
    from pytest_gpuperf.plugin.servers import ServerFactory
    from pytest_gpuperf.plugin.text import GpuPerfText
    from pytest_gpuperf.plugin.text_load import GpuPerfTextLoad
    from pytest_gpuperf.plugin.text_servers import TextServerFactory

GPU_MARKER = (
    "gpu(min_memory=BYTES, min_capability='8.0', count=1, cuda_only=False): "
    "belongs to the accelerator suite; skipped where --gpuperf-device auto finds no GPU"
)
GPUPERF_MARKER = (
    "gpuperf(tolerance={'throughput': '3%'}, margin='5%', budget=10, cache='warm', energy=True): "
    "how this test is measured and judged"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    settings.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    for marker in (GPU_MARKER, GPUPERF_MARKER):
        config.addinivalue_line("markers", marker)
    opening.prepare(config)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    collection.note_deselected(items)


@pytest.hookimpl(wrapper=True)
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> Generator[None, bool | None, bool | None]:
    ignored = yield
    if ignored:
        collection.note_ignored(collection_path, config)
    return ignored


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return shipped_suites.module_of(module_path, parent)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    collection.note_collected(report, collector.config)
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    opening.keep_ordered(config, items)


def pytest_collection_finish(session: pytest.Session) -> None:
    opening.begin(session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return servers.with_logs(item, (yield))


@pytest.fixture
def gpuperf(request: pytest.FixtureRequest) -> Generator[GpuPerf]:
    """Measure a workload: ``gpuperf(fn, *args, items=1, name=None, energy=None) -> Measurement``."""
    from pytest_gpuperf.plugin.fixtures import GpuPerf, refuse_silence, session_of

    yield GpuPerf(request.node, session_of(request))
    refuse_silence(request)


@pytest.fixture
def gpuperf_load(request: pytest.FixtureRequest) -> Generator[GpuPerfLoad]:
    """Load a server: ``gpuperf_load(server, workload, batch=1, concurrency=16, requests=200) -> Load``."""
    from pytest_gpuperf.plugin.fixtures import refuse_silence, session_of
    from pytest_gpuperf.plugin.load import GpuPerfLoad

    yield GpuPerfLoad(request.node, session_of(request))
    refuse_silence(request)


@pytest.fixture
def gpuperf_pipeline(request: pytest.FixtureRequest) -> Generator[GpuPerfPipeline]:
    """Run a pipeline: ``gpuperf_pipeline([PipelineStage("decode", decode), ...], images) -> PipelineFigures``."""
    from pytest_gpuperf.plugin.fixtures import refuse_silence, session_of
    from pytest_gpuperf.plugin.pipeline import GpuPerfPipeline

    yield GpuPerfPipeline(request.node, session_of(request))
    refuse_silence(request)


@pytest.fixture
def gpuperf_text(request: pytest.FixtureRequest) -> Generator[GpuPerfText]:
    """Generate text: ``gpuperf_text("text:phi-2", prompts=4, max_new_tokens=64) -> Generation``."""
    from pytest_gpuperf.plugin.fixtures import refuse_silence, session_of
    from pytest_gpuperf.plugin.text import GpuPerfText

    yield GpuPerfText(request.node, session_of(request))
    refuse_silence(request)


@pytest.fixture
def gpuperf_text_load(request: pytest.FixtureRequest) -> Generator[GpuPerfTextLoad]:
    """Load a language model's server: ``gpuperf_text_load(server, concurrency=8, max_new_tokens=64) -> TextLoad``."""
    from pytest_gpuperf.plugin.fixtures import refuse_silence, session_of
    from pytest_gpuperf.plugin.text_load import GpuPerfTextLoad

    yield GpuPerfTextLoad(request.node, session_of(request))
    refuse_silence(request)


@pytest.fixture
def cuda_timer(request: pytest.FixtureRequest) -> CudaTimer:
    """Time a stretch of GPU work: ``with cuda_timer() as span: ...`` or ``cuda_timer.time(fn, *args)``."""
    from pytest_gpuperf.measure.timer import CudaTimer
    from pytest_gpuperf.plugin.fixtures import session_of

    return CudaTimer(session_of(request).recorder.chosen.clock)


@pytest.fixture
def gpu(request: pytest.FixtureRequest) -> Gpu:
    """Know the device, and assert what it does: ``gpu.assert_executed(fn, *args)``, ``gpu.assert_not_throttled()``."""
    from pytest_gpuperf.measure.gpu import Gpu
    from pytest_gpuperf.plugin.fixtures import session_of

    return Gpu(session_of(request).recorder.chosen)


@pytest.fixture
def gpu_power(request: pytest.FixtureRequest) -> GpuPower:
    """Measure energy: ``with gpu_power() as window: ...`` and then ``window.joules``, ``window.mean_watts``."""
    from pytest_gpuperf.plugin.fixtures import session_of

    return session_of(request).recorder.observer.power


@pytest.fixture
def parity() -> ParityCheck:
    """Fail unless two computations agree: ``parity(candidate, reference, *inputs, precision="fp16") -> Parity``."""
    from pytest_gpuperf.plugin.fixtures import ParityCheck

    return ParityCheck()


@pytest.fixture(scope="module")
def triton_server(request: pytest.FixtureRequest) -> Generator[ServerFactory]:
    """Start a Triton server: ``triton_server("resnet50", instances=2, batching=True) -> Server``."""
    yield from servers.factory(partial(servers.ServerFactory, "triton"), request)


@pytest.fixture(scope="module")
def torch_server(request: pytest.FixtureRequest) -> Generator[ServerFactory]:
    """Start a torch server: ``torch_server("resnet50", batching=False) -> Server``."""
    yield from servers.factory(partial(servers.ServerFactory, "torch"), request)


@pytest.fixture(scope="module")
def text_server(request: pytest.FixtureRequest) -> Generator[TextServerFactory]:
    """Start a language model's server: ``text_server("MODEL.gguf")``, ``text_server("text:phi-2") -> Server``."""
    from pytest_gpuperf.plugin.text_servers import TextServerFactory

    yield from servers.factory(TextServerFactory, request)
