"""How users write it, as pyright sees it: never run, only checked (`make types`)."""

from __future__ import annotations

from functools import partial
from typing import assert_type

from pytest_gpuperf import (
    CudaTimer,
    GiB,
    GpuPerf,
    GpuPerfLoad,
    GpuPerfTextLoad,
    Load,
    Measurement,
    Server,
    ServerFactory,
    TextFigures,
    TextLoad,
    TextServerFactory,
)


def model(x: float, y: int) -> str:
    return str(x * y)


def keyword(*, x: float) -> float:
    return x


def test_measuring(gpuperf: GpuPerf) -> None:
    m = gpuperf(model, 1.0, 2, items=8, name="both")
    assert_type(m, Measurement)
    assert_type(m.throughput, float)
    assert m.peak_memory is None or m.peak_memory < 2 * GiB
    gpuperf(lambda: None)
    gpuperf(partial(keyword, x=1.0))
    gpuperf(model, 1.0)  # pyright: ignore[reportArgumentType] - an argument is missing
    gpuperf(model, "1", 2)  # pyright: ignore[reportArgumentType] - of a wrong type
    m.items = 3  # pyright: ignore[reportAttributeAccessIssue] - frozen


def test_timing(cuda_timer: CudaTimer) -> None:
    with cuda_timer() as span:
        model(1.0, 2)
    assert_type(span.seconds, float)
    assert_type(cuda_timer.time(model, 1.0, 2), float)


def test_loading(triton_server: ServerFactory, gpuperf_load: GpuPerfLoad) -> None:
    server = triton_server("resnet50", instances=2, batching=True)
    assert_type(server, Server)
    load = gpuperf_load(server, "resnet50", batch=4, concurrency=16, requests=200)
    assert_type(load, Load)
    assert not load.errors
    gpuperf_load(server, "resnet50", protocol="grpc")  # pyright: ignore[reportArgumentType] - not spoken
    triton_server("resnet50", instance=2)  # pyright: ignore[reportCallIssue] - there is no such setting


def test_serving_text(text_server: TextServerFactory, gpuperf_text_load: GpuPerfTextLoad) -> None:
    assert_type(text_server(), Server)
    assert_type(text_server("model.gguf", parallel=8, context=4096), Server)
    assert text_server("text:phi-2", scale="smoke").path == "/v1"
    text_server("text:phi-2", scale="small")  # pyright: ignore[reportArgumentType] - there is no such scale
    load = gpuperf_text_load(text_server(), concurrency=8, rate=2.0, max_new_tokens=64)
    assert_type(load, TextLoad)
    assert_type(load.goodput(ttft=0.5, tpot=0.03), float)
    assert_type(load.figures("vllm"), TextFigures)
    gpuperf_text_load(text_server(), api="grpc")  # pyright: ignore[reportArgumentType] - not spoken
